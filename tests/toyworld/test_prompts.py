"""Prompts are read as they are meant: every form of caption, people's variations, and nonsense."""

import random
from collections import Counter

import pytest

from mmexplorer.toyworld.captions import TEMPLATES, caption
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.prompts import SEVERAL, Item, wanted
from mmexplorer.toyworld.scenes import relation_between

RED_CIRCLE, BLUE_SQUARE, STAR = Item("circle", "red"), Item("square", "blue"), Item("star")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a red circle", [RED_CIRCLE]),
        ("Red Circle.", [RED_CIRCLE]),
        ("a huge red disc", [Item("circle", "red", "large")]),
        ("a red circle and a blue square", [RED_CIRCLE, BLUE_SQUARE]),
        ("a red circle, a blue square and a star", [RED_CIRCLE, BLUE_SQUARE, STAR]),
        ("three yellow stars", [Item("star", "yellow", count=3)]),
        ("3 yellow stars", [Item("star", "yellow", count=3)]),
        ("12 violet pluses", [Item("cross", "purple", count=12)]),
        ("grey donuts", [Item("ring", "gray", count=SEVERAL)]),
        ("two shapes", [Item(count=2)]),
        ("a red thing", [Item("", "red")]),
        ("red", [Item("", "red")]),
        ("red and blue circles", [Item("", "red"), Item("circle", "blue", count=SEVERAL)]),
        ("a star but no red circle", [STAR, Item("circle", "red", count=0)]),
        ("a star without a circle", [STAR, Item("circle", count=0)]),
        ("zero stars", [Item("star", count=0)]),
        ("a cross", [Item("cross")]),
        ("a shiny red wooden circle", [RED_CIRCLE]),
        ("", []),
    ],
)
def test_items(text, items):
    asked = wanted(text)
    assert (list(asked.items), asked.relations) == (items, ())


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_say_nothing(template):
    assert wanted(template.format("a red circle")) == wanted("a red circle")


@pytest.mark.parametrize(
    ("words", "relation"),
    [
        *(("left of", "left"), ("to the left of", "left"), ("on the left of", "left"), ("to the right of", "right")),
        *(("is to the right of", "right"), ("above", "above"), ("over", "above"), ("on top of", "above")),
        *(("below", "below"), ("under", "below"), ("underneath", "below")),
        *(("smaller than", "smaller"), ("bigger than", "bigger")),
    ],
)
def test_relations(words, relation):
    asked = wanted(f"a red circle {words} a blue square")
    assert (asked.items, asked.relations) == ((RED_CIRCLE, BLUE_SQUARE), ((0, relation, 1),))
    assert asked.unknown_words == ()


@pytest.mark.parametrize(
    ("text", "count", "relations"),
    [
        ("a red circle and a blue square, the circle is above the square", 2, ((0, "above", 1),)),
        ("a red circle left of a blue square and above a star", 3, ((0, "left", 1), (0, "above", 2))),
        ("a star above a heart above a moon", 3, ((0, "above", 1), (1, "above", 2))),
        ("a circle left of a circle", 2, ((0, "left", 1),)),
        ("the circle left of the circle", 2, ((0, "left", 1),)),
        ("two stars above a square", 2, ((0, "above", 1),)),
        ("above a star", 1, ()),
        ("a star above", 1, ()),
        ("a star above no circle", 2, ()),
    ],
)
def test_things_of_relations(text, count, relations):
    asked = wanted(text)
    assert (len(asked.items), asked.relations) == (count, relations)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a small striped arrow pointing left", ("striped", "pointing", "left")),
        ("a red circle on a dark background", ("dark", "background")),
        ("ein roter Kreis", ("ein", "roter", "kreis")),
        ("a star inside a circle", ("inside",)),
        ("the word cat", ("word", "cat")),
        ("a star above", ("above",)),
        ("ein Stern @left und 999 ☃ stars", ("ein", "stern", "left", "und", "999", "☃")),
    ],
)
def test_words_that_are_not_read_are_named(text, unknown):
    assert wanted(text).unknown_words == unknown


@pytest.mark.parametrize("form", ["full", "sized", "relational", "counting"])
def test_captions_ask_for_their_scene(form):
    for seed in range(150):
        scene = plain_scene(random.Random(f"prompts {seed}"))
        text = caption(scene, random.Random(seed), form).text
        asked, sized = wanted(text), form == "sized" and scene.kind != "group"
        drawn = Counter((t.shape, t.colour, t.size if sized else "") for t in scene.things)
        if scene.kind == "group":  # may leave out colour or shape
            (item,) = asked.items
            assert item.count == len(scene.things)
            assert (item.shape or scene.things[0].shape, item.colour or scene.things[0].colour) == next(iter(drawn))[:2]
        else:
            assert Counter((i.shape, i.colour, i.size if sized else "") for i in asked.items) == drawn, text
        for a, relation, b in asked.relations:
            first, second = (
                next(t for t in scene.things if (t.shape, t.colour) == (asked.items[i].shape, asked.items[i].colour))
                for i in (a, b)
            )
            if relation in ("smaller", "bigger"):
                assert (first.radius < second.radius) == (relation == "smaller")
            else:
                assert relation_between(first, second) == relation
        assert len(asked.relations) == (form == "relational" and scene.kind == "pair")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (RED_CIRCLE, "a red circle"),
        (Item("arrow"), "an arrow"),
        (Item("star", "orange", "small"), "a small orange star"),
        (Item("cross", "red", count=3), "three red crosses"),
        (Item("star", count=9), "9 stars"),
        (Item(count=SEVERAL), "shapes"),
        (Item("star", count=0), "no star"),
    ],
)
def test_items_in_words_and_back(item, text):
    assert str(item) == text
    assert wanted(text).items == (item,)


@pytest.mark.parametrize(
    "text", ["a" * 10_000, "red circle left of " * 500, "9" * 10_000 + " stars", "the red " * 1200]
)
def test_long_nonsense_is_no_error(text):
    wanted(text)
