"""The world's shapes as another program draws them: PIL's ImageDraw with CSS colours, nothing from our renderer.

Sizes, backgrounds, thin outlines, rims and JPEG artefacts vary. A model that only knows our renderer's pixels fails
here; a visitor's drawing looks like this.
"""

import io
import math
import random

from PIL import Image, ImageColor, ImageDraw

from mmexplorer.toyworld.vocabulary import COLOURS, SHAPES

BACKGROUNDS = ("white", "white", "whitesmoke", "ivory", "lightblue", "beige", "midnightblue", "darkslategray")


def draw(colour: str, shape: str, rng: random.Random) -> Image.Image:
    """One picture of one shape, between 96 and 512 pixels square."""
    side = rng.choice((96, 128, 224, 256, 384, 512))
    ink = ImageColor.getrgb(colour)
    ground = rng.choice([b for b in BACKGROUNDS if _distance(ImageColor.getrgb(b), ink) > 150] or ["black"])
    picture = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(picture)
    radius = side * rng.uniform(0.14, 0.4)
    x, y = (rng.uniform(radius * 1.1, side - radius * 1.1) for _ in range(2))
    style = rng.choice(("filled", "filled", "outline", "rimmed"))
    width = max(2, round(side * rng.uniform(0.012, 0.035)))
    fill = None if style == "outline" and shape != "ring" else ink
    rim = ink if style == "outline" else ("black" if style == "rimmed" else None)
    _DRAW[shape](pen, x, y, radius, fill, rim, width, ground)
    if rng.random() < 0.4:
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=rng.randint(30, 75))
        picture = Image.open(data).convert("RGB")
    return picture


def _distance(a, b) -> int:
    return sum(abs(p - q) for p, q in zip(a, b, strict=True))


def _polygon(points):
    def put(pen, x, y, r, fill, rim, width, ground):
        corners = [(x + r * u, y + r * v) for u, v in points]
        pen.polygon(corners, fill=fill, outline=rim, width=width if rim else 1)

    return put


def _circle(pen, x, y, r, fill, rim, width, ground):
    pen.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=rim, width=width if rim else 1)


def _ring(pen, x, y, r, fill, rim, width, ground):
    pen.ellipse((x - r, y - r, x + r, y + r), outline=fill, width=max(3, round(r * 0.38)))


def _moon(pen, x, y, r, fill, rim, width, ground):
    # A crescent's outline by two arcs; filled, it is a disc with a bite of the background's colour.
    if fill is None:
        points = [(x + r * math.cos(a), y + r * math.sin(a)) for a in _angles(50, 310)]
        points += [(x + 0.45 * r + 0.82 * r * math.cos(a), y + 0.82 * r * math.sin(a)) for a in _angles(290, 70)]
        pen.polygon(points, outline=rim, width=width)
        return
    pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    pen.ellipse((x - 0.4 * r, y - 0.85 * r, x + 1.3 * r, y + 0.85 * r), fill=ground)


def _heart(pen, x, y, r, fill, rim, width, ground):
    angles = _angles(0, 360)
    points = [
        (
            x + r * 0.95 * math.sin(a) ** 3,
            y - r * (0.8 * math.cos(a) - 0.31 * math.cos(2 * a) - 0.12 * math.cos(3 * a) - 0.06 * math.cos(4 * a)),
        )
        for a in angles
    ]
    pen.polygon(points, fill=fill, outline=rim, width=width if rim else 1)


def _angles(start: float, stop: float, steps: int = 48) -> list[float]:
    return [math.radians(start + (stop - start) * i / steps) for i in range(steps + 1)]


def _star_points(inner: float) -> list[tuple[float, float]]:
    radii = (1.0, inner)
    return [(radii[i % 2] * math.sin(math.pi * i / 5), -radii[i % 2] * math.cos(math.pi * i / 5)) for i in range(10)]


_CROSS = [(-0.3, -0.9), (0.3, -0.9), (0.3, -0.3), (0.9, -0.3), (0.9, 0.3), (0.3, 0.3)]
_CROSS += [(0.3, 0.9), (-0.3, 0.9), (-0.3, 0.3), (-0.9, 0.3), (-0.9, -0.3), (-0.3, -0.3)]
_ARROW = [(-0.9, -0.25), (0.15, -0.25), (0.15, -0.6), (0.9, 0), (0.15, 0.6), (0.15, 0.25), (-0.9, 0.25)]

_DRAW = {
    "circle": _circle,
    "square": _polygon([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]),
    "triangle": _polygon([(0, -0.9), (0.95, 0.75), (-0.95, 0.75)]),
    "star": _polygon(_star_points(0.42)),
    "heart": _heart,
    "cross": _polygon(_CROSS),
    "ring": _ring,
    "diamond": _polygon([(0, -1), (0.65, 0), (0, 1), (-0.65, 0)]),
    "moon": _moon,
    "arrow": _polygon(_ARROW),
}
assert set(_DRAW) == set(SHAPES) and len(COLOURS) == 9
