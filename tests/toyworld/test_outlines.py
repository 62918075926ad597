"""Every shape of the world is told from the others, and what is none of them is not taken for one."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.outlines import outline
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Look
from mmexplorer.toyworld.shapes import variants

FINE = 8  # cells in a pixel of the shapes drawn here


def cover_of(make_scene, make_thing, shape, **changes):
    """The soft mask of a black shape on white."""
    look = Look(**{key: changes.pop(key) for key in ("variant", "angle", "aspect", "mirrored") if key in changes})
    scene = make_scene(make_thing(shape, rgb=(0, 0, 0), look=look, **changes))
    return 1 - render([scene])[0, ..., 0] / np.float32(255)


def drawn(paint) -> np.ndarray:
    """The soft mask of what is painted on a fine grid, by another program than the renderer."""
    picture = Image.new("L", (64 * FINE, 64 * FINE))
    paint(ImageDraw.Draw(picture), lambda *places: [FINE * place for place in places])
    return np.asarray(picture.reduce(FINE)) / np.float32(255)


@pytest.mark.parametrize("shape", words.SHAPES)
@pytest.mark.parametrize("radius", [7.0, 11.0, 18.0])
def test_every_variant_is_known_with_its_place_and_radius(make_scene, make_thing, shape, radius):
    for variant in range(variants(shape)):
        for angle in (0, 90, 180, 270) if shape == "arrow" else (-6, 6):
            pose = {"x": 29.3, "y": 34.6, "radius": radius, "variant": variant, "angle": angle}
            found = outline(cover_of(make_scene, make_thing, shape, **pose))
            assert found.shape == shape
            assert found.certainty > 0.5
            assert abs(found.x - 29.3) < 0.08 * radius and abs(found.y - 34.6) < 0.08 * radius
            assert abs(found.radius / radius - 1) < 0.1


def test_a_mirrored_moon_is_a_moon(make_scene, make_thing):
    assert outline(cover_of(make_scene, make_thing, "moon", mirrored=True, angle=12)).shape == "moon"


def test_another_programs_shapes_are_known():
    shapes = {
        "circle": lambda d, at: d.ellipse(at(18, 16, 46, 44), fill=255),
        "square": lambda d, at: d.rectangle(at(18, 16, 45, 43), fill=255),
        "diamond": lambda d, at: d.polygon(at(32, 14, 42, 30, 32, 46, 22, 30), fill=255),
        "triangle": lambda d, at: d.polygon(at(32, 12, 46, 40, 18, 40), fill=255),
        "ring": lambda d, at: d.ellipse(at(16, 16, 48, 48), outline=255, width=7 * FINE),
    }
    found = {name: outline(drawn(paint)) for name, paint in shapes.items()}
    assert {name: one.shape for name, one in found.items()} == {name: name for name in shapes}
    assert min(one.certainty for one in found.values()) > 0.7


@pytest.mark.parametrize(
    "paint",
    [
        pytest.param(lambda d, at: d.rounded_rectangle(at(18, 18, 46, 46), 8 * FINE, fill=255), id="half a square"),
        pytest.param(lambda d, at: d.rectangle(at(10, 26, 54, 46), fill=255), id="long rectangle"),
        pytest.param(lambda d, at: d.rectangle(at(10, 30, 54, 34), fill=255), id="bar"),
        pytest.param(lambda d, at: d.pieslice(at(16, 16, 48, 48), 0, 180, fill=255), id="half disc"),
        pytest.param(lambda d, at: d.ellipse(at(10, 24, 54, 44), fill=255), id="long ellipse"),
        pytest.param(
            lambda d, at: (d.ellipse(at(10, 22, 32, 44), fill=255), d.ellipse(at(31, 22, 53, 44), fill=255)),
            id="two circles that touch",
        ),
    ],
)
def test_what_is_no_shape_or_between_two_is_unsure(paint):
    assert outline(drawn(paint)).certainty < 0.5


def test_certainty_falls_as_a_square_becomes_a_circle():
    def rounded(corner):
        return outline(drawn(lambda d, at: d.rounded_rectangle(at(18, 18, 46, 46), corner * FINE, fill=255)))

    square, nearly, half, circle = (rounded(corner) for corner in (0, 3, 8, 14))
    assert (square.shape, nearly.shape, circle.shape) == ("square", "square", "circle")
    assert square.certainty > nearly.certainty > half.certainty < circle.certainty


@pytest.mark.parametrize("cells", [1, 2, 12])
def test_tiny_masks_are_no_error(cells):
    cover = np.zeros((64, 64), np.float32)
    cover[3, 3 : 3 + cells] = 1
    found = outline(cover)
    assert np.isfinite([found.x, found.y, found.radius, found.certainty]).all()
