"""Prompts of the training scenes: nothing left out, nothing untrue, nothing that is held out."""

from mmexplorer.toyworld.prompts import wanted
from mmexplorer.toyworld.scenes import relation_between, rng_for
from mmexplorer.toyworld.splits import pair_is_seen
from mmexplorer.training.diffusion_data import KINDS, prompts, scene

SCENES = [scene(seed) for seed in range(400)]


def test_prompts_name_every_thing_of_their_scene_and_nothing_else():
    for seed, drawn in enumerate(SCENES):
        for text in prompts(drawn, rng_for("test", seed), 4):
            asked = wanted(text)
            assert sum(item.count for item in asked.items) == len(drawn.things), text
            for item in asked.items:
                fitting = [
                    thing
                    for thing in drawn.things
                    if all(getattr(item, kind) in ("", getattr(thing, kind)) for kind in ("shape", "colour", "size"))
                ]
                assert len(fitting) >= item.count, text


def test_relations_in_prompts_hold_in_the_scene():
    found = set()
    for seed, drawn in enumerate(SCENES):
        for text in prompts(drawn, rng_for("test", seed), 4):
            asked = wanted(text)
            for a, relation, b in asked.relations:
                first, second = (
                    next(
                        thing
                        for thing in drawn.things
                        if (thing.colour, thing.shape) == (asked.items[i].colour, asked.items[i].shape)
                    )
                    for i in (a, b)
                )
                found.add(relation)
                if relation in ("smaller", "bigger"):
                    assert (first.radius < second.radius) == (relation == "smaller"), text
                else:
                    assert relation_between(first, second) == relation, text
    assert {"left", "right", "above", "below"} <= found


def test_held_out_pairs_and_numbers_are_never_drawn_and_all_kinds_are():
    assert all(pair_is_seen(thing.colour, thing.shape) for drawn in SCENES for thing in drawn.things)
    assert {len(drawn.things) for drawn in SCENES if drawn.kind == "group"} == {1, 2, 3, 4}
    assert {drawn.kind for drawn in SCENES} == set(KINDS)


def test_the_scene_of_a_seed_is_always_the_same():
    assert SCENES[7] == scene(7) != scene(8)
