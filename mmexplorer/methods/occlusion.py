"""Occlusion: cover a window of the picture, ask again, and see how much the score falls.

The one method here that intervenes: what it finds did cause the score, as far as a covered window is a fair question
to a model that never saw one. Zeiler and Fergus 2014, arXiv 1311.2901.
"""

import numpy as np
import torch
from PIL import Image

BATCH = 64


def maps(clip, image: Image.Image, directions: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Maps (1, W, rows, columns): the mean fall of the score over the windows that cover a patch, rises counted as 0.

    Windows are about a quarter of the picture wide (at least two patches), overlap by half and reach over the border,
    so that every patch is covered equally often; they are painted in the picture's mean colour. image_share is NaN:
    the method hands out no total.
    """
    pixels = clip.pixel_values([image])
    windows = _windows(*clip.patches)
    directions = torch.as_tensor(directions, dtype=torch.float32, device=pixels.device)
    batches = [_covered(pixels, windows[start : start + BATCH]) for start in range(0, len(windows), BATCH)]
    covered_features = torch.cat([clip.image_features(batch) for batch in batches])
    fall = ((clip.image_features(pixels) - covered_features) @ directions.T).cpu().numpy()  # (windows, W)
    covered = windows.reshape(len(windows), -1).astype(np.float32)  # (windows, patches)
    mean_fall = (covered.T @ fall / covered.sum(axis=0)[:, None]).T.reshape(1, len(directions), *clip.patches)
    return np.maximum(mean_fall, 0.0), ("whole model",), np.full((1, len(directions)), np.nan)


def _windows(rows: int, columns: int) -> np.ndarray:
    """Every window as a boolean mask over the patches, (windows, rows, columns)."""
    size = max(2, round(min(rows, columns) / 4))
    step = size // 2
    masks = []
    for top in range(step - size, rows, step):
        for left in range(step - size, columns, step):
            mask = np.zeros((rows, columns), dtype=bool)
            mask[max(top, 0) : top + size, max(left, 0) : left + size] = True
            masks.append(mask)
    return np.stack(masks)


def _covered(pixels: torch.Tensor, windows: np.ndarray) -> torch.Tensor:
    """The picture once per window, (windows, 3, height, width), that window in the picture's mean colour."""
    height, width = pixels.shape[-2:]
    masks = torch.as_tensor(windows[:, None], dtype=pixels.dtype, device=pixels.device)
    masks = torch.nn.functional.interpolate(masks, size=(height, width), mode="nearest")
    return torch.lerp(pixels, pixels.mean(dim=(2, 3), keepdim=True), masks)
