"""Scenes of whole, unmistakable shapes on a plain background: the world of models that draw rather than recognise.

The sampler of `scenes` covers what a picture on the web may look like; here nothing is striped, hollow, rimmed,
touching or cut off, and every size keeps to its range, so that a drawing can be graded part by part. Knows nothing of
captions.
"""

import random
from collections.abc import Mapping
from dataclasses import replace

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.scenes import RADII, RGB, TRAINING, Rules, Sampler, Scene, Thing

THINGS = {"single": 1, "pair": 2, "several": 3}  # of different names; those of a group share one
MIXTURE = {"single": 34, "pair": 40, "group": 18, "several": 8}
CONTRAST = 190  # least sum of the three channels' differences between a thing and its background


def plain_scene(
    rng: random.Random, kind: str | None = None, rules: Rules = TRAINING, mixture: Mapping[str, float] = MIXTURE
) -> Scene:
    """A scene of one kind ("single", "pair", "group" or "several") on 64 x 64 pixels, or of a kind out of a mixture.

    A group holds as many equal things as one of `rules.counts` says; things of one colour in a scene share one shade.
    """
    kind = kind or rng.choices(list(mixture), weights=list(mixture.values()))[0]
    return _Plain(rng, rules).scene(kind)


class _Plain(Sampler):
    """The sampler with calm looks, sizes that hold, and even backgrounds."""

    def scene(self, kind: str) -> Scene:
        # What is shown is settled before where: else what is easily placed would be shown more often.
        names, count = self.names(THINGS.get(kind, 1)), self.rng.choice(self.rules.counts)
        while True:
            things = self._things(kind, names, count)
            if all(self._is_whole(thing) for thing in things):
                return self.dress(things, kind)

    def thing(self, colour: str, shape: str, size: str, **_) -> Thing:
        thing, rng = super().thing(colour, shape, size, fill="solid"), self.rng
        tilt = rng.uniform(-12, 12) if shape == "moon" else rng.uniform(-6, 6)
        turn = 90 * words.DIRECTIONS.index(thing.direction or "right")
        look = replace(thing.look, angle=turn + tilt, aspect=rng.uniform(0.95, 1.05), bend=0, softness=1, border=0)
        return replace(thing, look=look)

    def place(self, things: list[Thing], gap: float = 4.0) -> list[Thing]:
        return super().place(things, gap)

    def dress(self, things: list[Thing], kind: str) -> Scene:
        rng = self.rng
        while True:
            style = rng.choices(("plain", "dark"), weights=(75, 25))[0]
            background = self._even(style)
            spread = rng.choice((0, 8))
            second = tuple(min(255, max(0, c + rng.randint(-spread, spread))) for c in background)
            shades = {colour: self._shade(colour) for colour in dict.fromkeys(thing.colour for thing in things)}
            things = [replace(thing, rgb=shades[thing.colour]) for thing in things]
            if all(_contrast(thing.rgb, end) > CONTRAST for thing in things for end in (background, second)):
                return Scene(tuple(things), kind, style, background, second, 0, rng.getrandbits(32), self.canvas)

    def _things(self, kind: str, names: list[tuple[str, str]], count: int) -> list[Thing]:
        rng = self.rng
        if kind == "pair":
            return self.pair(*names)
        if kind == "group":
            return self.group(count, names[0])
        sizes = words.SIZES if kind == "single" else ("small", "small", "medium")
        return self.place([self.thing(*name, rng.choice(sizes)) for name in names])

    def _is_whole(self, thing: Thing) -> bool:
        """Whether a thing lies on the canvas and did not shrink below its size to find room."""
        room = min(thing.x, thing.y, self.canvas[0] - thing.x, self.canvas[1] - thing.y)
        return thing.radius >= RADII[thing.size][0] and thing.radius * 1.03 < room

    def _shade(self, colour: str) -> RGB:
        reference = self.rng.choice(words.COLOUR_REFERENCES[colour])
        return tuple(min(255, max(0, c + self.rng.randint(-8, 8))) for c in reference)

    def _even(self, style: str) -> RGB:
        """White or a light tint, or a dark one."""
        rng = self.rng
        if style == "dark":
            return tuple(rng.randint(0, 50) for _ in range(3))
        if rng.random() < 0.4:
            return (255, 255, 255)
        grey = rng.randint(205, 250)
        return tuple(min(255, grey + rng.randint(-8, 8)) for _ in range(3))


def _contrast(a: RGB, b: RGB) -> int:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))
