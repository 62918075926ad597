"""What stands out from a background is found in parts of one colour; what does not is left out."""

import numpy as np
import pytest

from mmexplorer.toyworld.parts import LEAST, parts

WHITE, RED, BLUE = (255, 255, 255), (220, 30, 40), (40, 90, 220)


def picture(*boxes, ground=WHITE):
    """Boxes (left, top, right, bottom, colour), each painted over those before."""
    pixels = np.full((64, 64, 3), ground, float)
    for left, top, right, bottom, colour in boxes:
        pixels[top:bottom, left:right] = colour
    return pixels


def test_a_box_is_one_part_with_its_mask_and_colour():
    (part,) = parts(picture((10, 20, 30, 50, RED)))
    expected = np.zeros((64, 64), bool)
    expected[20:50, 10:30] = True
    assert (part.mask == expected).all()
    assert np.allclose(part.cover, expected, atol=1e-3)
    assert np.allclose(part.rgb, RED, atol=0.5)


def test_cover_is_the_share_of_the_colour():
    pixels = picture((10, 10, 30, 30, RED))
    pixels[10:30, 30] = 0.25 * np.array(RED) + 0.75 * np.array(WHITE)
    (part,) = parts(pixels)
    assert np.allclose(part.cover[10:30, 30], 0.25, atol=0.01)
    assert not part.mask[:, 30].any()


@pytest.mark.parametrize("down", [True, False])
def test_a_gradient_is_background(down):
    ramp = np.linspace(0, 1, 64)[:, None, None] if down else np.linspace(0, 1, 64)[None, :, None]
    pixels = np.array((200, 215, 230)) + ramp * np.array((40, -20, 20)) + np.zeros((64, 64, 1))
    assert parts(pixels) == []
    pixels[20:40, 20:40] = BLUE
    assert [part.mask.sum() for part in parts(pixels)] == [400]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RED, BLUE),
        (RED, (250, 140, 20)),
        (RED, (250, 110, 180)),
        ((15, 15, 20), (140, 140, 145)),
        (BLUE, (130, 50, 180)),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_touching_parts_of_two_colours_are_split(one, other, swapped):
    a, b = (other, one) if swapped else (one, other)
    found = parts(picture((10, 20, 30, 40, a), (30, 24, 50, 44, b)))
    assert len(found) == 2
    assert all(abs(int(part.mask.sum()) - 400) <= 4 for part in found), "only at the corners is the border in doubt"
    for colour in (a, b):
        assert any(np.allclose(part.rgb, colour, atol=1) for part in found)


def test_a_part_on_another_one_is_taken_out_of_it():
    found = parts(picture((10, 10, 50, 50, RED), (20, 20, 30, 30, BLUE)))
    assert sorted(int(part.mask.sum()) for part in found) == [100, 1500]


def test_touching_parts_of_one_colour_are_one():
    assert len(parts(picture((10, 20, 30, 40, RED), (30, 24, 50, 44, RED)))) == 1
    assert len(parts(picture((10, 20, 29, 40, RED), (31, 24, 50, 44, RED)))) == 2


def test_diagonal_neighbours_are_connected():
    found = parts(picture((10, 10, 20, 20, RED), (20, 20, 30, 30, RED)))
    assert [int(part.mask.sum()) for part in found] == [200]


def test_a_part_may_wind():
    snake = [(8, 8 + 8 * i, 56, 12 + 8 * i, RED) for i in range(6)]
    bends = [(52 if i % 2 == 0 else 8, 12 + 8 * i, 56 if i % 2 == 0 else 12, 16 + 8 * i, RED) for i in range(5)]
    assert len(parts(picture(*snake, *bends))) == 1
    assert len(parts(picture(*snake))) == 6


def test_specks_and_faint_stains_are_left_out():
    faint = tuple(255 - 0.12 * (255 - c) for c in RED)
    assert parts(picture((5, 5, 8, 8, RED), (20, 20, 50, 50, faint))) == []
    assert len(parts(picture((5, 5, 8, 5 + LEAST // 3, RED)))) == 1


@pytest.mark.parametrize("pixels", [np.zeros((64, 64, 3)), np.full((64, 64, 3), 255), np.zeros((8, 8, 3))])
def test_an_even_picture_has_no_parts(pixels):
    assert parts(pixels) == []


def test_noise_is_no_error():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    assert isinstance(parts(noise), list)
