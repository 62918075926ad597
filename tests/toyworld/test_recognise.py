"""What is said of a picture is true: measured on held-out scenes, sharp and spoilt, and tried on odd cases."""

import io
import math
import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.recognise import colour_name, things
from mmexplorer.toyworld.renderer import annotate, render
from mmexplorer.toyworld.scenes import Rules

WHITE, RED, BLUE = (255, 255, 255), (220, 30, 40), (40, 90, 220)


def as_jpeg(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


def noisy(image):
    noise = np.random.default_rng(0).normal(0, 6, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


SPOILT = {
    "sharp": lambda image: image,
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(0.8)),
    "noisy": noisy,
    "JPEG": as_jpeg,
    "reduced": lambda image: image.resize((32, 32), Image.BICUBIC).resize((64, 64), Image.BICUBIC),
}


@pytest.fixture(scope="module")
def held_out():
    """Scenes with all pairs of colour and shape, and their pictures."""
    rules = Rules(pairs="any", arrangements="any")
    scenes = [plain_scene(random.Random(f"recognise {seed}"), rules=rules) for seed in range(80)]
    return scenes, [Image.fromarray(pixels) for pixels in render(scenes)]


def nearest(thing, seen):
    """The thing in a picture that lies where a thing of its scene does, or None."""
    near = [one for one in seen if math.dist((one.x, one.y), (thing.x, thing.y)) < 0.5 * thing.radius]
    return min(near, key=lambda one: math.dist((one.x, one.y), (thing.x, thing.y)), default=None)


# Small samples; over 500 scenes nothing was wrong in sharp pictures, and 1.0 % of shapes at most in spoilt ones.
@pytest.mark.parametrize(("spoil", "share"), [("sharp", 0.995), *((name, 0.97) for name in list(SPOILT)[1:])])
def test_held_out_scenes_are_read(held_out, spoil, share):
    right, things_drawn = Counter(), 0
    for scene, image in zip(*held_out, strict=True):
        seen = things(SPOILT[spoil](image))
        right["count"] += len(seen) == len(scene.things)
        for thing in scene.things:
            things_drawn += 1
            found = nearest(thing, seen)
            right.update(
                kind for kind in ("shape", "colour", "size") if found and getattr(found, kind) == getattr(thing, kind)
            )
    assert right["count"] >= share * len(held_out[0])
    for kind in ("shape", "colour", "size"):
        assert right[kind] >= share * things_drawn, kind


def test_masks_and_places_are_the_drawn_ones(held_out):
    for scene, image in zip(*held_out, strict=True):
        seen = things(image)
        for annotation in annotate(scene):
            found = nearest(annotation.thing, seen)
            assert math.dist((found.x, found.y), (annotation.thing.x, annotation.thing.y)) < 0.8
            assert (found.mask & annotation.mask).sum() > 0.93 * (found.mask | annotation.mask).sum()


@pytest.mark.parametrize("factor", [2, 8])
def test_larger_pictures_are_measured_in_their_own_pixels(held_out, factor):
    for image in held_out[1][:10]:
        small, large = things(image), things(image.resize((64 * factor, 64 * factor), Image.NEAREST))
        for one, other in zip(small, large, strict=True):
            assert (one.shape, one.colour, one.size) == (other.shape, other.colour, other.size)
            assert (one.x * factor, one.y * factor, one.radius * factor) == pytest.approx(
                (other.x, other.y, other.radius)
            )
            assert (one.mask == other.mask[::factor, ::factor]).all() and other.mask.shape == (64 * factor, 64 * factor)


def test_a_picture_may_be_of_any_size_and_mode():
    image = Image.new("L", (197, 131), 255)
    ImageDraw.Draw(image).ellipse((40, 40, 90, 90), fill=0)
    (found,) = things(image)
    assert (found.shape, found.colour, found.mask.shape) == ("circle", "black", (131, 197))
    assert (found.x, found.y) == pytest.approx((65.5, 65.5), abs=1)


@pytest.fixture
def canvas():
    """A white picture of 64 pixels with its brush, which draws at an eighth of a pixel when `small` is called."""
    image = Image.new("RGB", (512, 512), WHITE)
    draw = ImageDraw.Draw(image)

    def seen():
        return {(one.shape, one.colour): one for one in things(image.reduce(8))}

    return draw, seen


def test_touching_things_of_two_colours_are_two(canvas):
    draw, seen = canvas
    draw.ellipse((80, 160, 260, 340), fill=RED)
    draw.rectangle((261, 160, 430, 330), fill=BLUE)
    assert set(seen()) == {("circle", "red"), ("square", "blue")}


def test_touching_things_of_one_colour_are_one_without_a_name(canvas):
    draw, seen = canvas
    draw.ellipse((80, 160, 260, 340), fill=RED)
    draw.rectangle((261, 160, 430, 330), fill=RED)
    assert set(seen()) == {("", "red")}


def test_half_a_circle_and_half_a_square_is_neither(canvas):
    draw, seen = canvas
    draw.rounded_rectangle((150, 150, 370, 370), 62, fill=RED)
    assert set(seen()) == {("", "red")}


def test_a_hole_is_not_part_of_a_ring_and_may_hold_something(canvas):
    draw, seen = canvas
    draw.ellipse((100, 100, 400, 400), outline=RED, width=64)
    assert not seen()["ring", "red"].mask[31, 31]
    draw.ellipse((210, 210, 290, 290), fill=BLUE)
    assert set(seen()) == {("ring", "red"), ("circle", "blue")}


def test_what_is_cut_in_half_by_the_border_has_no_shape(canvas):
    draw, seen = canvas
    draw.ellipse((-100, 150, 100, 350), fill=RED)
    assert set(seen()) == {("", "red")}


def test_strange_colours_have_no_name(canvas):
    draw, seen = canvas
    draw.ellipse((150, 150, 350, 350), fill=(139, 69, 19))
    assert set(seen()) == {("circle", "")}


def test_every_reference_has_its_name():
    for name, shades in words.COLOUR_REFERENCES.items():
        assert {colour_name(np.array(shade)) for shade in shades} == {name}


@pytest.mark.parametrize(
    ("rgb", "name"), [((0, 200, 220), ""), ((139, 69, 19), ""), ((255, 255, 255), ""), ((200, 200, 200), "gray"),
                      ((300, -20, 0), "red"), ((60, 60, 255), "blue")],
)  # fmt: skip
def test_colours_are_named_as_people_do(rgb, name):
    assert colour_name(np.array(rgb)) == name
