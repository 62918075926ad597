"""Words of a prompt get the masks of the things that they mean, where the picture shows those."""

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.explore.drawing_truths import word_masks
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.renderer import annotate, render
from mmexplorer.toyworld.scenes import Scene


def pair() -> Scene:
    """Two things of different shapes and colours."""
    return plain_scene(random.Random(3), "pair")


def copies(*places: tuple[str, float, float, float]) -> Scene:
    """Copies of one thing, of size, x, y and radius."""
    scene = plain_scene(random.Random(3), "single")
    [thing] = scene.things
    look = replace(thing.look, angle=0)
    things = [replace(thing, size=size, x=x, y=y, radius=radius, look=look) for size, x, y, radius in places]
    return replace(scene, things=tuple(things))


def masks_of(scene: Scene, prompt: str, model: str = "toy-clip") -> dict[int, np.ndarray]:
    """The masks of the words of a prompt, as if a model had drawn the scene for it."""
    image = Image.fromarray(render([scene])[0])
    return word_masks(Drawing(image, (), None, {"prompt": prompt}, (), model=model), prompt.replace(",", "").split())


def name(thing, size: str = "") -> str:
    return " ".join(["a", *filter(None, [size]), thing.colour, thing.shape])


def shows(mask: np.ndarray, scene: Scene, *things: int) -> bool:
    """Whether a mask covers these things of the scene and nothing else."""
    annotations = annotate(scene)
    whole = np.any([annotations[i].mask for i in things], axis=0)
    return (mask & whole).sum() / (mask | whole).sum() > 0.9


@pytest.mark.parametrize("joint", ["and", "to the left of", "with"])
def test_each_word_of_a_description_means_the_thing_in_the_picture(joint):
    scene = pair()
    prompt = f"{name(scene.things[0])} {joint} {name(scene.things[1])}"
    masks, last = masks_of(scene, prompt), len(prompt.split()) - 2
    assert sorted(masks) == [1, 2, last, last + 1]
    assert all(shows(masks[i], scene, 0) for i in (1, 2))
    assert all(shows(masks[i], scene, 1) for i in (last, last + 1))


def test_a_thing_that_is_missing_or_of_another_colour_has_no_mask():
    scene = pair()
    one, other = scene.things
    absent = next(s for s in ("star", "heart", "cross") if s not in (one.shape, other.shape))
    colour = next(c for c in ("red", "green", "blue") if c not in (one.colour, other.colour))
    assert sorted(masks_of(scene, f"{name(one)} and a {colour} {absent}")) == [1, 2]
    assert sorted(masks_of(scene, f"a {colour} {one.shape} and {name(other)}")) == [5, 6]


def test_a_thing_that_came_out_twice_is_meant_wherever_it_is():
    scene = copies(("small", 14, 14, 8), ("small", 50, 14, 8), ("small", 32, 50, 8))
    thing = scene.things[0]
    masks = masks_of(scene, name(thing))
    assert sorted(masks) == [1, 2] and all(shows(mask, scene, 0, 1, 2) for mask in masks.values())
    # Also beside a thing that was not drawn, whose place one of the three has to take.
    absent = "star" if thing.shape != "star" else "heart"
    masks = masks_of(scene, f"{name(thing)} and a {thing.colour} {absent}")
    assert sorted(masks) == [1, 2] and shows(masks[2], scene, 0, 1, 2)


def test_what_another_description_means_or_is_of_another_size_is_not_meant():
    scene = copies(("small", 12, 32, 8), ("large", 44, 32, 16))
    thing = scene.things[0]
    both = f"{name(thing, 'small')} and {name(thing, 'large')}"
    masks = masks_of(scene, both)
    assert all(shows(masks[i], scene, 0) for i in (1, 2, 3)) and all(shows(masks[i], scene, 1) for i in (6, 7, 8))
    masks = masks_of(scene, name(thing, "large"))
    assert sorted(masks) == [1, 2, 3] and all(shows(mask, scene, 1) for mask in masks.values())
    masks = masks_of(scene, f"{name(thing)} to the left of {name(thing)}")
    assert shows(masks[2], scene, 0) and shows(masks[max(masks)], scene, 1)


def test_only_toys_have_a_truth_and_other_prompts_none():
    scene = copies(("small", 32, 32, 8))
    thing = scene.things[0]
    assert sorted(masks_of(scene, name(thing))) == [1, 2]
    assert masks_of(scene, name(thing), model="clip-vit-base-patch32") == {}
    for prompt in ("a sunny day", "赤い丸", f"no {thing.colour} {thing.shape}"):
        assert masks_of(scene, prompt) == {}
