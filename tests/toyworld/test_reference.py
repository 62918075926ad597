"""Which things a phrase means: attributes, plurals, synonyms, several descriptions, and written words."""

import pytest

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.reference import referents
from mmexplorer.toyworld.scenes import Thing


def thing(shape, colour, size="medium", fill="solid", text=""):
    return Thing(shape, colour, size, fill, 32, 32, 10, (0, 0, 0), text=text)


THINGS = (
    thing("circle", "red", "large"),
    thing("circle", "blue", "small", "striped"),
    thing("square", "red", "small", "outline"),
    thing("word", "blue", text="square"),
    thing("star", "gray"),
)


@pytest.mark.parametrize(
    ("phrase", "meant"),
    [
        ("a red circle", (0,)),
        ("a circle", (0, 1)),
        ("Two CIRCLES.", (0, 1)),
        ("a red shape", (0, 2)),
        ("red objects", (0, 2)),
        ("red", (0, 2)),
        ("a small thing", (1, 2)),
        ("a tiny disc", (1,)),
        ("a big disc", (0,)),
        ("a stripy circle", (1,)),
        ("a hollow square", (2,)),
        ("a grey star", (4,)),
        ("a red circle and a star", (0, 4)),
        ("a star left of a blue circle", (1, 4)),
        ("a photo of a red square, a drawing", (2,)),
        ("the word square", (3,)),
        ("the word SQUARE", (3,)),
        ("the word circle", ()),
        ("a square and the word square", (2, 3)),
        ("the word square above a star", (3, 4)),
        ("a blue word", (3,)),
        ("a red word", ()),
        ("a green circle", ()),
        ("a red star", ()),
        ("a heart", ()),
        ("a shape", ()),
        ("a cat on a sofa", ()),
        ("", ()),
    ],
)
def test_what_a_phrase_means(phrase, meant):
    assert referents(phrase, THINGS) == meant


def test_nothing_is_meant_where_nothing_is():
    assert referents("a red circle", ()) == ()


def test_every_shape_and_colour_is_understood_in_singular_and_plural():
    for shape in words.SHAPES:
        for colour in words.COLOURS:
            only = (thing(shape, colour),)
            assert referents(f"a {colour} {shape}", only) == (0,)
            assert referents(f"three {colour} {words.PLURALS[shape]}", only) == (0,)
