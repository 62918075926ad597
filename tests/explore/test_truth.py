"""The truth about drawn pictures: masks of phrases by hand, files and back, and scenes at the size they are shown."""

import numpy as np
import pytest
from PIL import Image

from mmexplorer.explore.experiments import ASSETS
from mmexplorer.explore.truth import DRAWN_SIDE, Truth, draw_scene, load_truth, save_truth
from mmexplorer.toyworld.scenes import KINDS, Look, Thing

PICTURES = sorted(p for p in (ASSETS / "images" / "zero_shot").glob("*.png") if not p.name.endswith(".mask.png"))


def thing(shape, colour, **fields):
    return Thing(shape, colour, "small", "solid", 1.5, 1.5, 1.0, (1, 2, 3), **fields)


@pytest.fixture
def known():
    """A red circle in the left column, a red star in the middle, a word in the right, of a picture 3 wide, 2 high."""
    masks = np.zeros((3, 2, 3), bool)
    for column in range(3):
        masks[column, :, column] = True
    things = (thing("circle", "red", look=Look(angle=30.0)), thing("star", "red"), thing("word", "blue", text="cat"))
    return Truth(things, masks)


@pytest.mark.parametrize(
    ("phrase", "columns"),
    [("a red circle", [1, 0, 0]), ("red shapes", [1, 1, 0]), ("a star and the word cat", [0, 1, 1])],
)
def test_a_phrases_mask_is_that_of_everything_it_describes(known, phrase, columns):
    np.testing.assert_array_equal(known.mask_of(phrase), np.tile(np.array(columns, bool), (2, 1)))


def test_phrases_that_describe_nothing_have_no_mask(known):
    assert known.mask_of("a green heart") is None
    assert set(known.masks_of(["a star", "a green heart", "red"])) == {"a star", "red"}


def test_files_give_back_what_was_saved(known, tmp_path):
    picture = tmp_path / "picture.png"
    save_truth(picture, known)
    again = load_truth(picture)
    assert again.things == known.things
    np.testing.assert_array_equal(again.masks, known.masks)


def test_where_things_cover_each_other_the_one_painted_last_is_seen(tmp_path):
    both = np.ones((2, 4, 4), bool)
    both[1, :, 2:] = False
    save_truth(tmp_path / "a.png", Truth((thing("circle", "red"), thing("star", "red")), both))
    masks = load_truth(tmp_path / "a.png").masks
    np.testing.assert_array_equal(masks[1], both[1])
    np.testing.assert_array_equal(masks[0], ~both[1])


def test_a_visitors_own_picture_has_no_truth(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "own.png")
    assert load_truth(tmp_path / "own.png") is None


@pytest.mark.parametrize("side", [64, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_drawn_scenes_are_reproducible_and_shown_with_square_pixels(kind, side):
    picture, known = draw_scene(seed=3, kind=kind, side=side)
    again, same = draw_scene(seed=3, kind=kind, side=side)
    assert picture.size == (DRAWN_SIDE, DRAWN_SIDE)
    assert known.masks.shape == (len(known.things), DRAWN_SIDE, DRAWN_SIDE)
    assert picture.tobytes() == again.tobytes()
    assert known.things == same.things
    for array in (np.array(picture), known.masks.transpose(1, 2, 0)):
        blocks = array.reshape(side, DRAWN_SIDE // side, side, DRAWN_SIDE // side, -1)
        assert (blocks == blocks[:, :1, :, :1]).all()


def test_without_a_seed_every_scene_is_another():
    assert len({draw_scene()[0].tobytes() for _ in range(4)}) == 4


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_every_shipped_picture_knows_its_things(path):
    known = load_truth(path)
    width, height = Image.open(path).size
    assert known.masks.shape == (len(known.things), height, width)
    assert known.masks.any(axis=(1, 2)).all()
    for one in known.things:
        phrase = f"the word {one.text}" if one.text else f"a {one.colour} {one.shape}"
        assert known.mask_of(phrase)[known.masks[known.things.index(one)]].all()
