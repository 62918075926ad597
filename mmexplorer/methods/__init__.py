"""The attribution methods: which patches of a picture speak for a label.

Each module here offers `maps(clip, image, directions) -> (maps, layers, image_share)` and is imported when first
used. directions (W, d) are the vectors whose product with the picture's unit embedding a method explains; maps
(L, W, rows, columns) are non-negative and the last layer is the method's answer; image_share is (L, W).
"""

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from PIL import Image

from mmexplorer.errors import Refusal


@dataclass(frozen=True)
class Method:
    """One attribution method: its name for people, its module, what it does and where it comes from."""

    key: str
    label: str
    module: str
    one_sentence: str
    paper: str


METHODS = {
    method.key: method
    for method in (
        Method(
            "relevance",
            "Relevance (gradient x attention)",
            "mmexplorer.methods.relevance",
            "Follows the attention through all layers, counting only attention that raises the label's score.",
            "Chefer et al. 2021, https://arxiv.org/abs/2103.15679",
        ),
        Method(
            "occlusion",
            "Occlusion (cover and ask again)",
            "mmexplorer.methods.occlusion",
            "Covers one window of the picture after the other and measures how much the label's score falls.",
            "Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901",
        ),
        Method(
            "grad_cam",
            "Grad-CAM",
            "mmexplorer.methods.grad_cam",
            "Weighs the features of each patch by how much they raise the label's score on average.",
            "Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391",
        ),
        Method(
            "patch_similarity",
            "Patch similarity",
            "mmexplorer.methods.patch_similarity",
            "Embeds each patch on its own and compares it with the label.",
            "MaskCLIP, Zhou et al. 2022, https://arxiv.org/abs/2112.01071",
        ),
    )
}
DEFAULT = "relevance"
CONTRAST = True  # explain what sets a label apart from the other labels


def ground(
    clip, image: Image.Image, text_embeddings: np.ndarray, *, method: str = DEFAULT, contrast: bool = CONTRAST
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Maps (L, W, rows, columns), the names of their L layers, and image_share (L, W) for W labels on one picture.

    clip is a loaded `mmexplorer.models.clip.ClipModel`; text_embeddings (W, d) are the labels' unit vectors. With
    contrast, what is explained is a label's cosine less the mean cosine of the other labels (with a single label there
    are none), without it the cosine alone. The last of the L layers is the method's answer. Raises Refusal for an
    unknown method or one that the model's family does not support.
    """
    if method not in METHODS:
        raise Refusal(f"There is no method {str(method)[:60]!r}; choose one of {', '.join(METHODS)}.")
    maps, layers, image_share = import_module(METHODS[method].module).maps(
        clip, image, contrasted(text_embeddings) if contrast else text_embeddings
    )
    return maps.astype(np.float32), layers, image_share.astype(np.float32)


def contrasted(text_embeddings: np.ndarray) -> np.ndarray:
    """Each label's vector less the mean of the others' (W, d); a single label stays as it is."""
    count = len(text_embeddings)
    if count == 1:
        return text_embeddings
    others = (text_embeddings.sum(axis=0, keepdims=True) - text_embeddings) / (count - 1)
    return text_embeddings - others
