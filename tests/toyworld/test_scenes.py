"""The rules that scenes obey: what is withheld, how things are placed, and that a seed decides everything."""

import hashlib
import itertools
import math
from collections import Counter
from statistics import mean

import pytest

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.renderer import annotate
from mmexplorer.toyworld.scenes import CANVAS, KINDS, Rules, Sampler, relation_between, rng_for, shrunk
from mmexplorer.toyworld.splits import UNSEEN_PAIRS, arrangement_is_seen, swap_is_kept

# Made on Linux x86-64 with Python 3.11; any other machine must agree.
SCENES_SHA256 = "6bc115700b88e25f0745fc271a50cb127a7de25e831f4746783b27ab13d8ff44"


def _named(scene):
    return [(t.colour, t.shape) for t in scene.things if t.shape in words.SHAPES]


def _draw(rules, kind, count, split="rules"):
    return [Sampler(rng_for(split, seed), rules).scene(kind) for seed in range(count)]


def test_a_seed_decides_the_scene_on_every_machine():
    scenes = [Sampler(rng_for("reference", seed)).scene(kind) for kind in KINDS for seed in range(20)]
    assert hashlib.sha256(repr(scenes).encode()).hexdigest() == SCENES_SHA256


def test_splits_never_draw_the_same_scene():
    training, test = ({repr(s) for s in _draw(Rules(), None, 400, split)} for split in ("training", "test"))
    assert len(training) == len(test) == 400
    assert not training & test


def test_a_tenth_of_the_pairs_is_unseen_each_colour_once():
    assert len(UNSEEN_PAIRS) * 10 == len(words.COLOURS) * len(words.SHAPES)
    assert sorted(colour for colour, _ in UNSEEN_PAIRS) == sorted(words.COLOURS)
    assert len({shape for _, shape in UNSEEN_PAIRS}) == len(UNSEEN_PAIRS)


def test_training_shows_every_seen_pair_and_no_unseen_one(training_scenes):
    shown = {name for scene in training_scenes for name in _named(scene)}
    assert shown == {(c, s) for c in words.COLOURS for s in words.SHAPES} - UNSEEN_PAIRS


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_rules_show_unseen_pairs_only(kind):
    shown = {name for scene in _draw(Rules(pairs="unseen"), kind, 60) for name in _named(scene)}
    assert shown and shown <= UNSEEN_PAIRS


def test_any_pairs_shows_both_sorts():
    shown = {name for scene in _draw(Rules(pairs="any"), "single", 900) for name in _named(scene)}
    assert len(shown) == len(words.COLOURS) * len(words.SHAPES)


def test_exactly_one_of_each_swap_pair_is_kept():
    kept = 0
    swaps = list(itertools.product(itertools.combinations(words.COLOURS, 2), itertools.combinations(words.SHAPES, 2)))
    for (a, b), (s, t) in swaps:
        one, other = swap_is_kept((a, s), (b, t)), swap_is_kept((b, s), (a, t))
        assert one != other
        assert one == swap_is_kept((b, t), (a, s)), "the order of naming must not matter"
        kept += one
    assert 0.45 < kept / len(swaps) < 0.55


def test_things_without_a_swap_may_always_meet():
    assert swap_is_kept(("red", "circle"), ("red", "square"))
    assert swap_is_kept(("red", "circle"), ("blue", "circle"))


@pytest.mark.parametrize(("swaps", "kept"), [("kept", {True}), ("withheld", {False}), ("all", {True, False})])
@pytest.mark.parametrize("kind", ["pair", "several"])
def test_sampler_withholds_swaps(kind, swaps, kept):
    scenes = _draw(Rules(swaps=swaps), kind, 200)
    pairs = [pair for scene in scenes for pair in itertools.combinations(_named(scene), 2)]
    pairs = [(a, b) for a, b in pairs if a[0] != b[0] and a[1] != b[1]]
    assert len(pairs) > 100
    assert {swap_is_kept(a, b) for a, b in pairs} == kept


@pytest.mark.parametrize("counts", [(1, 2, 3, 4), (5, 6)])
def test_groups_have_the_allowed_counts_of_equal_things(counts):
    scenes = _draw(Rules(counts=counts), "group", 120)
    assert {len(scene.things) for scene in scenes} == set(counts)
    assert all(len({(t.colour, t.shape, t.fill) for t in scene.things}) == 1 for scene in scenes)


def test_training_never_shows_more_than_four_things(training_scenes):
    assert {len(scene.things) for scene in training_scenes} == {1, 2, 3, 4}


def test_mixed_scenes_name_each_thing_once(training_scenes):
    for scene in training_scenes:
        if scene.kind in ("pair", "several"):
            assert len(set(_named(scene))) == len(scene.things)


def _sides(shape, other):
    return {side: arrangement_is_seen(side, shape, other) for side in words.RELATIONS[:4]}


def test_a_tenth_of_the_arrangements_is_withheld_and_both_wordings_agree():
    seen = []
    for a, b in itertools.permutations(words.SHAPES, 2):
        assert arrangement_is_seen("left", a, b) == arrangement_is_seen("right", b, a)
        assert arrangement_is_seen("above", a, b) == arrangement_is_seen("below", b, a)
        seen += [arrangement_is_seen("left", a, b), arrangement_is_seen("above", a, b)]
    assert 0.85 < sum(seen) / len(seen) < 0.95
    assert arrangement_is_seen("inside", "circle", "square")


@pytest.mark.parametrize("rule", ["seen", "unseen"])
def test_pairs_are_arranged_as_the_rule_says_wherever_it_leaves_a_choice(rule):
    checked = 0
    for seed, (a, b) in enumerate(itertools.permutations(words.SHAPES, 2)):
        if (rule == "seen") in (sides := _sides(a, b)).values():
            sampler = Sampler(rng_for("arranged", seed), Rules(arrangements=rule))
            first, second = sampler.pair(("red", a), ("blue", b))
            assert sides[relation_between(first, second)] == (rule == "seen"), (a, b)
            checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("dx", "dy", "relation"),
    [(-10, 0, "left"), (10, 7, "right"), (0, -10, "above"), (-7, 10, "below"), (10, 8, ""), (8, -10, ""), (0, 0, "")],
)
def test_relation_needs_a_dominant_axis(make_thing, dx, dy, relation):
    a, b = make_thing("circle", x=30.0 + dx, y=30.0 + dy), make_thing("star", x=30.0, y=30.0)
    assert relation_between(a, b) == relation


@pytest.mark.parametrize("relation", words.RELATIONS[:4])
def test_arranged_things_stand_as_asked(relation):
    for seed in range(40):
        sampler = Sampler(rng_for("stand", seed))
        a, b = sampler.arrange(sampler.thing("red", "star", "large"), sampler.thing("blue", "moon", "medium"), relation)
        assert (a.shape, b.shape) == ("star", "moon")
        dx, dy = a.x - b.x, a.y - b.y
        assert {"left": -dx, "right": dx, "above": -dy, "below": dy}[relation] > max(abs(dx), abs(dy)) - 1e-9


@pytest.mark.parametrize("host", ["circle", "square"])
def test_a_thing_inside_another_lies_within_its_silhouette(make_scene, host):
    for seed in range(30):
        sampler = Sampler(rng_for("inside", seed))
        outer, inner = sampler.pair(("red", sampler.rng.choice(("star", "moon", "arrow"))), ("blue", host), "inside")
        assert (outer.shape, outer.fill, inner.size) == (host, "outline", "small")
        silhouette, mask = (annotate(make_scene(thing))[0].mask for thing in (outer, inner))
        assert mask.any() and not (mask & ~silhouette).any()


def test_placed_things_keep_apart(training_scenes):
    scenes = [s for s in training_scenes if s.kind in ("group", "several", "figure")]
    for scene in scenes:
        for a, b in itertools.combinations(scene.things, 2):
            assert math.dist((a.x, a.y), (b.x, b.y)) > a.radius + b.radius
    for scene in scenes[::10]:
        claimed = sum(annotation.mask.sum() for annotation in annotate(scene))
        alone = sum(annotate(Sampler(rng_for("x", 0)).dress([t], "single"))[0].mask.sum() for t in scene.things)
        assert claimed == alone, "a thing covers another one"


def test_things_stay_on_the_canvas(training_scenes):
    things = [t for s in training_scenes for t in s.things if s.kind in ("single", "group", "several")]
    assert len(things) > 500
    for t in things:
        assert t.radius - 1 <= t.x <= CANVAS - t.radius + 1
        assert t.radius - 1 <= t.y <= CANVAS - t.radius + 1


def test_things_stand_out_from_their_background(training_scenes):
    contrasts = [
        sum(abs(x - y) for x, y in zip(scene.background, thing.rgb, strict=True))
        for scene in training_scenes
        for thing in scene.things
    ]
    assert min(contrasts) > 90
    assert sum(c <= 170 for c in contrasts) < 0.01 * len(contrasts), "only scenes with clashing colours may fall short"


def test_sizes_keep_their_order_within_a_scene(training_scenes):
    compared = 0
    for scene in training_scenes:
        if scene.kind in ("pair", "several"):
            things = [t for t in scene.things if t.shape != "ring"]  # a small ring is drawn larger to show its hole
            for a, b in itertools.permutations(things, 2):
                if (a.size, b.size) == ("small", "large"):
                    assert a.radius < b.radius
                    compared += 1
    assert compared > 20


def test_words_are_readable_or_tiny_and_fit(training_scenes):
    texts = [t for s in training_scenes for t in s.things if t.shape == "word"]
    assert {t.size for t in texts} == {"large", "small"}
    for t in texts:
        assert (t.radius > 4) if t.size == "large" else (t.radius < 2)
        half = t.radius * (0.62 * len(t.text) + 0.1)
        assert half <= t.x <= CANVAS - half


def test_every_kind_style_and_fill_is_drawn(training_scenes):
    kinds = Counter(scene.kind for scene in training_scenes)
    assert set(kinds) == set(KINDS) and min(kinds.values()) > 40
    assert {scene.style for scene in training_scenes} == set(words.STYLES)
    things = [t for s in training_scenes for t in s.things]
    assert {t.fill for t in things} == set(words.FILLS)
    assert {t.size for t in things} == set(words.SIZES)
    assert {t.facing for t in things if t.shape == "person"} == {"viewer", "away"}
    assert {t.direction for t in things if t.shape == "arrow"} == set(words.DIRECTIONS)


@pytest.mark.parametrize("canvas", [(128, 128), (192, 64), (64, 96)])
@pytest.mark.parametrize("kind", KINDS)
def test_larger_canvases_are_filled_with_things_of_the_same_size(canvas, kind):
    width, height = canvas
    scenes = [Sampler(rng_for("canvas", seed), canvas=canvas).scene(kind) for seed in range(40)]
    things = [thing for scene in scenes for thing in scene.things]
    assert all(0 < t.x < width and 0 < t.y < height for t in things)
    assert all(scene.canvas == canvas for scene in scenes)
    small = [Sampler(rng_for("canvas", seed)).scene(kind) for seed in range(40)]
    radii = [mean(t.radius for scene in some for t in scene.things) for some in (scenes, small)]
    assert 0.8 < radii[0] / radii[1] < 1.5
    for side, places in ((width, [t.x for t in things]), (height, [t.y for t in things])):
        assert max(places) - min(places) > 0.55 * side


def test_shrunk_things_stay_where_they_are():
    scene = Sampler(rng_for("shrunk", 0)).scene("several")
    smaller = shrunk(scene, 0.5)
    assert [(t.x, t.y, t.radius) for t in smaller.things] == [(t.x, t.y, t.radius / 2) for t in scene.things]
    word = Sampler(rng_for("shrunk", 1)).scene("word")
    texts = [[t for t in some.things if t.shape == "word"] for some in (word, shrunk(word, 0.5))]
    assert texts[0] == texts[1] != []
