"""The canonical description, and the way back from it to objects."""

from collections import Counter

import pytest

from mmexplorer.toyworld.descriptions import Item, describe, parse
from mmexplorer.toyworld.scenes import Rules, Sampler, rng_for


def test_describe_goes_from_left_to_right_and_counts_equals(make_thing, make_scene):
    star, moon = make_thing("star", x=50.0, colour="orange"), make_thing("moon", x=30.0)
    rings = [make_thing("ring", x=x, colour="blue") for x in (10.0, 60.0)]
    assert describe(make_scene(star, rings[1], moon, rings[0])) == "two blue rings, a red moon and an orange star"


@pytest.mark.parametrize(
    ("text", "size", "described"),
    [
        ("cat", "large", "the word cat"),
        ("c", "large", "the letter c"),
        ("7", "large", "the number 7"),
        ("cat", "small", "unreadable text"),
    ],
)
def test_describe_reads_what_can_be_read(make_thing, make_scene, text, size, described):
    assert describe(make_scene(make_thing("word", text=text, size=size))) == described


def test_a_description_gives_back_the_objects_of_any_scene(training_scenes):
    crowded = [Sampler(rng_for("many", seed), Rules(pairs="any", counts=(5, 6))).scene("group") for seed in range(60)]
    for scene in [*training_scenes, *crowded]:
        objects = Counter()
        for thing in scene.things:
            if thing.shape == "word":
                objects["word", "", thing.text if thing.size == "large" else ""] += 1
            else:
                objects[thing.shape, thing.colour, ""] += 1
        assert Counter((item.shape, item.colour, item.text) for item in parse(describe(scene))) == objects


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("A GREY DISC.", [Item("circle", "gray")]),
        ("3 violet rhombuses and the plus", [Item("diamond", "purple")] * 3),
        ("red cross, one blue cross", [Item("cross", "red"), Item("cross", "blue")]),
        ("two red people; a ring", [Item("person", "red")] * 2),
        ("the word red, the letter a", [Item("word", text="red"), Item("word", text="a")]),
        ("zero red circles and seven red circles", []),
        ("a red, a circle, a circle red, red red, a shiny red circle", []),
        ("", []),
    ],
)
def test_parse_understands_variants_and_passes_over_the_rest(text, items):
    assert list(parse(text)) == items
