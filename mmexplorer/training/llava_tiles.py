"""Pictures larger than the vision tower's, as LLaVA-NeXT reads them: a squashed base view, then tiles row by row.

Does for a whole batch of pictures of one size what `LlavaNextImageProcessor` and `LlavaNextModel` do picture by
picture (Liu et al. 2024, https://llava-vl.github.io/blog/2024-01-30-llava-next/). Knows neither scenes nor words.
"""

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_utils import ChannelDimension

from mmexplorer.toyworld.scenes import CANVAS
from mmexplorer.training.clip_model import PATCH

PINPOINTS = [[64, 128], [128, 64], [128, 128], [192, 64], [64, 192]]  # (height, width), as LLaVA's, with 64 for its 336
SIDE = CANVAS // PATCH  # patches in a row of a view


def grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the patches of a picture's tiles, without those that are padding."""
    rows, columns = (length // PATCH for length in select_best_resolution((height, width), PINPOINTS))
    if width / height > columns / rows:
        rows -= 2 * ((rows - int(round(height * (columns / width), 7))) // 2)
    else:
        columns -= 2 * ((columns - int(round(width * (rows / height), 7))) // 2)
    return rows, columns


def token_count(height: int, width: int) -> int:
    """How many image tokens a picture takes: the base view, and rows of tiles that end with a newline each."""
    rows, columns = grid(height, width)
    return SIDE * SIDE + rows * (columns + 1)


def views(pictures: np.ndarray) -> np.ndarray:
    """The views (n, v, 64, 64, 3) of pictures (n, height, width, 3) uint8; ValueError if tiles would be resampled."""
    n, height, width, _ = pictures.shape
    best = select_best_resolution((height, width), PINPOINTS)
    if get_patch_output_size(pictures[0], best, ChannelDimension.LAST) != (height, width):
        raise ValueError(f"Pictures of {width} x {height} pixels do not fill tiles as they are.")
    base = [Image.fromarray(picture).resize((CANVAS, CANVAS), Image.Resampling.BICUBIC) for picture in pictures]
    down, across = ((long - short) // 2 for long, short in zip(best, (height, width), strict=True))
    padded = np.zeros((n, *best, 3), np.uint8)
    padded[:, down : down + height, across : across + width] = pictures
    tiles = padded.reshape(n, best[0] // CANVAS, CANVAS, best[1] // CANVAS, CANVAS, 3).swapaxes(2, 3)
    return np.concatenate([np.stack(base)[:, None], tiles.reshape(n, -1, CANVAS, CANVAS, 3)], axis=1)


def packed(features: torch.Tensor, newline: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Image tokens (n, k, d) of n pictures of one size from their views' features (n, v, 64, d)."""
    n, _, _, d = features.shape
    down, across = (length // CANVAS for length in select_best_resolution((height, width), PINPOINTS))
    tiles = features[:, 1:].reshape(n, down, across, SIDE, SIDE, d).swapaxes(2, 3)
    tiles = tiles.reshape(n, down * SIDE, across * SIDE, d)
    rows, columns = grid(height, width)
    top, left = (tiles.shape[1] - rows) // 2, (tiles.shape[2] - columns) // 2
    tiles = tiles[:, top : top + rows, left : left + columns]
    ends = newline.to(tiles.dtype).expand(n, rows, 1, d)
    return torch.cat([features[:, 0], torch.cat([tiles, ends], dim=2).flatten(1, 2)], dim=1)
