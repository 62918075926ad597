"""What is in a picture: things with their attributes and places, sampled from a seed under the rules of a split.

A scene is the whole truth about its picture; the renderer adds nothing that is not decided here. Positions and radii
are pixels of the canvas, y pointing down; things keep their size on a larger one.
"""

import random
from dataclasses import dataclass, field, replace
from itertools import combinations

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.shapes import variants
from mmexplorer.toyworld.splits import SEEN_COUNTS, arrangement_is_seen, pair_is_seen, swap_is_kept

CANVAS = 64
KINDS = ("single", "pair", "group", "several", "word", "figure")
RADII = {"small": (7.0, 8.8), "medium": (10.0, 12.5), "large": (15.0, 19.0)}
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """How a thing is drawn beyond what words say: the variant of its outline, its pose, its edge."""

    variant: int = 0
    angle: float = 0.0  # degrees, clockwise
    aspect: float = 1.0
    bend: float = 0.0
    mirrored: bool = False
    softness: float = 1.0  # width of the antialiased edge in pixels
    line: float = 1.5  # width of an outline in pixels
    border: float = 0.0  # width of a dark rim in pixels, as drawing programs add
    stripes: float = 4.0  # period in pixels


@dataclass(frozen=True)
class Thing:
    """One object: what captions may say of it, and where and how it is drawn."""

    shape: str  # one of vocabulary.SHAPES, "person" or "word"
    colour: str
    size: str
    fill: str
    x: float
    y: float
    radius: float
    rgb: RGB
    look: Look = field(default_factory=Look)
    direction: str = ""  # of an arrow
    facing: str = ""  # of a person: "viewer" or "away"
    text: str = ""  # of a word; `radius` is then half its letters' height


@dataclass(frozen=True)
class Scene:
    """Things on a background, in the order they are painted."""

    things: tuple[Thing, ...]
    kind: str
    style: str
    background: RGB
    second: RGB  # far end of a gradient, or the texture's other colour
    grain: int  # amplitude of the noise, 0-255
    seed: int  # of the noise and the texture
    canvas: tuple[int, int] = (CANVAS, CANVAS)  # width and height in pixels


@dataclass(frozen=True)
class Rules:
    """What a sampler may draw. The defaults are what training with full coverage sees."""

    pairs: str = "seen"  # "seen", "unseen" or "any" colour x shape pairs
    swaps: str = "all"  # "all", "kept" (one of each swap pair) or "withheld" (the other one)
    counts: tuple[int, ...] = SEEN_COUNTS
    arrangements: str = "seen"  # "seen", "unseen" or "any"


TRAINING = Rules()


def rng_for(split: str, seed: int) -> random.Random:
    """The random source of one scene; splits never share one because their name is part of the seed."""
    return random.Random(f"{split} {seed}")


def relation_between(a: Thing, b: Thing) -> str:
    """How `a` stands to `b`: "left", "right", "above" or "below", or "" where no axis clearly dominates."""
    dx, dy = a.x - b.x, a.y - b.y
    if abs(dx) > 1.4 * abs(dy):
        return "left" if dx < 0 else "right"
    if abs(dy) > 1.4 * abs(dx):
        return "above" if dy < 0 else "below"
    return ""


def shrunk(scene: Scene, factor: float) -> Scene:
    """The scene with smaller things at the same places; what is written keeps its size."""
    things = (t if t.shape == "word" else replace(t, radius=t.radius * factor) for t in scene.things)
    return replace(scene, things=tuple(things))


class Sampler:
    """Draws scenes under rules, on a canvas of 64 pixels at least in either direction; one for each random source."""

    def __init__(self, rng: random.Random, rules: Rules = TRAINING, canvas: tuple[int, int] = (CANVAS, CANVAS)):
        self.rng, self.rules, self.canvas = rng, rules, canvas

    def scene(self, kind: str | None = None) -> Scene:
        """One scene of a kind (see KINDS), or of a random kind."""
        kind = kind or self.rng.choices(KINDS, weights=(26, 32, 15, 13, 9, 5))[0]
        return self.dress(getattr(self, f"_{kind}")(), kind)

    def dress(self, things: list[Thing], kind: str) -> Scene:
        """Puts things on a background that all of them stand out from."""
        rng = self.rng
        style = rng.choices(words.STYLES, weights=(62, 13, 15, 10))[0]
        for _ in range(30):
            background = self._background(style)
            if all(_contrast(background, thing.rgb) > 190 for thing in things):
                break
        else:
            style, background = (
                "plain",
                max(
                    ((255, 255, 255), (20, 20, 24), (90, 140, 150)),
                    key=lambda colour: min(_contrast(colour, thing.rgb) for thing in things),
                ),
            )
        spread = {"plain": 12, "dark": 12, "textured": 22, "noisy": 12}[style] * (rng.random() < 0.6)
        second = tuple(min(255, max(0, c + rng.randint(-spread, spread))) for c in background)
        grain = rng.randint(10, 28) if style == "noisy" else rng.choice((0, 0, 0, 6))
        return Scene(tuple(things), kind, style, background, second, grain, rng.getrandbits(32), self.canvas)

    def name(self) -> tuple[str, str]:
        """A colour and a shape that the rules allow."""
        while True:
            name = self.rng.choice(words.COLOURS), self.rng.choice(words.SHAPES)
            if self.rules.pairs == "any" or pair_is_seen(*name) == (self.rules.pairs == "seen"):
                return name

    def names(self, count: int) -> list[tuple[str, str]]:
        """Distinct (colour, shape) names that may share a scene.

        All are drawn anew when two of them may not, so that no name is likelier for being easy to combine.
        """
        while True:
            names: list[tuple[str, str]] = []
            while len(names) < count:
                name = self.name()
                if name not in names:
                    names.append(name)
            if all(self._together(a, b) for a, b in combinations(names, 2)):
                return names

    def thing(self, colour: str, shape: str, size: str, *, fill: str | None = None, stretch: float = 1.0) -> Thing:
        """A thing with a random look, at the origin; `stretch` scales its radius."""
        rng = self.rng
        fill = fill or rng.choices(words.FILLS, weights=(64, 14, 22))[0]
        if shape in ("ring", "person") or (size == "small" and fill == "striped"):
            fill = "solid"  # an outlined ring is two circles, and a small stripe is a smudge
        radius = rng.uniform(*RADII[size]) * stretch
        if shape == "ring":
            radius = max(radius, 8.0)
        reference = rng.choice(words.COLOUR_REFERENCES[colour])
        rgb = tuple(min(255, max(0, c + rng.randint(-14, 14))) for c in reference)
        direction = rng.choice(words.DIRECTIONS) if shape == "arrow" else ""
        tilt = rng.uniform(-11, 11) if rng.random() < 0.6 else 0.0
        if shape == "moon":
            tilt *= 3
        elif shape == "person":
            tilt *= 0.3
        bordered = fill == "solid" and radius > 8 and colour != "black" and rng.random() < 0.25
        look = Look(
            variant=rng.randrange(variants(shape)),
            angle=tilt + 90 * words.DIRECTIONS.index(direction or "right"),
            aspect=rng.uniform(0.91, 1.1) if shape in ("circle", "ring", "square") else rng.uniform(0.86, 1.16),
            bend=rng.uniform(-0.08, 0.08) if rng.random() < 0.3 else 0.0,
            mirrored=shape == "moon" and rng.random() < 0.5,
            softness=rng.choice((1.0, 1.0, 0.4, 1.8)),
            line=rng.uniform(1.0, max(1.4, 0.15 * radius)),
            border=rng.uniform(0.8, 1.6) if bordered else 0.0,
            stripes=rng.uniform(3.5, 6.0),
        )
        facing = rng.choice(("viewer", "away")) if shape == "person" else ""
        return Thing(shape, colour, size, fill, 0.0, 0.0, radius, rgb, look, direction, facing)

    def place(self, things: list[Thing], gap: float = 2.0) -> list[Thing]:
        """Gives things random places without overlap, shrinking all of them a little whenever that fails."""
        rng, (width, height) = self.rng, self.canvas
        while True:
            placed: list[Thing] = []
            for thing in things:
                reach = min(thing.radius * 1.05, min(width, height) / 2 - 1)
                for _ in range(25):
                    x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
                    if all((x - o.x) ** 2 + (y - o.y) ** 2 > (thing.radius + o.radius + gap) ** 2 for o in placed):
                        placed.append(replace(thing, x=x, y=y))
                        break
                else:
                    break
            if len(placed) == len(things):
                return placed
            things = [replace(thing, radius=thing.radius * 0.9) for thing in things]

    def arrange(self, a: Thing, b: Thing, relation: str) -> list[Thing]:
        """Places `a` in a relation to `b` (any of vocabulary.RELATIONS)."""
        rng, (width, height) = self.rng, self.canvas
        if relation == "inside":
            radius = max(13.0, b.radius)
            x, y = self._middle(9)
            b = replace(b, radius=radius, size="large", fill="outline", x=x, y=y)
            # The room inside an outline depends on its shape; a circle and a square have the most.
            a = replace(a, radius=min(a.radius, radius * 0.42), size="small", x=b.x, y=b.y)
            return [b, a]
        if relation == "touching":
            distance = 0.7 * (a.radius + b.radius)  # silhouettes do not fill their circles
            angle = rng.choice(((1.0, 0.0), (0.0, 1.0), (0.7, 0.7), (-0.7, 0.7)))
            sign = rng.choice((-1, 1))
            x, y = self._middle(5)
            share = a.radius / (a.radius + b.radius)
            dx, dy = sign * angle[0] * distance, sign * angle[1] * distance
            return [
                replace(a, x=x + dx * (1 - share), y=y + dy * (1 - share)),
                replace(b, x=x - dx * share, y=y - dy * share),
            ]
        while True:
            first, second = self.place([a, b])
            if relation_between(first, second) == relation:
                return [first, second]
            if relation_between(second, first) == relation:
                x, y = first.x, first.y
                swapped = [replace(first, x=second.x, y=second.y), replace(second, x=x, y=y)]
                if all(t.radius <= min(t.x, t.y, width - t.x, height - t.y) + 1 for t in swapped):
                    return swapped
            a, b = replace(a, radius=a.radius * 0.97), replace(b, radius=b.radius * 0.97)

    def _middle(self, spread: float) -> tuple[float, float]:
        """A place near the middle: up to `spread` pixels away on a small canvas, farther on a longer one."""
        reaches = (spread + (side - CANVAS) / 2 for side in self.canvas)
        x, y = (side / 2 + self.rng.uniform(-far, far) for side, far in zip(self.canvas, reaches, strict=True))
        return x, y

    def _together(self, first: tuple[str, str], second: tuple[str, str]) -> bool:
        if self.rules.swaps == "all" or first[0] == second[0] or first[1] == second[1]:
            return True
        return swap_is_kept(first, second) == (self.rules.swaps == "kept")

    def _arrangement_allowed(self, relation: str, a: str, b: str) -> bool:
        rule = self.rules.arrangements
        return rule == "any" or arrangement_is_seen(relation, a, b) == (rule == "seen")

    def _background(self, style: str) -> RGB:
        rng = self.rng
        if style == "dark":
            return tuple(rng.randint(0, 70) for _ in range(3))
        if rng.random() < 0.35:
            return (255, 255, 255)
        if rng.random() < 0.15:
            return tuple(rng.randint(60, 255) for _ in range(3))
        grey = rng.randint(190, 255)
        return tuple(min(255, grey + rng.randint(-25, 25)) for _ in range(3))

    def _single(self) -> list[Thing]:
        stretch = self.rng.uniform(1.0, 1.5) if self.rng.random() < 0.35 else 1.0
        size = self.rng.choice(words.SIZES)
        return self.place([self.thing(*self.name(), size, stretch=stretch if size == "large" else 1.0)])

    def pair(self, first: tuple[str, str], second: tuple[str, str], relation: str | None = None) -> list[Thing]:
        """Two named things, in a given relation or a random allowed one of left, right, above and below."""
        rng = self.rng
        sizes = [rng.choice(("small", "medium", "medium", "large")) for _ in range(2)]
        if sizes == ["large", "large"]:
            sizes[rng.randrange(2)] = "medium"
        a, b = (self.thing(*name, size) for name, size in zip((first, second), sizes, strict=True))
        if relation is None:
            sides = [r for r in words.RELATIONS[:4] if self._arrangement_allowed(r, first[1], second[1])]
            relation = rng.choice(sides or words.RELATIONS[:4])
        return self.arrange(a, b, relation)

    def _pair(self) -> list[Thing]:
        first, second = self.names(2)
        special = self.rng.random()
        if special < 0.08 and second[1] in ("circle", "square", "heart"):
            return self.pair(first, second, "inside")
        return self.pair(first, second, "touching" if special > 0.92 else None)

    def group(self, count: int, name: tuple[str, str] | None = None) -> list[Thing]:
        """`count` things of one colour and shape."""
        colour, shape = name or self.name()
        size = self.rng.choice(("small", "medium") if count > 2 else words.SIZES[:2])
        fill = self.rng.choices(words.FILLS, weights=(70, 10, 20))[0]
        return self.place([self.thing(colour, shape, size, fill=fill) for _ in range(count)])

    def _group(self) -> list[Thing]:
        return self.group(self.rng.choice(self.rules.counts))

    def _several(self) -> list[Thing]:
        names = self.names(self.rng.choice((3, 3, 4)))
        return self.place([self.thing(*name, self.rng.choice(("small", "small", "medium"))) for name in names])

    def word(self, text: str, *, readable: bool = True, colour: str | None = None) -> Thing:
        """A written word; unreadable ones are two or three pixels high."""
        rng, (width, height) = self.rng, self.canvas
        widest = (width - 6) / max(2.0, len(text) * 1.25)
        radius = min(rng.uniform(5.5, 9.0), widest) if readable else rng.uniform(1.2, 1.8)
        colour = colour or rng.choice(("black", "black", "black", *words.COLOURS))
        rgb = tuple(min(255, max(0, c + rng.randint(-14, 14))) for c in words.COLOUR_REFERENCES[colour][0])
        half = radius * len(text) * 0.62
        x = rng.uniform(min(half + 2, width / 2), max(width - half - 2, width / 2))
        y = rng.uniform(radius + 2, height - radius - 2)
        look = Look(softness=rng.choice((1.0, 1.0, 1.6)), angle=rng.uniform(-5, 5))
        return Thing("word", colour, "large" if readable else "small", "solid", x, y, radius, rgb, look, text=text)

    def _word(self) -> list[Thing]:
        rng = self.rng
        text = rng.choice(words.WRITTEN) if rng.random() < 0.75 else rng.choice(words.LETTERS + words.DIGITS)
        readable = rng.random() < 0.9
        if rng.random() < 0.5:
            return [self.word(text, readable=readable)]
        # A word above or below an object, as on a sticker.
        thing = self.place([self.thing(*self.name(), rng.choice(("medium", "large")), fill="solid")])[0]
        word = self.word(text, readable=readable)
        for _ in range(20):
            if abs(word.y - thing.y) > thing.radius + word.radius and _contrast(word.rgb, thing.rgb) > 150:
                return [thing, word]
            word = self.word(text, readable=readable)
        return [word]

    def _figure(self) -> list[Thing]:
        rng = self.rng
        person = self.thing(rng.choice(words.COLOURS), "person", "medium", stretch=1.2)
        other = self.thing(*self.name(), rng.choice(("small", "medium")))
        side = rng.choice(("left", "right"))
        return self.arrange(other, person, side)


def _contrast(a: RGB, b: RGB) -> int:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))
