"""Scenes of the toy world that are easy on the eye, for pictures that people look at: light, plain, clear colours.

Each comes from a fixed seed, so that drawing it again writes the same files. Does not know what the pictures are for.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmexplorer.explore.truth import picture_of, save_truth
from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.scenes import CANVAS, Rules, Sampler, Scene, Thing, rng_for


def scene_of(name: str, make: Callable[[Sampler], Scene], side: int = CANVAS) -> Scene:
    """The scene that `make` draws, on side x side pixels, with the luck that belongs to a picture's name."""
    return make(Sampler(rng_for("example", len(name)), Rules(pairs="any", arrangements="any"), (side, side)))


def save(scene: Scene, path: Path) -> None:
    """Writes a scene's picture as PNG, with its truth beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture, truth = picture_of(scene)
    picture.save(path, optimize=True)
    save_truth(path, truth)


def plain(sampler: Sampler, things: list[Thing], kind: str) -> Scene:
    """A scene on a calm, light background, whatever the sampler would have chosen."""
    scene = sampler.dress(things, kind)
    return replace(scene, style="plain", background=(250, 250, 246), second=(236, 240, 246), grain=0)


def thing(sampler: Sampler, colour: str, shape: str, size: str = "medium", fill: str = "solid") -> Thing:
    """A thing in its colour's clearest tone, without border, bend or blur."""
    drawn = sampler.thing(colour, shape, size, fill=fill)
    red_green_blue = words.COLOUR_REFERENCES[colour][-1 if colour in ("red", "green", "blue") else 0]
    return replace(drawn, rgb=red_green_blue, look=replace(drawn.look, border=0.0, bend=0.0, aspect=1.0, softness=1.0))


def pair(sampler: Sampler, first: tuple[str, str], second: tuple[str, str], relation: str) -> Scene:
    """Two things, (colour, shape) each, the first standing to the second as the relation says."""
    a, b = thing(sampler, *first), thing(sampler, *second)
    return plain(sampler, sampler.arrange(a, b, relation), "pair")


def group(sampler: Sampler, count: int, colour: str, shape: str) -> Scene:
    """So many small things of one kind."""
    things = [thing(sampler, colour, shape, "small") for _ in range(count)]
    return plain(sampler, sampler.place(things, gap=4), "group")


def labelled(sampler: Sampler, colour: str, shape: str, text: str | None) -> Scene:
    """An object in the lower half, with or without a word written above it."""
    things = [replace(thing(sampler, colour, shape), x=32.0, y=40.0)]
    if text:
        things.append(replace(sampler.word(text, colour="black"), x=32.0, y=12.0, radius=6.5))
    return plain(sampler, things, "word")


def small_print(sampler: Sampler, colour: str, shape: str, text: str) -> Scene:
    """A small object in one corner and a word in the opposite one, on a canvas of 128 x 128 pixels."""
    things = [
        replace(thing(sampler, colour, shape, "small"), x=36.0, y=84.0),
        replace(sampler.word(text, colour="black"), x=86.0, y=26.0, radius=5.0),
    ]
    return plain(sampler, things, "word")


def several(sampler: Sampler, *names: tuple[str, str]) -> Scene:
    """Several things, (colour, shape) each, anywhere but apart from each other."""
    things = [thing(sampler, colour, shape) for colour, shape in names]
    return plain(sampler, sampler.place(things, gap=4), "several")
