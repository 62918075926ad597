"""Draws the pictures of the zero-shot tab's examples and experiment cards, with their truth."""

from collections.abc import Callable

from mmexplorer.explore.experiments import ASSETS
from mmexplorer.toyworld.scenes import Sampler, Scene
from mmexplorer.training.calm_scenes import group, labelled, pair, plain, save, scene_of, thing
from mmexplorer.training.clip_data import swapped

FOLDER = ASSETS / "images" / "zero_shot"
SWAPPED = ("red-circle-blue-square", "green-star-red-cross")


def _lively(sampler: Sampler, style: str, *names: tuple[str, str, str]) -> Scene:
    """Several things in a style other than plain."""
    things = sampler.place([sampler.thing(*name, fill="solid") for name in names])
    while (scene := sampler.dress(things, "several")).style != style:
        pass
    return scene


PICTURES: dict[str, Callable[[Sampler], Scene]] = {
    "red-circle-blue-square": lambda s: pair(s, ("red", "circle"), ("blue", "square"), "left"),
    "three-yellow-stars": lambda s: group(s, 3, "yellow", "star"),
    "heart-above-moon": lambda s: pair(s, ("red", "heart"), ("gray", "moon"), "above"),
    "purple-circle": lambda s: plain(s, s.place([thing(s, "purple", "circle", "large")]), "single"),
    "dark-trio": lambda s: _lively(
        s, "dark", ("pink", "star", "small"), ("yellow", "circle", "medium"), ("green", "arrow", "medium")
    ),
    "noisy-pair": lambda s: _lively(s, "noisy", ("blue", "triangle", "medium"), ("orange", "ring", "medium")),
    "striped-square": lambda s: plain(s, s.place([thing(s, "green", "square", "large", "striped")]), "single"),
    "circle-with-word": lambda s: labelled(s, "green", "circle", "square"),
    "circle-without-word": lambda s: labelled(s, "green", "circle", None),
    "green-star-red-cross": lambda s: pair(s, ("green", "star"), ("red", "cross"), "left"),
    "two-blue-hearts": lambda s: group(s, 2, "blue", "heart"),
    "four-red-triangles": lambda s: group(s, 4, "red", "triangle"),
    "star-left-of-circle": lambda s: pair(s, ("yellow", "star"), ("blue", "circle"), "left"),
    "star-right-of-circle": lambda s: pair(s, ("yellow", "star"), ("blue", "circle"), "right"),
}


def main() -> None:
    for name, make in PICTURES.items():
        scene = scene_of(name, make)
        save(scene, FOLDER / f"{name}.png")
        if name in SWAPPED:
            save(swapped(scene), FOLDER / f"{name}-swapped.png")


if __name__ == "__main__":
    main()
