"""Pictures and masks against hand-computed values, against each other, and against stored hashes."""

import hashlib
import itertools
import math

import numpy as np
import pytest

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.renderer import annotate, render
from mmexplorer.toyworld.scenes import CANVAS, KINDS, Look, Sampler, rng_for

# Made on Linux x86-64 with Python 3.11 and NumPy 2; any other machine must agree.
PICTURES_SHA256 = "7bb6b4b75e24af1a2344e4533a74b5006036ce5f2660bce772aaf50f88191dc8"
MASKS_SHA256 = "6d16bb17f250a6577a9ba51fce61f191d0d72688406cf7cee93288d9a685a4f2"


@pytest.fixture(scope="module")
def reference_scenes():
    return [Sampler(rng_for("reference", seed)).scene(kind) for kind in KINDS for seed in range(10)]


def test_a_seed_decides_every_pixel_on_every_machine(reference_scenes):
    pictures = render(reference_scenes)
    assert pictures.shape == (len(reference_scenes), CANVAS, CANVAS, 3) and pictures.dtype == np.uint8
    assert hashlib.sha256(pictures.tobytes()).hexdigest() == PICTURES_SHA256


def test_a_seed_decides_every_mask_on_every_machine(reference_scenes):
    masks = b"".join(annotation.mask.tobytes() for scene in reference_scenes for annotation in annotate(scene))
    assert hashlib.sha256(masks).hexdigest() == MASKS_SHA256


def test_a_batch_is_the_same_as_one_by_one(reference_scenes):
    together = render(reference_scenes)
    alone = np.concatenate([render([scene]) for scene in reference_scenes])
    assert np.array_equal(together, alone)


def test_circle_has_the_area_of_a_circle(make_thing, make_scene):
    mask = annotate(make_scene(make_thing("circle")))[0].mask
    area = math.pi * (0.93 * 20) ** 2  # the outline's radius is 0.93 of the thing's
    assert abs(mask.sum() - area) < 0.03 * area
    rows, columns = np.nonzero(mask)
    assert rows.mean() == pytest.approx(31.5, abs=0.1) and columns.mean() == pytest.approx(31.5, abs=0.1)


def test_square_has_the_box_of_a_square(make_thing, make_scene):
    (annotation,) = annotate(make_scene(make_thing("square", x=30.0, y=34.0, radius=16 / 0.78)))
    # Half a side is 16: pixel centres from 14.5 to 45.5 and from 18.5 to 49.5 lie inside.
    assert annotation.box == (14, 18, 46, 50)
    assert annotation.mask.sum() == 32 * 32


def test_colours_at_centre_and_corner(make_thing, make_scene):
    thing = make_thing("circle", rgb=(10, 200, 30))
    (picture,) = render([make_scene(thing, background=(250, 240, 230), second=(250, 240, 230))])
    assert picture[32, 32].tolist() == [10, 200, 30]
    assert picture[0, 0].tolist() == picture[63, 63].tolist() == [250, 240, 230]


def test_gradient_runs_from_one_colour_to_the_other(make_scene):
    (picture,) = render([make_scene(background=(0, 10, 20), second=(63, 10, 20), seed=1)])
    assert picture[:, 5, 0].tolist() == list(range(64))
    assert (picture[..., 1:] == (10, 20)).all()


def test_mask_covers_what_was_painted(make_thing, make_scene):
    for shape in (*words.SHAPES, "person"):
        scene = make_scene(make_thing(shape, look=Look(angle=10.0)))
        painted = render([scene])[0, ..., 1] < 128  # red on white: green tells how much of a pixel is covered
        mask = annotate(scene)[0].mask
        assert (painted ^ mask).sum() <= 0.03 * mask.sum(), shape


def test_box_is_tight_around_the_mask(reference_scenes):
    for scene in reference_scenes:
        for annotation in annotate(scene):
            left, top, right, bottom = annotation.box
            window = annotation.mask[top:bottom, left:right]
            assert window.sum() == annotation.mask.sum() > 0
            assert window[0].any() and window[-1].any() and window[:, 0].any() and window[:, -1].any()


def test_a_later_thing_covers_an_earlier_one(make_thing, make_scene):
    under = make_thing("circle", x=26.0, radius=14.0)
    over = make_thing("square", x=38.0, radius=14.0, rgb=(0, 0, 255))
    scene = make_scene(under, over)
    below, above = annotate(scene)
    assert render([scene])[0, 32, 32].tolist() == [0, 0, 255]
    assert above.mask[32, 32] and not below.mask[32, 32]
    assert not (below.mask & above.mask).any()
    whole = annotate(make_scene(under))[0].mask
    assert np.array_equal(below.mask, whole & ~above.mask) and below.mask.sum() < whole.sum()
    assert np.array_equal(above.mask, annotate(make_scene(over))[0].mask)


def _similarity(a, b):
    return (a & b).sum() / (a | b).sum()


def test_all_shapes_look_different(make_thing, make_scene):
    masks = [annotate(make_scene(make_thing(shape)))[0].mask for shape in (*words.SHAPES, "person")]
    assert max(_similarity(a, b) for a, b in itertools.combinations(masks, 2)) < 0.9


def test_all_glyphs_look_different(make_thing, make_scene):
    glyphs = words.LETTERS + words.DIGITS
    masks = [annotate(make_scene(make_thing("word", text=glyph, radius=9.0)))[0].mask for glyph in glyphs]
    assert max(_similarity(a, b) for a, b in itertools.combinations(masks, 2)) < 0.95


def test_ring_has_a_hole_and_outline_is_hollow_to_the_eye_only(make_thing, make_scene):
    ring, outline = make_scene(make_thing("ring")), make_scene(make_thing("circle", fill="outline"))
    assert render([ring, outline])[:, 32, 32].tolist() == [[255, 255, 255]] * 2
    assert not annotate(ring)[0].mask[32, 32]
    assert annotate(outline)[0].mask[32, 32], "the silhouette of an outlined circle is its disc"


def test_stripes_alternate_between_a_colour_and_its_tint(make_thing, make_scene):
    (picture,) = render([make_scene(make_thing("square", fill="striped"))])
    colours = {tuple(pixel) for pixel in picture[22:42, 22:42].reshape(-1, 3).tolist()}
    assert colours == {(255, 0, 0), (255, 158, 158)}  # 0.62 of the way to white


@pytest.mark.parametrize("direction", words.DIRECTIONS)
def test_arrow_points_where_it_says(make_thing, make_scene, direction):
    angle = 90.0 * words.DIRECTIONS.index(direction)
    mask = annotate(make_scene(make_thing("arrow", direction=direction, look=Look(angle=angle))))[0].mask
    across = mask.sum(0) if direction in ("left", "right") else mask.sum(1)
    widest = int(across.argmax())  # the barbs of the head
    assert (widest > 33) if direction in ("right", "down") else (widest < 30)


def test_mirroring_turns_a_moon_round(make_thing, make_scene):
    plain, mirrored = (
        annotate(make_scene(make_thing("moon", look=Look(mirrored=flag))))[0].mask for flag in (False, True)
    )
    assert np.array_equal(plain, mirrored[:, ::-1]) and not np.array_equal(plain, mirrored)


def test_only_a_person_who_faces_us_has_eyes(make_thing, make_scene):
    scenes = [make_scene(make_thing("person", facing=facing)) for facing in ("viewer", "away")]
    head = np.s_[14:24, 26:38]
    eyed, blind = ((picture[head] == 255).all(-1) & annotate(scene)[0].mask[head] for picture, scene in zip(
        render(scenes), scenes, strict=True))  # fmt: skip
    assert eyed.sum() >= 2 and not blind.any()
    assert np.array_equal(annotate(scenes[0])[0].mask, annotate(scenes[1])[0].mask)


def test_a_word_is_as_wide_as_its_letters(make_thing, make_scene):
    left, top, right, bottom = annotate(make_scene(make_thing("word", text="hhh", radius=8.0)))[0].box
    # Three letters 1.24 radii apart, each one radius and two half strokes of 0.13 wide; 1.8 radii and strokes high.
    assert right - left == pytest.approx(8 * (2 * 1.24 + 1 + 0.26), abs=1.5)
    assert bottom - top == pytest.approx(8 * (1.8 + 0.26), abs=1.5)


def test_noise_comes_from_the_seed_and_stays_within_its_grain(make_scene):
    grey = {"background": (120, 120, 120), "second": (120, 120, 120), "grain": 20}
    first, again, other = render([make_scene(**grey, seed=seed) for seed in (1, 1, 2)])
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    noise = first.astype(int) - 120
    assert noise.min() == -20 and noise.max() == 20
    assert abs(noise.mean()) < 0.5 and noise.std() == pytest.approx(20 / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_texture_mixes_two_colours(make_scene, seed):
    scene = make_scene(style="textured", background=(200, 200, 200), second=(220, 220, 220), seed=seed)
    (picture,) = render([scene])
    assert picture.min() >= 200 and picture.max() <= 220 and len(np.unique(picture)) >= 2


@pytest.mark.parametrize("canvas", [(128, 128), (192, 64), (64, 96)])
def test_a_larger_canvas_moves_things_and_changes_nothing_else(make_thing, make_scene, canvas):
    width, height = canvas
    small = make_scene(make_thing("star"))
    moved = make_thing("star", x=width - 32.0, y=height - 32.0)
    large = make_scene(moved, canvas=canvas)
    assert np.array_equal(render([large])[0, height - 64 :, width - 64 :], render([small])[0])
    (annotation,), (alone,) = annotate(large), annotate(small)
    assert annotation.mask.shape == (height, width)
    assert np.array_equal(annotation.mask[height - 64 :, width - 64 :], alone.mask)
    assert annotation.mask.sum() == alone.mask.sum()


@pytest.mark.parametrize("style", words.STYLES)
def test_backgrounds_fill_larger_canvases(make_scene, style):
    colours = {"background": (250, 240, 230), "second": (200, 190, 180)}
    for seed in range(3):  # the three textures
        scene = make_scene(style=style, canvas=(192, 64), grain=20 * (style == "noisy"), seed=seed, **colours)
        (picture,) = render([scene])
        assert picture.shape == (64, 192, 3) and (picture > 140).all()


def test_scenes_of_different_sizes_are_not_drawn_together(make_scene):
    with pytest.raises(ValueError):
        render([make_scene(), make_scene(canvas=(128, 64))])
