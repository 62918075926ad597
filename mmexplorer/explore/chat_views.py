"""Views of a chat's attention: rows of words on image tokens become maps over the picture.

Exact rows are not yet a picture of what a word looked at. Tiles overlap the base view, some tokens draw weight whatever
is said, and words look alike in what they share. Every view here is arithmetic on rows that are already there: no
model, and no drawing.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmexplorer.replies import ROLES, Attention, ImageLayout
from mmexplorer.results import Grounding
from mmexplorer.toyworld.mentions import mentions

PARTS = ("both", "base", "tiles")
HEADS = ("mean", "max")
VIEWS = ("attention", "minus mean", "relative")
# Where words look at their objects, as shares of the depth: layers 12 to 19, from 0, of 32. Other models by measurement
# (training.llava_grounding).
LAYERS = {"": (0.375, 0.625), "toy-llava": (0.5, 1.0), "toy-llava-next": (0.0, 1.0)}
SINK_RATIO = 10.0
FEWEST_ROWS = 8
FLOOR = 0.1


def ground(
    attention: Attention,
    *,
    picture: int = 0,
    part: str = "both",
    heads: str = "mean",
    view: str = "attention",
    neutral: np.ndarray | None = None,
    hide_sinks: bool = False,
) -> Grounding:
    """The maps of all of `attention.words` over one picture, layer by layer.

    heads is "mean" or "max"; all else is as of `ground_rows`. The image share is that of the mean over heads.
    """
    rows = {"mean": attention.mean, "max": attention.max}[heads]
    grounding = ground_rows(
        attention,
        rows,
        [f"layer {i + 1}" for i in range(len(rows))],
        picture=picture,
        part=part,
        view=view,
        neutral=neutral,
        hide_sinks=hide_sinks,
        method=f"{view}, {heads} of heads",
    )
    on_images = attention.shares[..., ROLES.index("image")].mean(axis=1)
    return replace(grounding, image_share=_per_word(attention, on_images[..., None])[..., 0])


def ground_rows(
    attention: Attention,
    rows: np.ndarray,
    layers: Sequence[str],
    *,
    word: int | None = None,
    picture: int = 0,
    part: str = "both",
    view: str = "attention",
    neutral: np.ndarray | None = None,
    hide_sinks: bool = False,
    method: str = "attention",
) -> Grounding:
    """Maps from other rows: (layers, R, I) for all words, as of a single head, or (layers, I) for one `word`.

    A word's map is the mean over its rows. part is "base", "tiles" or "both": the sum of their densities (weight per
    area) on the grid of the tiles; without tiles all three are the base view. view "minus mean" takes the mean of all
    given rows away and keeps what is above it, which for one word alone is nothing; "relative" divides by the rows
    `neutral` (layers, I) of a question that asks for nothing in particular (Zhang et al. 2025, arXiv 2502.17422).
    hide_sinks sets the tokens of `sinks` to zero. The image share is the rows' sum over the tokens of all pictures; NaN
    for one word, whose rows need not be attention.
    """
    if word is None:
        words, weights = attention.words, _per_word(attention, rows)
        shares = weights.sum(axis=-1)
    else:
        words, weights, rows = [attention.words[word]], rows[:, None], rows[:, None]
        shares = np.full((len(rows), 1), np.nan, np.float32)
    layout, here = attention.layouts[picture], columns(attention, picture)
    shown = ~sinks(attention)[here] if hide_sinks else np.ones(len(layout.positions), bool)

    def placed(weights: np.ndarray) -> np.ndarray:
        return _placed(layout, weights[..., here].astype(np.float32) * shown, part)

    maps = placed(weights)
    if view == "minus mean":
        maps = np.maximum(maps - placed(rows.mean(axis=1, keepdims=True, dtype=np.float32)), 0)
    elif view == "relative" and neutral is not None:
        usual = placed(neutral[:, None])
        # Where even the neutral question looks at nothing, a ratio would be made of rounding errors.
        maps = maps / (usual + FLOOR * usual.mean(axis=(2, 3), keepdims=True) + np.finfo(np.float32).tiny)
    elif view != "attention":
        raise ValueError(f"There is no view {view!r}{' without neutral rows' if view in VIEWS else ''}.")
    return Grounding(
        image=attention.images[picture],
        words=tuple(word.text for word in words),
        maps=maps,
        layers=tuple(layers),
        image_share=shares,
        box=layout.box,
        method=method,
        model=attention.model,
    )


def default_range(layer_count: int, model: str = "") -> tuple[int, int]:
    """The first and the last layer, both included, that show best what the words of a model look at."""
    start, stop = (share * layer_count for share in LAYERS.get(model, LAYERS[""]))
    return int(start), max(int(start), math.ceil(stop) - 1)


def sinks(attention: Attention) -> np.ndarray:
    """Which image tokens (I,) draw attention whatever is said, so that they tell nothing about a word; bool.

    Such a token gets SINK_RATIO times its picture's average, over heads and layers, in every row of the answer. The
    rule asks nothing of the model, where Kang et al. 2025 (arXiv 2503.03321) look into its activations. An answer of
    fewer than FEWEST_ROWS rows has none: "a purple moon" may well look at the moon with each of its words.
    """
    rows = sorted({row for word in attention.words if word.role == "answer" for row in word.rows})
    found = np.zeros(attention.mean.shape[-1], bool)
    if len(rows) < FEWEST_ROWS:
        return found
    weights = attention.mean[:, rows].mean(axis=0, dtype=np.float32)
    for picture in range(len(attention.layouts)):
        here = weights[:, columns(attention, picture)]
        found[columns(attention, picture)] = (here > SINK_RATIO * here.mean(axis=1, keepdims=True)).all(axis=0)
    return found


def descriptions(attention: Attention) -> dict[int, str]:
    """The description of a toy-world thing that each of `attention.words` belongs to, by index (`toyworld.mentions`).

    Question and answer are read apart. `Truth.mask_of` has the mask of a description, if it is true of a picture.
    """
    found = {}
    for role in ("question", "answer"):
        own = [i for i, word in enumerate(attention.words) if word.role == role]
        found |= {own[i]: phrase for i, phrase in mentions([attention.words[i].text for i in own]).items()}
    return found


def columns(attention: Attention, picture: int) -> slice:
    """The columns of `attention.mean` that are one picture's tokens."""
    counts = [len(layout.positions) for layout in attention.layouts]
    return slice(sum(counts[:picture]), sum(counts[: picture + 1]))


def cells(layout: ImageLayout, part: str = "base") -> np.ndarray:
    """Which of a picture's tokens lies under the centre of each cell of its maps, (h, w) int64."""
    names, grid = _tokens(layout, part)
    across, down = _intervals(layout, names, grid)
    left, top, right, bottom = layout.box

    def nearest(intervals: np.ndarray, start: float, stop: float) -> np.ndarray:
        count = _filled(intervals)
        centres = start + (np.arange(count) + 0.5) * (stop - start) / count
        distance = np.abs(intervals.mean(axis=1) - centres[:, None])
        return np.where(np.diff(intervals)[:, 0] > 0, distance, np.inf).argmin(axis=1)

    rows, chosen = nearest(down, top, bottom), nearest(across, left, right)
    return np.flatnonzero(layout.kind == names).reshape(grid)[np.ix_(rows, chosen)]


def _per_word(attention: Attention, rows: np.ndarray) -> np.ndarray:
    """Rows (L, R, k) as the means over each word's rows, (L, W, k) float32."""
    means = np.zeros((len(attention.words), rows.shape[1]), np.float32)
    for word, row in enumerate(means):
        chosen = list(attention.words[word].rows)
        row[chosen] = 1 / max(len(chosen), 1)
    return means @ rows.astype(np.float32)


def _placed(layout: ImageLayout, weights: np.ndarray, part: str) -> np.ndarray:
    """Weights (..., k) of a picture's tokens on equal cells (..., h, w) of its box; newlines lie nowhere."""
    name, grid = _tokens(layout, part)
    counts = [_filled(intervals) for intervals in _intervals(layout, name, grid)]
    placed = 0
    for source in ("base", "tile") if part == "both" and name == "tile" else (name,):
        source_grid = layout.base_grid if source == "base" else layout.tile_grid
        across, down = _intervals(layout, source, source_grid)
        left, top, right, bottom = layout.box
        patches = weights[..., layout.kind == source].reshape(*weights.shape[:-1], *source_grid)
        # Cells are of one size, so weight per cell is density, and the sum of all cells is the weight of all patches.
        placed = placed + _spread(down, top, bottom, counts[1]) @ patches @ _spread(across, left, right, counts[0]).T
    return placed


def _tokens(layout: ImageLayout, part: str) -> tuple[str, tuple[int, int]]:
    """The kind of the tokens whose grid a part is drawn on, and that grid."""
    if part not in PARTS:
        raise ValueError(f"There is no part {part!r}.")
    tiled = part != "base" and layout.tile_grid is not None and min(layout.tile_grid) > 0
    return ("tile", layout.tile_grid) if tiled else ("base", layout.base_grid)


def _intervals(layout: ImageLayout, kind: str, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where the patches' columns (w, 2) and rows (h, 2) start and stop; padding has no extent."""
    boxes = layout.boxes[layout.kind == kind].reshape(*grid, 4).astype(np.float64)
    return boxes[0][:, [0, 2]], boxes[:, 0][:, [1, 3]]


def _filled(intervals: np.ndarray) -> int:
    return int((intervals[:, 1] > intervals[:, 0]).sum())


def _spread(intervals: np.ndarray, start: float, stop: float, count: int) -> np.ndarray:
    """The share (count, n) of each of n intervals that lies in each of `count` equal cells from start to stop."""
    edges = np.linspace(start, stop, count + 1)
    overlap = np.minimum(intervals[:, 1], edges[1:, None]) - np.maximum(intervals[:, 0], edges[:-1, None])
    length = intervals[:, 1] - intervals[:, 0]
    return np.divide(overlap.clip(0), length, out=np.zeros_like(overlap), where=length > 0).astype(np.float32)
