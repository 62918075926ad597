"""What of a Grounding fits into one page: so many words, so many layers, so many bytes of maps; and notes that say so.

Knows neither how maps are drawn nor how they travel.
"""

from dataclasses import replace

import numpy as np

from mmexplorer.results import Grounding

MAX_LAYERS = 40
MIN_LAYERS = 12  # so many are kept before patches are joined: neighbouring layers differ less than neighbouring patches
MAX_BYTES = 4_000_000  # of maps, at one byte for each patch


def kept_layers(grounding: Grounding, words: int) -> np.ndarray:
    """The indices of evenly spaced layers, the first and the last among them, whose maps fit for so many words."""
    layers, rows, columns = grounding.maps.shape[0], *grounding.maps.shape[2:]
    affordable = MAX_BYTES // max(1, words * rows * columns)
    count = min(layers, MAX_LAYERS, max(MIN_LAYERS, affordable))
    return np.unique(np.linspace(0, layers - 1, count).round().astype(int))


def joined(maps: np.ndarray) -> tuple[np.ndarray, int]:
    """Maps (L, W, h, w) on a grid coarse enough to fit, and how many patches went into one cell along each side.

    A cell is the mean over its area, so that the maps cover what they covered before.
    """
    layers, words, rows, columns = maps.shape
    step = 1
    while step < max(rows, columns) and layers * words * -(-rows // step) * -(-columns // step) > MAX_BYTES:
        step += 1
    return (maps, 1) if step == 1 else (_means(rows, step) @ maps @ _means(columns, step).T, step)


def joined_cell(patch: int, grid: tuple[int, int], step: int) -> int:
    """The cell, in reading order, under the centre of a patch of a (rows, columns) grid that `joined` made coarser."""
    down, across = divmod(patch, grid[1])
    rows, columns = (-(-side // step) for side in grid)
    return int((down + 0.5) * rows / grid[0]) * columns + int((across + 0.5) * columns / grid[1])


def subset(grounding: Grounding, layers: np.ndarray, words: int) -> Grounding:
    """The given layers of the first so many words."""
    return replace(
        grounding,
        words=grounding.words[:words],
        layers=tuple(grounding.layers[layer] for layer in layers),
        maps=grounding.maps[layers, :words],
        image_share=grounding.image_share[layers, :words],
        scores=None if grounding.scores is None else grounding.scores[:words],
    )


def fit_notes(grounding: Grounding, layers: int, words: int, step: int) -> list[str]:
    """A sentence for everything that was left out: words, layers, and patches that were joined."""
    notes = []
    if len(grounding.words) > words:
        notes.append(f"Shown: the first {words} of {len(grounding.words)} words.")
    if len(grounding.layers) > layers:
        notes.append(f"Shown: {layers} of {len(grounding.layers)} layers or steps, evenly spaced.")
    if step > 1:
        rows, columns = grounding.maps.shape[2:]
        notes.append(f"Drawn coarser than computed: {step} by {step} of the {rows} x {columns} patches in one cell.")
    return notes


def _means(count: int, step: int) -> np.ndarray:
    """(ceil(count / step), count): the share of each of `count` equal intervals in each of so many wider ones."""
    cells = -(-count // step)
    edges, intervals = np.linspace(0, count, cells + 1), np.arange(count)
    overlap = np.minimum(intervals + 1, edges[1:, None]) - np.maximum(intervals, edges[:-1, None])
    return (overlap.clip(0) * cells / count).astype(np.float32)
