"""Which words name things, and that their descriptions mean the right ones in a scene."""

import pytest

from mmexplorer.toyworld.descriptions import describe, is_readable
from mmexplorer.toyworld.mentions import mentions
from mmexplorer.toyworld.reference import referents
from mmexplorer.toyworld.scenes import Sampler, rng_for


def described(text: str) -> dict[str, str]:
    words = text.replace(",", " ,").replace("?", " ?").split()
    return {words[i]: phrase for i, phrase in mentions(words).items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a red circle to the left of a blue square",
            {"red": "red circle", "circle": "red circle", "blue": "blue square", "square": "blue square"},
        ),
        ("two grey discs", {"grey": "grey discs", "discs": "grey discs"}),
        ("the word cat, the letter a", {"word": "word cat", "cat": "word cat", "letter": "letter a", "a": "letter a"}),
        ("What colour is the Circle ?", {"Circle": "circle"}),
        ("the circle is red and small", {"circle": "circle", "red": "red", "small": "small"}),
        ("red", {"red": "red"}),
        ("fish", {"fish": "word fish"}),
        ("yes, to the left of a an", {}),
    ],
)
def test_words_belong_to_the_description_around_them(text, expected):
    assert described(text) == expected


def test_the_same_word_may_belong_to_several_descriptions():
    words = ["a", "red", "star", "and", "a", "red", "moon"]
    assert mentions(words) == {1: "red star", 2: "red star", 5: "red moon", 6: "red moon"}


@pytest.mark.parametrize("seed", range(30))
def test_a_scenes_description_names_all_its_things_but_unreadable_text(seed):
    scene = Sampler(rng_for("test mentions", seed)).scene()
    phrases = mentions(describe(scene).replace(",", " ,").split()).values()
    named = {i for phrase in phrases for i in referents(phrase, scene.things)}
    assert named == {i for i, thing in enumerate(scene.things) if thing.shape != "word" or is_readable(thing)}
    assert all(referents(phrase, scene.things) for phrase in phrases)
