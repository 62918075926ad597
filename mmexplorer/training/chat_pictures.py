"""Draws the pictures of the chat's examples and experiment cards, with their truth."""

from collections.abc import Callable

from mmexplorer.explore.experiments import ASSETS
from mmexplorer.toyworld.scenes import CANVAS, Sampler, Scene
from mmexplorer.training.calm_scenes import group, labelled, pair, save, scene_of, several, small_print

FOLDER = ASSETS / "images" / "chat"
PICTURES: dict[str, Callable[[Sampler], Scene]] = {
    "red-circle-blue-square": lambda s: pair(s, ("red", "circle"), ("blue", "square"), "left"),
    "star-above-heart": lambda s: pair(s, ("yellow", "star"), ("red", "heart"), "above"),
    "three-shapes": lambda s: several(s, ("green", "square"), ("red", "star"), ("blue", "circle")),
    "three-yellow-stars": lambda s: group(s, 3, "yellow", "star"),
    "word-above-circle": lambda s: labelled(s, "green", "circle", "cat"),
}
LARGE: dict[str, Callable[[Sampler], Scene]] = {
    "small-print": lambda s: small_print(s, "red", "star", "dog"),
}


def main() -> None:
    for name, make in PICTURES.items():
        save(scene_of(name, make), FOLDER / f"{name}.png")
    for name, make in LARGE.items():
        save(scene_of(name, make, side=2 * CANVAS), FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
