"""Where a LLaVA's image tokens lie on the picture: the geometry of its image processors, in the picture's own pixels.

LLaVA-1.5 takes one view, cropped or padded to a square. LLaVA-NeXT and OneVision take the whole picture squashed into
a square, then the same enlarged and cut into tiles, without the patches that are padding. Knows sizes only: no pixels,
no tokenizer and no model. Sizes are (width, height), grids (rows, columns).
"""

from dataclasses import dataclass

import numpy as np
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_utils import ChannelDimension

from mmexplorer.replies import ImageLayout


@dataclass(frozen=True)
class _Axis:
    """One direction of a view: a pixel u of it is the picture's u * scale + shift, of a picture `length` long."""

    length: int
    scale: float
    shift: float

    def __call__(self, pixels: np.ndarray | float) -> np.ndarray:
        return np.clip(np.asarray(pixels, np.float64) * self.scale + self.shift, 0, self.length)

    def cells(self, patch: int, side: int, tiles: int = 1, cut: int = 0, resampled: int | None = None) -> np.ndarray:
        """Where patches start and stop on the picture, (n, 2): those of all tiles, `cut` left out at either end.

        A tower reads side // patch patches of a tile and ignores what is left over. `resampled` is the number of
        cells that a bilinear resize then makes of them.
        """
        count = side // patch
        centres = (np.arange(tiles)[:, None] * side + (np.arange(count) + 0.5) * patch).ravel()
        centres = centres[cut : len(centres) - cut]
        half = patch / 2
        if resampled is not None and len(centres):
            ratio = len(centres) / max(resampled, 1)
            half *= ratio
            centres = np.interp((np.arange(resampled) + 0.5) * ratio - 0.5, np.arange(len(centres)), centres)
        return self(np.stack([centres - half, centres + half], axis=-1))


def single_view(
    size: tuple[int, int],
    resized: tuple[int, int],
    side: int,
    patch: int,
    *,
    padded: bool = False,
    newline: bool = False,
) -> ImageLayout:
    """The layout of LLaVA-1.5: one view of side * side pixels, cut from the middle of the picture resized to `resized`.

    padded pictures became squares before they were resized, and a newline may follow as in OneVision.
    """
    longest = max(size)
    canvas = (longest, longest) if padded else size
    across, down = (
        _Axis(
            length=size[i],
            scale=canvas[i] / resized[i],
            shift=(resized[i] - side) // 2 * canvas[i] / resized[i] - (canvas[i] - size[i]) // 2,
        )
        for i in (0, 1)
    )
    boxes, grid = _boxes(across.cells(patch, side), down.cells(patch, side))
    box = tuple(float(value) for value in (across(0), down(0), across(side), down(side)))
    return _layout(size, [("base", boxes)] + [("newline", _newline(*box))] * newline, grid, None, box)


def tiled_view(
    size: tuple[int, int], pinpoints: list, side: int, patch: int, most_tiles: int | None = None
) -> ImageLayout:
    """The layout of LLaVA-NeXT: a squashed base view, then tiles row by row with a newline after each row of patches.

    pinpoints are the (height, width) that the tiles may fill. Where their patches exceed those of most_tiles tiles
    clearly, OneVision resamples them to fewer. So thin a picture that no patch lies within it has newlines only.
    """
    width, height = size
    best = select_best_resolution((height, width), pinpoints)
    # The library's function asks an array for its size only.
    outline = np.broadcast_to(np.uint8(0), (1, height, width))
    new_height, new_width = get_patch_output_size(outline, best, ChannelDimension.FIRST)
    across = _Axis(width, width / new_width, -((best[1] - new_width) // 2) * width / new_width)
    down = _Axis(height, height / new_height, -((best[0] - new_height) // 2) * height / new_height)
    tiles_down, tiles_across = best[0] // side, best[1] // side

    # Padding is left out again by whole patches, after the model's own rounding.
    rows, columns = tiles_down * (side // patch), tiles_across * (side // patch)
    cut_rows = cut_columns = 0
    if width / height > columns / rows:
        cut_rows = (rows - int(round(height * (columns / width), 7))) // 2
    else:
        cut_columns = (columns - int(round(width * (rows / height), 7))) // 2
    rows, columns = rows - 2 * cut_rows, columns - 2 * cut_columns
    fewer_rows = fewer_columns = None
    if most_tiles is not None and (ratio := (rows * columns / (most_tiles * (side // patch) ** 2)) ** 0.5) > 1.1:
        fewer_rows, fewer_columns = int(rows // ratio), int(columns // ratio)

    base, base_grid = _boxes(
        _Axis(width, width / side, 0.0).cells(patch, side), _Axis(height, height / side, 0.0).cells(patch, side)
    )
    tile_columns = across.cells(patch, side, tiles_across, cut_columns, fewer_columns)
    tile_rows = down.cells(patch, side, tiles_down, cut_rows, fewer_rows)
    parts = [("base", base)]
    for row in tile_rows:
        parts.append(("tile", _boxes(tile_columns, row[None])[0]))
        parts.append(("newline", _newline(0, row[0], width, row[1])))
    box = (0.0, 0.0, float(width), float(height))
    grid = (len(tile_rows), len(tile_columns))
    return _layout(size, parts, base_grid, grid, box, (tiles_down, tiles_across))


def _boxes(across: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Boxes (rows * columns, 4) of all patches in reading order, with their grid."""
    left, top = np.meshgrid(across[:, 0], down[:, 0])
    right, bottom = np.meshgrid(across[:, 1], down[:, 1])
    boxes = np.stack([left, top, right, bottom], axis=-1).reshape(-1, 4)
    return boxes, (len(down), len(across))


def _newline(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The empty box (1, 4) at the right end of a row of that box."""
    return np.array([[right, top, right, bottom]])


def _layout(size, parts, base_grid, tile_grid, box, tiling=None) -> ImageLayout:
    boxes = np.concatenate([boxes for _, boxes in parts]).astype(np.float32)
    kind = np.concatenate([np.full(len(boxes), name) for name, boxes in parts])
    return ImageLayout(size, np.arange(len(boxes)), boxes, kind, base_grid, tile_grid, box, tiling)
