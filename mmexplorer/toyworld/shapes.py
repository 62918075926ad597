"""The outlines of shapes and glyphs, and the signed distance fields that the renderer samples.

Every shape fills the unit circle, y pointing down; only corners stick out, by an eighth at most. A field is negative
inside, in units of the shape's radius. Coordinates are rounded to six decimals so that another machine's cosine gives
the same field.
"""

import math
from functools import cache
from itertools import pairwise

import numpy as np

from mmexplorer.toyworld.vocabulary import SHAPES

GRID = 128
EXTENT = 1.3  # a field covers [-EXTENT, EXTENT] in both directions
STROKE = 0.13  # half the width of a glyph's strokes

Loop = list[tuple[float, float]]


def _arc(radius: float, start: float, stop: float, x: float = 0.0, y: float = 0.0, steps: int = 40) -> Loop:
    """Points on an arc, angles in degrees clockwise from the right (y points down)."""
    angles = [math.radians(start + (stop - start) * i / steps) for i in range(steps + 1)]
    return [(round(x + radius * math.cos(a), 6), round(y + radius * math.sin(a), 6)) for a in angles]


def _star(inner: float) -> Loop:
    radii = [0.98, inner] * 5
    angles = [math.radians(-90 + 36 * i) for i in range(10)]
    return [(round(r * math.cos(a), 6), round(r * math.sin(a), 6)) for r, a in zip(radii, angles, strict=True)]


def _plus(half: float) -> Loop:
    a = 0.9
    corner = [(half, -a), (half, -half), (a, -half)]
    turned = [[(x, y), (-y, x), (-x, -y), (y, -x)] for x, y in corner]
    return [turned[i][turn] for turn in range(4) for i in range(3)]


def _heart(width: float) -> Loop:
    # Two half discs on top, straight flanks to the point below.
    r = width / 2
    right = _arc(r, -180, 32, x=r, y=-0.3)
    left = [(-x, y) for x, y in reversed(right)]
    return [*right, (0.0, 0.92), *left]


def _moon(depth: float) -> Loop:
    # The disc less a smaller one that leaves a crescent open to the right.
    outer, radius = 0.95, 0.8
    shift = depth
    x = (outer**2 - radius**2 + shift**2) / (2 * shift)
    tip = math.degrees(math.acos(x / outer))
    inner = math.degrees(math.acos((x - shift) / radius))
    return [*_arc(outer, tip, 360 - tip), *reversed(_arc(radius, inner, 360 - inner, x=shift))]


def _arrow(shaft: float, head: float) -> Loop:
    upper = [(-0.95, -shaft), (head, -shaft), (head, -0.65), (0.95, 0.0)]
    return [*upper, *[(x, -y) for x, y in reversed(upper[:-1])]]


def _square(half: float) -> Loop:
    return [(-half, -half), (half, -half), (half, half), (-half, half)]


def _triangle(top: float, half: float) -> Loop:
    return [(0.0, top), (half, 0.68), (-half, 0.68)]


def _diamond(width: float) -> Loop:
    return [(0.0, -0.97), (width, 0.0), (0.0, 0.97), (-width, 0.0)]


# Several variants of each shape, since no two programs draw the same star. Loops are filled by the even-odd rule.
OUTLINES: dict[str, tuple[list[Loop], ...]] = {
    "circle": ([_arc(0.93, 0, 360)],),
    "square": ([_square(0.78)], [_square(0.74)]),
    "triangle": ([_triangle(-0.95, 0.9)], [_triangle(-0.8, 0.92)], [_triangle(-0.98, 0.72)]),
    "star": ([_star(0.38)], [_star(0.45)], [_star(0.52)]),
    "heart": ([_heart(0.9)], [_heart(0.84)], [_heart(0.96)]),
    "cross": ([_plus(0.2)], [_plus(0.28)], [_plus(0.34)]),
    "ring": tuple([_arc(0.95, 0, 360), _arc(inner, 0, 360)] for inner in (0.5, 0.57, 0.64)),
    "diamond": ([_diamond(0.58)], [_diamond(0.66)], [_diamond(0.74)]),
    "moon": ([_moon(0.35)], [_moon(0.45)], [_moon(0.55)]),
    "arrow": ([_arrow(0.2, 0.2)], [_arrow(0.27, 0.05)], [_arrow(0.14, 0.35)]),
    "person": ([_arc(0.3, 0, 360, y=-0.63), [(-0.3, -0.25), (0.3, -0.25), (0.55, 0.95), (-0.55, 0.95)]],),
    "dot": ([_arc(0.95, 0, 360)],),
}

# Glyphs are strokes on a grid of columns 0-2 and rows 0-4; a letter is a list of lines, a line a string of points.
_STROKES = {
    "a": "04 01 10 21 24|02 22", "b": "00 04 14 23 12 02|12 21 10 00", "c": "21 10 01 03 14 23",
    "d": "00 04 14 23 21 10 00", "e": "20 00 04 24|02 12", "f": "20 00 04|02 12", "g": "21 10 01 03 14 23 22 12",
    "h": "00 04|20 24|02 22", "i": "10 14|00 20|04 24", "j": "20 23 14 03", "k": "00 04|20 02 24", "l": "00 04 24",
    "m": "04 00 12 20 24", "n": "04 00 24 20", "o": "10 01 03 14 23 21 10", "p": "04 00 10 21 12 02",
    "q": "10 01 03 14 23 21 10|13 24", "r": "04 00 10 21 12 02|12 24", "s": "21 10 01 12 23 14 03", "t": "00 20|10 14",
    "u": "00 03 14 23 20", "v": "00 14 20", "w": "00 04 12 24 20", "x": "00 24|20 04", "y": "00 12 20|12 14",
    "z": "00 20 04 24", "0": "10 01 03 14 23 21 10|21 03", "1": "01 10 14|04 24", "2": "01 10 21 04 24",
    "3": "00 20 12 23 14 03", "4": "14 10 03 23", "5": "20 00 02 12 23 14 03", "6": "20 10 02 03 14 23 22 02",
    "7": "00 20 14", "8": "12 01 10 21 12 03 14 23 12", "9": "22 02 01 10 21 22 14 04",
}  # fmt: skip


def _segments(name: str) -> list[tuple[float, float, float, float]]:
    place = {p: (round((int(p[0]) - 1) * 0.5, 6), round((int(p[1]) - 2) * 0.45, 6)) for p in _points(name)}
    lines = [line.split() for line in _STROKES[name].split("|")]
    return [(*place[a], *place[b]) for line in lines for a, b in pairwise(line)]


def _points(name: str) -> set[str]:
    return set(_STROKES[name].replace("|", " ").split())


def _axis() -> np.ndarray:
    return ((np.arange(GRID, dtype=np.float64) + 0.5) / GRID * 2 - 1) * EXTENT


def _distance(segments: list[tuple[float, float, float, float]]) -> np.ndarray:
    """Distance of every grid point to the nearest of some line segments, (GRID, GRID)."""
    x, y = np.meshgrid(_axis(), _axis())
    nearest = np.full((GRID, GRID), np.inf)
    for ax, ay, bx, by in segments:
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        nearest = np.minimum(nearest, (x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2)
    return np.sqrt(nearest)


def _filled(loops: list[Loop]) -> np.ndarray:
    """Signed distance to the even-odd filling of closed loops."""
    x, y = np.meshgrid(_axis(), _axis())
    inside = np.zeros((GRID, GRID), dtype=bool)
    segments = []
    for loop in loops:
        for (ax, ay), (bx, by) in zip(loop, [*loop[1:], loop[0]], strict=True):
            segments.append((ax, ay, bx, by))
            if ay != by:
                crosses = (ay > y) != (by > y)
                inside ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    distance = _distance(segments)
    return np.where(inside, -distance, distance)


@cache
def fields() -> tuple[np.ndarray, dict[str, tuple[int, ...]]]:
    """All signed distance fields (k, GRID, GRID) float32, and the rows that belong to each shape or glyph."""
    rows: list[np.ndarray] = []
    index: dict[str, tuple[int, ...]] = {}
    for name, variants in OUTLINES.items():
        index[name] = tuple(range(len(rows), len(rows) + len(variants)))
        rows += [_filled(loops) for loops in variants]
    for name in _STROKES:
        index[name] = (len(rows),)
        rows.append(_distance(_segments(name)) - STROKE)
    return np.stack(rows).astype(np.float32), index


def variants(name: str) -> int:
    """How many ways there are to draw a shape."""
    return len(OUTLINES[name])


assert set(SHAPES) <= set(OUTLINES)
