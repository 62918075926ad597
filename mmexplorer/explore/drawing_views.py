"""Views of a drawing's word maps: which steps and layers together, over the picture.

Arithmetic on maps that are already there: no model, and no drawing.
"""

import numpy as np
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.results import Grounding

ALL_LAYERS, ALL_STEPS = "all layers", "all"
STEP_RANGES = (ALL_STEPS, "first third", "middle third", "last third")


def steps_of(name: str, count: int) -> slice:
    """The steps of one of STEP_RANGES, counted from 0, of `count` steps; at least one."""
    if name == ALL_STEPS:
        return slice(0, count)
    third = STEP_RANGES.index(name) - 1
    first = third * count // 3
    return slice(first, max((third + 1) * count // 3, first + 1))


def ground(drawing: Drawing, steps: slice = slice(None)) -> Grounding | None:
    """Maps of the prompt's words over the picture, one for each layer and ALL_LAYERS last; None without word maps.

    Each is the mean over the given steps, counted from 0. ALL_LAYERS is the mean over all attention layers, brought to
    the finest grid by bicubic interpolation (DAAM: Tang et al. 2022, arXiv 2210.04885), and so are the others.
    """
    found = drawing.word_maps
    if found is None:
        return None
    rows, columns = max((maps.shape[-2:] for maps in found.maps), key=lambda grid: grid[0] * grid[1])
    layers = [_resized(maps[steps].mean(axis=0, dtype=np.float32), rows, columns) for maps in found.maps]
    mean = np.average(layers, axis=0, weights=found.counts).astype(np.float32)
    return Grounding(
        image=drawing.image,
        words=found.words,
        maps=np.stack([*layers, mean]),
        layers=(*found.layers, ALL_LAYERS),
        image_share=np.full((len(layers) + 1, len(found.words)), np.nan, np.float32),
        box=(0.0, 0.0, *map(float, drawing.image.size)),
        method="cross-attention",
        model=drawing.model,
        unknown_words=drawing.unknown_words,
    )


def _resized(maps: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Maps (words, h, w) on another grid, kept from going below zero where the interpolation overshoots."""
    if maps.shape[-2:] == (rows, columns):
        return maps
    resized = [Image.fromarray(one).resize((columns, rows), Image.Resampling.BICUBIC) for one in maps]
    return np.maximum(np.stack([np.asarray(one) for one in resized]), 0)
