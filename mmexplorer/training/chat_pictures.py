"""Draws the pictures of the chat's examples and experiment cards, with their truth: calm scenes from fixed seeds."""

from mmexplorer.explore.experiments import ASSETS
from mmexplorer.explore.truth import picture_of, save_truth
from mmexplorer.toyworld.scenes import Rules, Sampler, Scene, rng_for
from mmexplorer.training import example_pictures as calm

FOLDER = ASSETS / "images" / "chat"


def _row(sampler: Sampler, *names: tuple[str, str]) -> Scene:
    things = [calm._thing(sampler, colour, shape) for colour, shape in names]
    return calm._plain(sampler, sampler.place(things, gap=4), "several")


PICTURES = {
    "red-circle-blue-square": lambda s: calm._pair(s, ("red", "circle"), ("blue", "square"), "left"),
    "star-above-heart": lambda s: calm._pair(s, ("yellow", "star"), ("red", "heart"), "above"),
    "three-shapes": lambda s: _row(s, ("green", "square"), ("red", "star"), ("blue", "circle")),
    "three-yellow-stars": lambda s: calm._group(s, 3, "yellow", "star"),
    "word-above-circle": lambda s: calm._labelled(s, "green", "circle", "cat"),
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PICTURES.items():
        picture, truth = picture_of(
            make(Sampler(rng_for("example", len(name)), Rules(pairs="any", arrangements="any")))
        )
        picture.save(FOLDER / f"{name}.png", optimize=True)
        save_truth(FOLDER / f"{name}.png", truth)


if __name__ == "__main__":
    main()
