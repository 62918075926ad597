"""Which shape a soft mask has: compared with masks that the renderer draws of every shape, variant and direction.

Masks are brought to one place and size by their first and second moments. A drawn shape may then still differ from
its template by a little shift, scale, turn, stretch and blur; the part of the difference that these explain
is free up to a penalty, as in the tangent distance of Simard, LeCun and Denker (1993). Knows nothing of colours.
"""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Look, Scene, Thing
from mmexplorer.toyworld.shapes import EXTENT, variants

GRID = 26  # cells on each side of a template
REACH = 2.6  # half its side, in radii of gyration
RADII = (6.0, 8.0, 10.5, 14.0, 19.0, 26.0)  # pixels: templates are drawn in several sizes, as small ones are softer
ASPECTS = (0.95, 1.05)  # the renderer stretches by making one side shorter, so their radius is not that of 1
GYRATION = 0.62  # usual radius of gyration of a shape of radius 1
# How far a drawn shape usually lies from its template: radii of gyration, shares, radians, shares, pixels.
SPREADS = {"x": 0.04, "y": 0.04, "scale": 0.04, "turn": 0.09, "stretch": 0.06, "blur": 1.2}
PENALTY = 0.5  # cells, for one spread
STRANGER = 0.12  # a difference, as a share of the mask, at which a shape is none of ours


@dataclass(frozen=True)
class Outline:
    """A shape with its middle and radius in pixels, and how sure that is.

    The certainty is 0 where another shape, or none at all, would explain the mask as well, and 1 for a perfect fit.
    """

    shape: str
    x: float
    y: float
    radius: float
    certainty: float


@dataclass(frozen=True)
class _Templates:
    masks: np.ndarray  # (n, GRID * GRID) float32
    tangents: np.ndarray  # (n, t, GRID * GRID) float32: whitened, so that products with them are what they explain
    shapes: np.ndarray  # (n,) index in vocabulary.SHAPES
    poses: np.ndarray  # (n, 3): middle less centroid, and radius, in radii of gyration


def outline(cover: np.ndarray) -> Outline:
    """The shape of a soft mask (h, w) with values from 0 to 1, at least one of them positive."""
    mask, x, y, gyration = _normalised(cover)
    templates = _templates(int(np.argmin([abs(np.log(gyration / GYRATION / radius)) for radius in RADII])))
    difference = mask - templates.masks
    free = (templates.tangents @ difference[:, :, None])[..., 0]
    size = np.maximum((templates.masks**2).sum(1), (mask**2).sum())
    error = ((difference**2).sum(1) - (free**2).sum(1)) / size
    best = int(error.argmin())
    others = error[templates.shapes != templates.shapes[best]].min()
    dx, dy, radius = templates.poses[best] * gyration
    certainty = max(0.0, 1 - float(error[best] / min(others, STRANGER)))
    return Outline(words.SHAPES[templates.shapes[best]], x + float(dx), y + float(dy), float(radius), certainty)


def _normalised(cover: np.ndarray) -> tuple[np.ndarray, float, float, float]:
    """A mask (GRID * GRID,) about its centroid, with the centroid and the radius of gyration in pixels."""
    down, across = cover.sum(1), cover.sum(0)
    total = float(down.sum())
    rows, columns = (np.arange(side) + 0.5 for side in cover.shape)
    y, x = float(down @ rows) / total, float(across @ columns) / total
    gyration = max(0.5, float(np.sqrt((down @ (rows - y) ** 2 + across @ (columns - x) ** 2) / total)))
    steps = ((np.arange(GRID) + 0.5) / GRID * 2 - 1) * REACH * gyration
    (top, low), (left, far) = (_between(middle + steps, side) for middle, side in zip((y, x), cover.shape, strict=True))
    framed = np.pad(cover, 1)
    lines = framed[top] * (1 - low)[:, None] + framed[top + 1] * low[:, None]
    return (lines[:, left] * (1 - far) + lines[:, left + 1] * far).astype(np.float32).ravel(), x, y, gyration


def _between(places: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixel before each place, counted with a frame of one pixel, and the share of the next one."""
    places = np.clip(places + 0.5, 0, side + 1 - 1e-6)
    before = places.astype(int)
    return before, (places - before).astype(np.float32)


def _looks() -> list[tuple[int, Look]]:
    looks = []
    for index, shape in enumerate(words.SHAPES):
        turns = (0, 90, 180, 270) if shape == "arrow" else (0,)
        angles = range(-30, 31, 10) if shape == "moon" else (0,) if shape in ("circle", "ring") else (-8, 0, 8)
        mirrored = (False, True) if shape == "moon" else (False,)
        poses = product(range(variants(shape)), turns, angles, ASPECTS, mirrored)
        looks += [(index, Look(v, turn + angle, aspect, mirrored=flip)) for v, turn, angle, aspect, flip in poses]
    return looks


@cache
def _templates(level: int) -> _Templates:
    radius, looks = RADII[level], _looks()
    side = int(2 * radius * EXTENT) + 8
    middle, white, black = side / 2, (255, 255, 255), (0, 0, 0)
    scenes = [
        Scene((Thing(words.SHAPES[index], "black", "", "solid", middle, middle, radius, black, look),),
              "single", "plain", white, white, 0, 0, (side, side))
        for index, look in looks
    ]  # fmt: skip
    masks, x, y, gyration = zip(
        *(_normalised(1 - picture[..., 0] / np.float32(255)) for picture in render(scenes)), strict=True
    )
    masks, x, y, gyration = (np.array(values) for values in (masks, x, y, gyration))
    tangents = _tangents(masks.reshape(-1, GRID, GRID), gyration)
    gram = tangents @ tangents.transpose(0, 2, 1) + PENALTY * np.eye(tangents.shape[1])
    whitened = np.linalg.solve(np.linalg.cholesky(gram), tangents).astype(np.float32)
    poses = np.stack([(middle - x) / gyration, (middle - y) / gyration, radius / gyration], 1)
    return _Templates(masks, whitened, np.array([index for index, _ in looks]), poses)


def _tangents(masks: np.ndarray, gyration: np.ndarray) -> np.ndarray:
    """How masks (n, GRID, GRID) change with each of SPREADS, (n, t, GRID * GRID) float32."""
    cell = 2 * REACH / GRID  # radii of gyration
    down, across = np.gradient(masks, axis=(1, 2))
    bent = np.gradient(down, axis=1) + np.gradient(across, axis=2)
    y, x = np.mgrid[0:GRID, 0:GRID] - (GRID - 1) / 2
    changes = {
        "x": across / cell,
        "y": down / cell,
        "scale": x * across + y * down,
        "turn": x * down - y * across,
        "stretch": x * across - y * down,
        # The heat equation: a Gaussian blur of width s adds s^2 / 2 of the Laplacian.
        "blur": bent / (gyration * cell)[:, None, None] ** 2 / 2 * SPREADS["blur"],
    }
    stacked = np.stack([changes[name] * spread for name, spread in SPREADS.items()], 1)
    return stacked.reshape(*stacked.shape[:2], -1).astype(np.float32)
