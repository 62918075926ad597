"""What a batch may and may not hold: the regimes withhold what they say, and twins differ in one fact."""

import re
from collections import Counter

import numpy as np
import pytest

from mmexplorer.toyworld.lexicon import WORD, lexicon
from mmexplorer.toyworld.scenes import Rules, Sampler, rng_for
from mmexplorer.toyworld.splits import SEEN_COUNTS, arrangement_is_seen, pair_is_seen, swap_is_kept
from mmexplorer.training import clip_data
from mmexplorer.training.clip_data import REGIMES, batch, can_swap, swapped


def sampler(seed: int, swaps: str = "all") -> Sampler:
    return Sampler(rng_for("test clip data", seed), Rules(swaps=swaps))


def names(scene):
    return [(thing.colour, thing.shape) for thing in scene.things]


@pytest.mark.parametrize("regime", REGIMES)
def test_a_batch_depends_on_its_arguments_only(regime):
    first, again, other = batch(regime, 3, 32, 0.5), batch(regime, 3, 32, 0.5), batch(regime, 4, 32, 0.5)
    assert first.captions == again.captions and first.negatives == again.negatives
    np.testing.assert_array_equal(first.pictures, again.pictures)
    assert first.pictures.shape == (32, 64, 64, 3) and len(first.captions) == 32
    assert not np.array_equal(first.pictures, other.pictures)


def test_all_words_are_in_the_lexicon():
    known = set(lexicon())
    for regime in REGIMES:
        data = batch(regime, 1, 64)
        for text in data.captions + data.negatives:
            assert set(re.findall(WORD, text)) <= known, text


def test_only_hard_negatives_come_with_wrong_captions():
    assert not batch("full", 0, 64).negatives and not batch("withheld", 0, 64).negatives
    assert 0 < len(batch("hard-negatives", 0, 64).negatives) <= 16


def test_kept_regimes_never_draw_a_withheld_combination():
    for seed in range(60):
        for make in clip_data._TWINS.values():
            for scene, _ in make(sampler(seed, "kept")):
                first, *rest = names(scene)
                assert all(swap_is_kept(first, other) for other in rest)


def test_swap_twins_exchange_colours_and_nothing_else():
    for seed in range(60):
        (scene, said), (twin, twin_said) = clip_data._swap_twins(sampler(seed))
        a, b = scene.things
        assert names(twin) == [(b.colour, a.shape), (a.colour, b.shape)]
        assert [(t.x, t.y, t.radius) for t in scene.things] == [(t.x, t.y, t.radius) for t in twin.things]
        assert all(pair_is_seen(*name) for name in names(twin))
        for thing in scene.things:
            assert any(word in said.text for word in (thing.colour, "grey", "violet"))
        assert twin_said.text != said.text


def test_side_twins_exchange_places_and_stay_within_seen_arrangements():
    for seed in range(40):
        (scene, said), (twin, twin_said) = clip_data._side_twins(sampler(seed))
        a, b = scene.things
        assert [(t.x, t.y) for t in twin.things] == [(b.x, b.y), (a.x, a.y)]
        assert all(arrangement_is_seen(r, a.shape, b.shape) for r in ("left", "right", "above", "below"))
        assert said.text != twin_said.text


def test_count_twins_differ_in_number():
    for seed in range(40):
        scenes = [scene for scene, _ in clip_data._count_twins(sampler(seed))]
        counts = {len(scene.things) for scene in scenes}
        assert len(counts) == 2 and counts <= set(SEEN_COUNTS)
        assert len({name for scene in scenes for name in names(scene)}) == 1


def test_swapping_twice_gives_the_scene_back():
    scene = next(s for s in (sampler(i).scene("pair") for i in range(99)) if can_swap(s))
    assert swapped(swapped(scene)) == scene


def test_words_begin_with_single_large_things():
    data = batch("words", 0, 64, 0.0)
    shapes = Counter(len(re.findall(r"\band\b|,", text)) for text in data.captions)
    assert set(shapes) == {0}
