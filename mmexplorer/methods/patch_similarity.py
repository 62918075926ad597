"""Patch similarity: each patch embedded on its own and compared with the label.

MaskCLIP, Zhou et al. 2022, arXiv 2112.01071. It shows what the patches hold, not whether the picture's embedding
listens to them.
"""

import numpy as np
from PIL import Image


def maps(clip, image: Image.Image, directions: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Maps (1, W, rows, columns): a patch's score above the mean over the picture's patches, else 0.

    The mean is taken off because every patch resembles every text a little (the modality gap). image_share is NaN.
    """
    scores = directions @ clip.patch_embeddings(image).cpu().numpy().T
    scores -= scores.mean(axis=1, keepdims=True)
    count = len(directions)
    return np.maximum(scores, 0.0).reshape(1, count, *clip.patches), ("patches",), np.full((1, count), np.nan)
