"""Draws the pictures of examples and experiment cards, with their truth.

Each is a scene of the toy world from a fixed seed, so that running this again writes the same files.
"""

from collections.abc import Callable
from dataclasses import replace

from mmexplorer.explore.experiments import ASSETS
from mmexplorer.explore.truth import picture_of, save_truth
from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.scenes import Rules, Sampler, Scene, rng_for
from mmexplorer.training.clip_data import swapped

FOLDER = ASSETS / "images" / "zero_shot"


def _plain(sampler: Sampler, things: list, kind: str) -> Scene:
    """A scene on a calm, light background, whatever the sampler would have chosen."""
    scene = sampler.dress(things, kind)
    return replace(scene, style="plain", background=(250, 250, 246), second=(236, 240, 246), grain=0)


def _thing(sampler: Sampler, colour: str, shape: str, size: str = "medium", fill: str = "solid"):
    thing = sampler.thing(colour, shape, size, fill=fill)
    red_green_blue = words.COLOUR_REFERENCES[colour][-1 if colour in ("red", "green", "blue") else 0]
    return replace(thing, rgb=red_green_blue, look=replace(thing.look, border=0.0, bend=0.0, aspect=1.0, softness=1.0))


def _pair(sampler: Sampler, first: tuple[str, str], second: tuple[str, str], relation: str) -> Scene:
    a, b = _thing(sampler, *first), _thing(sampler, *second)
    return _plain(sampler, sampler.arrange(a, b, relation), "pair")


def _group(sampler: Sampler, count: int, colour: str, shape: str) -> Scene:
    things = [_thing(sampler, colour, shape, "small") for _ in range(count)]
    return _plain(sampler, sampler.place(things, gap=4), "group")


def _labelled(sampler: Sampler, colour: str, shape: str, text: str | None) -> Scene:
    """An object in the lower half, with or without a word written above it."""
    things = [replace(_thing(sampler, colour, shape), x=32.0, y=40.0)]
    if text:
        things.append(replace(sampler.word(text, colour="black"), x=32.0, y=12.0, radius=6.5))
    return _plain(sampler, things, "word")


def _lively(sampler: Sampler, style: str, *names: tuple[str, str, str]) -> Scene:
    """Several things in a style other than plain."""
    things = sampler.place([sampler.thing(*name, fill="solid") for name in names])
    while (scene := sampler.dress(things, "several")).style != style:
        pass
    return scene


PICTURES: dict[str, Callable[[Sampler], Scene]] = {
    "red-circle-blue-square": lambda s: _pair(s, ("red", "circle"), ("blue", "square"), "left"),
    "three-yellow-stars": lambda s: _group(s, 3, "yellow", "star"),
    "heart-above-moon": lambda s: _pair(s, ("red", "heart"), ("gray", "moon"), "above"),
    "purple-circle": lambda s: _plain(s, s.place([_thing(s, "purple", "circle", "large")]), "single"),
    "dark-trio": lambda s: _lively(
        s, "dark", ("pink", "star", "small"), ("yellow", "circle", "medium"), ("green", "arrow", "medium")
    ),
    "noisy-pair": lambda s: _lively(s, "noisy", ("blue", "triangle", "medium"), ("orange", "ring", "medium")),
    "striped-square": lambda s: _plain(s, s.place([_thing(s, "green", "square", "large", "striped")]), "single"),
    "circle-with-word": lambda s: _labelled(s, "green", "circle", "square"),
    "circle-without-word": lambda s: _labelled(s, "green", "circle", None),
    "green-star-red-cross": lambda s: _pair(s, ("green", "star"), ("red", "cross"), "left"),
    "two-blue-hearts": lambda s: _group(s, 2, "blue", "heart"),
    "four-red-triangles": lambda s: _group(s, 4, "red", "triangle"),
    "star-left-of-circle": lambda s: _pair(s, ("yellow", "star"), ("blue", "circle"), "left"),
    "star-right-of-circle": lambda s: _pair(s, ("yellow", "star"), ("blue", "circle"), "right"),
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PICTURES.items():
        scene = make(Sampler(rng_for("example", len(name)), Rules(pairs="any", arrangements="any")))
        _write(name, scene)
        if name in ("red-circle-blue-square", "green-star-red-cross"):
            _write(f"{name}-swapped", swapped(scene))


def _write(name: str, scene: Scene) -> None:
    picture, truth = picture_of(scene)
    path = FOLDER / f"{name}.png"
    picture.save(path, optimize=True)
    save_truth(path, truth)


if __name__ == "__main__":
    main()
