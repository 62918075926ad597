"""A grade is exact if nothing is missing and nothing is there besides; each of its lines is true or false by itself."""

import itertools
import random

import numpy as np
import pytest
from PIL import Image

from mmexplorer.toyworld.captions import caption
from mmexplorer.toyworld.grade import _assigned, grade
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.renderer import render

COLOURS = {"red": (220, 30, 40), "blue": (40, 90, 220), "yellow": (250, 220, 40), "green": (40, 170, 70)}


@pytest.fixture
def picture(make_scene, make_thing):
    """A picture of things given as (shape, colour, x, y) and maybe a radius."""

    def make(*drawn):
        things = [
            make_thing(shape, colour=colour, rgb=COLOURS[colour], x=x, y=y, radius=radius[0] if radius else 11.0)
            for shape, colour, x, y, *radius in drawn
        ]
        return Image.fromarray(render([make_scene(*things)])[0])

    return make


@pytest.fixture
def circle_and_square(picture):
    """A red circle, to the left of a blue square."""
    return picture(("circle", "red", 17.0, 25.0), ("square", "blue", 47.0, 38.0))


@pytest.mark.parametrize(
    "text",
    [
        "a red circle and a blue square",
        "a blue square, a red circle",
        "a red circle to the left of a blue square",
        "a blue square on the right of a red circle",
        "a medium red circle and a square",
        "a red thing and a blue thing",
        "two shapes",
        "a circle to the left of a shape",
        "a shape to the right of a circle",
        "a red circle and a blue square but no star",
    ],
)
def test_what_is_there_is_exact(circle_and_square, text):
    graded = grade(text, circle_and_square)
    assert graded.lines and all(found for _, found in graded.lines)
    assert graded.exact


@pytest.mark.parametrize(
    ("text", "false"),
    [
        ("a red circle", []),
        ("a blue square and no star", []),
        ("a red circle above a blue square", ["the red circle is above the blue square"]),
        ("a blue square left of a red circle", ["the blue square is to the left of the red circle"]),
        ("a red square and a blue circle", ["the square is red", "the circle is blue"]),
        ("a large red circle and a blue square", ["the circle is large"]),
        ("a red circle and a blue star", ["a star", "the star is blue"]),
        ("a red circle, a blue square and a star", ["a star"]),
        ("two red circles", ["circles", "the circles are red", "two red circles"]),
        ("three shapes", ["three shapes"]),
        ("a circle and no square", ["no square"]),
        (
            "a green circle left of a blue square",
            ["the circle is green", "the green circle is to the left of the blue square"],
        ),
        ("", []),
        ("something nice", []),
    ],
)
def test_what_is_missing_is_named_and_what_is_extra_counts(circle_and_square, text, false):
    graded = grade(text, circle_and_square)
    assert [line for line, found in graded.lines if not found] == false
    assert not graded.exact


def test_lines_follow_the_prompt(circle_and_square):
    lines = grade("a red circle to the left of a large square", circle_and_square).lines
    assert lines == (
        *(("a circle", True), ("the circle is red", True), ("a square", True), ("the square is large", False)),
        ("the red circle is to the left of the large square", False),
    )


@pytest.mark.parametrize(
    ("number", "exact"), [("two", False), ("three", True), ("3", True), ("four", False), ("", True)]
)
def test_numbers_are_exact_and_plurals_need_two(picture, number, exact):
    stars = picture(*(("star", "yellow", x, y) for x, y in ((16.0, 16.0), (48.0, 18.0), (30.0, 46.0))))
    assert grade(f"{number} blue stars", stars).exact is False
    graded = grade(f"{number} yellow stars", stars)
    assert graded.exact is exact
    assert graded.lines[0] == ("stars", True)
    assert graded.lines[-1] == (f"{number or 'two or more'} yellow stars".replace("3 ", "three "), exact)


def test_two_of_one_kind_are_told_apart_by_their_relation(picture):
    image = picture(("star", "red", 15.0, 15.0), ("star", "red", 15.0, 45.0), ("moon", "blue", 46.0, 30.0))
    assert grade("a red star above a red star, and a blue moon", image).exact
    assert grade("a star below a star, and a moon", image).exact
    assert not grade("a star left of a star, and a moon", image).exact
    assert grade("two red stars to the left of a blue moon", image).exact


def test_sizes_are_compared(picture):
    image = picture(("star", "red", 18.0, 20.0, 16.0), ("heart", "blue", 48.0, 46.0, 8.0))
    assert grade("a star bigger than a heart", image).exact
    assert grade("a small heart smaller than a large star", image).exact
    assert not grade("a star smaller than a heart", image).exact


def test_matches_carry_masks(circle_and_square):
    graded = grade("a blue square, a green circle and a star", circle_and_square)
    assert [len(chosen) for chosen in graded.match] == [1, 1, 0]
    square, circle, star = (graded.mask(i) for i in range(3))
    assert square[38, 47] and not square[25, 17]
    assert circle[25, 17] and not circle[38, 47]
    assert star.shape == (64, 64) and not star.any()


@pytest.mark.parametrize("form", ["full", "sized", "relational", "counting", "short", "negated"])
def test_true_captions_of_held_out_scenes_are_true(form):
    scenes = [plain_scene(random.Random(f"grade {seed}")) for seed in range(50)]
    for seed, (scene, pixels) in enumerate(zip(scenes, render(scenes), strict=True)):
        text = caption(scene, random.Random(seed), form).text
        graded = grade(text, Image.fromarray(pixels))
        assert graded.lines and all(found for _, found in graded.lines), text
        if form not in ("short", "negated"):  # these leave things out
            assert graded.exact, text


def test_captions_of_other_scenes_are_not_exact():
    scenes = [plain_scene(random.Random(f"other {seed}"), "pair") for seed in range(30)]
    pictures = render(scenes)
    texts = [caption(scene, random.Random(0), "full").text for scene in scenes]
    exact = [grade(text, Image.fromarray(pictures[i - 1])).exact for i, text in enumerate(texts)]
    assert not any(exact)


def test_assignments_cost_the_least_of_all():
    rng = np.random.default_rng(0)
    for n, m in itertools.product(range(1, 5), range(1, 6)):
        costs = rng.integers(0, 4, (n, m)) + rng.random((n, m))
        pairs = _assigned(costs)
        assert len(pairs) == len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(n, m)
        tall = costs if n <= m else costs.T
        least = min(
            sum(tall[row, column] for row, column in enumerate(columns))
            for columns in itertools.permutations(range(max(n, m)), min(n, m))
        )
        assert sum(costs[pair] for pair in pairs) == pytest.approx(least)


def test_nothing_asked_or_nothing_drawn_is_no_error(circle_and_square):
    blank = Image.new("RGB", (64, 64), (255, 255, 255))
    assert grade("", blank).lines == ()
    assert not grade("a red circle", blank).exact
    assert grade("no circle", blank).exact
    assert not grade("three red circles left of " * 400, circle_and_square).exact
