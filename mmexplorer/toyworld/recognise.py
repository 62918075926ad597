"""What is drawn in a picture: its shapes with colour, size, place and mask, found without a trained model.

An exact parser for pictures like those of `plain_scenes`, sharp or blurred. It knows neither scenes nor prompts, and
says where it is not sure: a part that is no shape of the world has none, and a colour unlike all of the world's has no
name. Things of different colours may touch; touching things of one colour are one part and seldom named. So are things
that the border cuts off. Stripes and thin outlines are not understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.outlines import outline
from mmexplorer.toyworld.parts import Part, parts
from mmexplorer.toyworld.scenes import CANVAS, RADII

if TYPE_CHECKING:
    from PIL import Image

SURE = 0.5  # least certainty with which a shape is named
STRANGE = 0.105  # distance of colours from which one has no name; those of blurred drawings stay below 0.1
LIGHTNESS = 0.6  # weight of a difference in lightness, of which names care less than of hue


@dataclass(frozen=True)
class Seen:
    """A thing in a picture: what it is called, and where it is in pixels of that picture."""

    shape: str  # one of vocabulary.SHAPES, or "" for none of them
    nearest: str  # the one of vocabulary.SHAPES that fits best, sure or not
    colour: str  # one of vocabulary.COLOURS, or "" for none of them
    size: str
    x: float
    y: float
    radius: float
    mask: np.ndarray  # (height, width) bool
    certainty: float  # of the shape, 0 to 1


def things(image: Image.Image) -> tuple[Seen, ...]:
    """The things in a picture whose shorter side has a multiple of 64 pixels, from top to bottom.

    Sizes are those of a canvas of 64 pixels, to which larger pictures are reduced.
    """
    factor = max(1, min(image.size) // CANVAS)
    pixels = np.asarray(image.convert("RGB").reduce(factor))
    return tuple(_seen(part, factor, image) for part in parts(pixels))


def _seen(part: Part, factor: int, image: Image.Image) -> Seen:
    found = outline(part.cover)
    return Seen(
        shape=found.shape if found.certainty >= SURE else "",
        nearest=found.shape,
        colour=colour_name(part.rgb),
        size=min(words.SIZES, key=lambda size: max(RADII[size][0] - found.radius, found.radius - RADII[size][1])),
        x=found.x * factor,
        y=found.y * factor,
        radius=found.radius * factor,
        mask=part.mask.repeat(factor, 0).repeat(factor, 1)[: image.height, : image.width],
        certainty=found.certainty,
    )


def colour_name(rgb: np.ndarray) -> str:
    """The name of the reference that a colour (3,), 0 to 255, resembles most, or "" if it resembles none."""
    names, places = _REFERENCES
    distances = np.sqrt(((places - _perceived(np.clip(rgb, 0, 255))) ** 2).sum(1))
    nearest = int(distances.argmin())
    return names[nearest] if distances[nearest] < STRANGE else ""


def _perceived(rgb: np.ndarray) -> np.ndarray:
    """Colours in Ottosson's Oklab (2020): (n, 3) of lightness, weighted, and two opponent axes, all below 1."""
    encoded = np.asarray(rgb) / 255
    linear = np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    return np.cbrt(linear @ _CONES.T) @ _AXES.T * (LIGHTNESS, 1, 1)


_CONES = np.array(
    [
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    ]
)
_AXES = np.array(
    [
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    ]
)
_REFERENCES = (
    [name for name, shades in words.COLOUR_REFERENCES.items() for _ in shades],
    _perceived([shade for shades in words.COLOUR_REFERENCES.values() for shade in shades]),
)
