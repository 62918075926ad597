"""Plain scenes are what a grader can rely on: whole things, apart, of their size, on a ground unlike them."""

import itertools
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.plain_scenes import MIXTURE, plain_scene
from mmexplorer.toyworld.renderer import annotate
from mmexplorer.toyworld.scenes import RADII, Rules, relation_between
from mmexplorer.toyworld.splits import pair_is_seen


@pytest.fixture(scope="module")
def scenes():
    return [plain_scene(random.Random(f"plain {seed}")) for seed in range(400)]


def test_a_seed_decides_the_scene(scenes):
    assert scenes[:20] == [plain_scene(random.Random(f"plain {seed}")) for seed in range(20)]
    assert len({repr(scene) for scene in scenes}) == len(scenes)


def test_things_are_whole_and_apart(scenes):
    for scene in scenes[:150]:
        padded = [np.pad(annotate(replace(scene, things=(t,)))[0].mask, 1) for t in scene.things]
        for mask in padded:
            assert mask.any() and not (mask[1] | mask[-2] | mask[:, 1] | mask[:, -2]).any(), "touches the border"
        for one, other in itertools.combinations(padded, 2):
            grown = np.any([np.roll(one, step, (0, 1)) for step in itertools.product((-1, 0, 1), repeat=2)], axis=0)
            assert not (grown & other).any(), "no pixel lies between two things"


def test_things_stand_out_from_both_ends_of_their_background(scenes):
    for scene in scenes:
        for thing, ground in itertools.product(scene.things, (scene.background, scene.second)):
            assert sum(abs(a - b) for a, b in zip(thing.rgb, ground, strict=True)) > 190
        assert all(abs(a - b) <= 8 for a, b in zip(scene.background, scene.second, strict=True))


def test_sizes_hold(scenes):
    for thing in (thing for scene in scenes for thing in scene.things):
        low, high = RADII[thing.size]
        assert low <= thing.radius <= high


def test_nothing_is_striped_rimmed_or_much_tilted(scenes):
    for scene in scenes:
        assert scene.grain == 0 and scene.style in ("plain", "dark")
        for thing in scene.things:
            assert (thing.fill, thing.look.border, thing.look.bend) == ("solid", 0, 0)
            assert abs((thing.look.angle + 45) % 90 - 45) <= (12 if thing.shape == "moon" else 6)


def test_things_of_one_colour_share_a_shade(scenes):
    shades = [{thing.rgb for thing in scene.things if thing.colour == "green"} for scene in scenes]
    assert all(len(some) <= 1 for some in shades) and len(set().union(*shades)) > 30


def test_kinds_hold_what_they_say(scenes):
    assert {scene.kind for scene in scenes} == set(MIXTURE)
    for scene in scenes:
        names = {(thing.colour, thing.shape) for thing in scene.things}
        if scene.kind == "pair":
            assert relation_between(*scene.things) in words.RELATIONS[:4]
        assert len(names) == {"single": 1, "pair": 2, "group": 1, "several": 3}[scene.kind]
        assert scene.kind == "group" or len(scene.things) == len(names)


def test_the_mixture_is_an_argument():
    kinds = Counter(plain_scene(random.Random(seed), mixture={"single": 1, "group": 3}).kind for seed in range(400))
    assert set(kinds) == {"single", "group"} and 2 < kinds["group"] / kinds["single"] < 4.5


@pytest.mark.parametrize("counts", [(1, 2, 3, 4), (5, 6)])
def test_every_number_is_as_likely_however_hard_to_place(counts):
    groups = [plain_scene(random.Random(seed), "group", Rules(counts=counts)) for seed in range(200)]
    numbers = Counter(len(scene.things) for scene in groups)
    assert set(numbers) == set(counts)
    assert min(numbers.values()) > 0.65 * 200 / len(counts)


@pytest.mark.parametrize("rule", ["seen", "unseen"])
def test_rules_hold(rule):
    drawn = [plain_scene(random.Random(seed), rules=Rules(pairs=rule)) for seed in range(150)]
    assert {pair_is_seen(t.colour, t.shape) for scene in drawn for t in scene.things} == {rule == "seen"}
