"""Questions that people type about a picture, with answers that are true of its scene.

Only what has one right answer is asked: a phrase such as "the red circle" must pick out exactly what it says. Things
that are not there are chosen as in POPE (Li et al. 2023, arXiv 2305.10355). Pixels play no part: whether two things
really touch is not asked, because their outlines decide it.
"""

import math
import random
from dataclasses import dataclass

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.captions import RELATION_WORDS
from mmexplorer.toyworld.descriptions import describe, glyph, is_readable
from mmexplorer.toyworld.phrasings import article, said, typed
from mmexplorer.toyworld.scenes import RADII, TRAINING, Rules, Scene, Thing, relation_between
from mmexplorer.toyworld.splits import pair_is_seen

ABSENCES = ("random", "popular", "adversarial")
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
CLEAR = 0.04  # of the picture's side: nearer to the border of two ninths nobody can say which it is
MUCH_BIGGER = 1.5  # ratio of radii from which outlines no longer decide which of two things looks bigger


@dataclass(frozen=True)
class Question:
    """What is asked, its answer in lower case, its kind (see KINDS) and the indices of the things it is about."""

    text: str
    answer: str
    kind: str
    about: tuple[int, ...]


@dataclass(frozen=True)
class Name:
    """What things are called: by colour, by shape or by both; with neither it means every shape."""

    colour: str = ""
    shape: str = ""

    def picks(self, scene: Scene) -> tuple[int, ...]:
        """Indices of the things that bear this name."""
        fits = (self.colour in ("", t.colour) and self.shape in ("", t.shape) for t in scene.things)
        return tuple(i for i, fit in enumerate(fits) if fit)

    def is_clear(self, scene: Scene) -> bool:
        """Whether nobody can argue about what it picks, such as whether a person is a shape or a smudge is text."""
        if self.shape == "word":
            return all(is_readable(t) for t in scene.things if t.shape == "word")
        return bool(self.shape) or all(scene.things[i].shape in words.SHAPES for i in self.picks(scene))


def ask(scene: Scene, rng: random.Random, kind: str | None = None, rules: Rules = TRAINING) -> Question | None:
    """A question of one of KINDS, or None where the scene has no clear one of that kind; without a kind, any question.

    Absent things are named within `rules`, so that training never asks about the pairs that it never draws.
    """
    if kind is not None:
        return next((q for _ in range(8) if (q := _WRITERS[kind](scene, rng, rules))), None)
    while True:  # every scene can be described
        kind = rng.choices(KINDS, weights=_WEIGHTS)[0]
        if question := _WRITERS[kind](scene, rng, rules):
            return question


def existence(scene: Scene, rng: random.Random, absence: str | None = None, rules: Rules = TRAINING) -> Question | None:
    """Asks whether something is there: something that is (no `absence`), or something absent by one of ABSENCES.

    "random" is any pair of a colour and a shape that the scene lacks; "popular" a colour or a shape alone, the names
    that most pictures share (the world draws all pairs equally often); "adversarial" pairs a colour and a shape that
    are both there but on different things, or where there are none such, one that is there with one that is not. None
    where the scene has no such name.
    """
    names = _absent(scene, absence, rules) if absence else _present(scene)
    names = [name for name in names if name.is_clear(scene)]
    if not names:
        return None
    name = rng.choice(names)
    about = name.picks(scene)
    one, many = _noun(name, rng), _noun(name, rng, plural=True)
    phrasing = "text existence" if name.shape == "word" else "existence"
    text = typed(phrasing, rng, a=f"{article(one)} {one}", names=many)
    return Question(text, "yes" if about else "no", "existence", about)


def _noun(name: Name, rng: random.Random, plural: bool = False) -> str:
    """A noun phrase without article, such as "grey disc" or "red shapes"."""
    if name.shape == "word":
        return "text"
    noun = said(name.shape, rng) if name.shape else rng.choice(("shape", "object"))
    noun = words.PLURALS[noun] if plural else noun
    return f"{said(name.colour, rng)} {noun}" if name.colour else noun


def _the(scene: Scene, index: int, rng: random.Random) -> str | None:
    """A phrase that picks out one shape and nothing else, such as "the red one", or None if there is no such phrase."""
    thing = scene.things[index]
    names = [Name(thing.colour, thing.shape), Name("", thing.shape), Name(thing.colour)]
    fitting = [name for name in names if name.picks(scene) == (index,)]
    if not fitting:
        return None
    name = rng.choice(fitting)
    return f"the {said(name.colour, rng)} one" if not name.shape and rng.random() < 0.4 else f"the {_noun(name, rng)}"


def _subject(scene: Scene, name: Name, rng: random.Random) -> dict[str, str]:
    """The slots of a sentence about everything that bears a name."""
    if len(name.picks(scene)) > 1:
        return {"it": f"the {_noun(name, rng, plural=True)}", "is": "are", "does": "do"}
    alone = len(scene.things) == 1 and scene.things[0].shape in words.SHAPES
    it = rng.choice(("it", "this")) if alone and rng.random() < 0.3 else f"the {_noun(name, rng)}"
    return {"it": it, "is": "is", "does": "does"}


def _colour(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    thing = rng.choice(scene.things)
    name = Name("", thing.shape)
    about = name.picks(scene)
    if not name.is_clear(scene) or len({scene.things[i].colour for i in about}) > 1:
        return None
    return Question(typed("colour", rng, **_subject(scene, name, rng)), thing.colour, "colour", about)


def _shape(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    thing = rng.choice(scene.things)
    name = Name(thing.colour)
    about = name.picks(scene)
    if not name.is_clear(scene) or len({scene.things[i].shape for i in about}) > 1:
        return None
    return Question(typed("shape", rng, **_subject(scene, name, rng)), thing.shape, "shape", about)


def _size(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    order = [i for i, t in enumerate(scene.things) if t.shape in words.SHAPES]
    rng.shuffle(order)
    if len(order) > 1 and rng.random() < 0.4:
        return _compared(scene, rng, *order[:2])
    if not order or not (it := _the(scene, order[0], rng)):
        return None
    thing = scene.things[order[0]]
    low, high = RADII[thing.size]
    if (thing.size != "small" and thing.radius < low) or (thing.size != "large" and thing.radius > high):
        return None  # placing has shrunk it out of its class
    if thing.size != "medium" and rng.random() < 0.5:
        asked = rng.choice(("small", "large"))
        answer = "yes" if asked == thing.size else "no"
        return Question(typed("is size", rng, it=it, size=said(asked, rng)), answer, "size", (order[0],))
    return Question(typed("size", rng, it=it), thing.size, "size", (order[0],))


def _compared(scene: Scene, rng: random.Random, first: int, second: int) -> Question | None:
    radii = scene.things[first].radius, scene.things[second].radius
    it, other = _the(scene, first, rng), _the(scene, second, rng)
    if not it or not other or max(radii) < MUCH_BIGGER * min(radii):
        return None
    more = rng.choice(("bigger", "smaller"))
    answer = it if (radii[0] > radii[1]) == (more == "bigger") else other
    return Question(typed("compare", rng, it=it, other=other, more=more), answer, "size", (first, second))


def _count(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    if rng.random() < 0.12:
        name = rng.choice(_absent(scene, rng.choice(ABSENCES), rules) or [Name("", "person")])
    else:
        name = rng.choice((*_present(scene), Name()))
    about = name.picks(scene)
    if name.shape == "word" or not name.is_clear(scene):
        return None
    if len(about) == 1 and rng.random() < 0.6:
        return None  # else "one" would nearly always be right
    return Question(typed("count", rng, names=_noun(name, rng, plural=True)), words.NUMBERS[len(about)], "count", about)


def _present(scene: Scene) -> list[Name]:
    """Names that something in the scene bears; full ones twice as often as others, as among absent names."""
    names = []
    for thing in scene.things:
        if thing.shape in words.SHAPES:
            names += [Name(thing.colour, thing.shape)] * 4 + [Name(thing.colour), Name("", thing.shape)]
        else:
            names += [Name("", thing.shape)] * 2
    return names


def _absent(scene: Scene, absence: str, rules: Rules) -> list[Name]:
    """All names of one of ABSENCES that nothing in the scene bears."""
    pairs = [Name(c, s) for c in words.COLOURS for s in words.SHAPES if _may_name(c, s, rules)]
    pairs = [name for name in pairs if not name.picks(scene)]
    if absence == "random":
        return pairs
    if absence == "popular":
        names = [*(Name("", s) for s in (*words.SHAPES, "person", "word")), *(Name(c) for c in words.COLOURS)]
        return [name for name in names if not name.picks(scene)]
    colours = {t.colour for t in scene.things if t.shape in words.SHAPES}
    shapes = {t.shape for t in scene.things}
    near = [(name.colour in colours) + (name.shape in shapes) for name in pairs]
    return [name for name, n in zip(pairs, near, strict=True) if n == max(near) > 0]


def _may_name(colour: str, shape: str, rules: Rules) -> bool:
    return rules.pairs == "any" or pair_is_seen(colour, shape) == (rules.pairs == "seen")


def _existence(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    if rng.random() < 0.5:
        return existence(scene, rng, rules=rules)
    return existence(scene, rng, rng.choice(ABSENCES), rules) or existence(scene, rng, "random", rules)


def _relation(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    indices = [i for i, t in enumerate(scene.things) if t.shape in words.SHAPES]
    if len(indices) < 2:
        return None
    about = first, second = tuple(rng.sample(indices, 2))
    a, b = scene.things[first], scene.things[second]
    it, other = _the(scene, first, rng), _the(scene, second, rng)
    relation = "inside" if _inside(a, b) else relation_between(a, b)
    if not it or not other or not relation or _inside(b, a):
        return None
    form = rng.choice(("relation", "is relation", "is relation", "beside", "what relation"))
    if form == "what relation" and len(scene.things) == 2:
        text = typed(form, rng, other=other, relation=rng.choice(RELATION_WORDS[relation]))
        return Question(text, f"{article(a.colour)} {a.colour} {a.shape}", "relation", about)
    if form == "beside" and relation in OPPOSITE:
        form = "beside" if relation in ("left", "right") else "stacked"
        return Question(typed(form, rng, it=it, other=other), relation, "relation", about)
    if form == "is relation":
        true = rng.random() < 0.5
        asked = relation if true else OPPOSITE.get(relation, rng.choice(tuple(OPPOSITE)))
        if relation in OPPOSITE and not true and rng.random() < 0.1:
            asked = "inside"
        text = typed(form, rng, it=it, other=other, relation=rng.choice(RELATION_WORDS[asked]))
        return Question(text, "yes" if true else "no", "relation", about)
    return Question(typed("relation", rng, it=it, other=other), relation, "relation", about)


def _place(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    """Which ninth of the picture something is in; nothing near the border of two is asked about."""
    index = rng.randrange(len(scene.things))
    it = _the(scene, index, rng) if scene.things[index].shape in words.SHAPES else None
    thing = scene.things[index]
    x, y = (place / side for place, side in zip((thing.x, thing.y), scene.canvas, strict=True))
    if not it or any(abs(place - border) < CLEAR for place in (x, y) for border in (1 / 3, 2 / 3)):
        return None
    down, across = ("top", "", "bottom")[int(3 * y)], ("left", "", "right")[int(3 * x)]
    return Question(typed("place", rng, it=it), f"{down} {across}".strip() or "middle", "place", (index,))


def _inside(inner: Thing, outer: Thing) -> bool:
    return math.dist((inner.x, inner.y), (outer.x, outer.y)) < outer.radius - inner.radius


def _reading(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    about = Name("", "word").picks(scene)
    if len(about) != 1:
        return None
    thing = scene.things[about[0]]
    readable = is_readable(thing)
    if rng.random() < 0.15:
        return Question(typed("is readable", rng), "yes" if readable else "no", "reading", about)
    text = typed("reading", rng, glyph=glyph(thing) if readable else "word")
    return Question(text, thing.text if readable else "unreadable", "reading", about)


def _figure(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    """Left and right as the person has them: one who faces the viewer has them the other way round."""
    people = Name("", "person").picks(scene)
    if len(people) != 1 or len(scene.things) != 2:
        return None
    person = people[0]
    other = 1 - person
    side, it = relation_between(scene.things[other], scene.things[person]), _the(scene, other, rng)
    if side not in ("left", "right") or not it:
        return None
    side = OPPOSITE[side] if scene.things[person].facing == "viewer" else side
    about = (other, person)
    if rng.random() < 0.5:
        return Question(typed("figure", rng, it=it), side, "figure", about)
    asked = rng.choice(("left", "right"))
    return Question(typed("is figure", rng, it=it, side=asked), "yes" if asked == side else "no", "figure", about)


def _facing(scene: Scene, rng: random.Random, rules: Rules) -> Question | None:
    people = Name("", "person").picks(scene)
    if len(people) != 1:
        return None
    way = "facing us" if scene.things[people[0]].facing == "viewer" else "facing away"
    return Question(typed("facing", rng), way, "facing", people)


def _describe(scene: Scene, rng: random.Random, rules: Rules) -> Question:
    return Question(typed("describe", rng), describe(scene), "describe", tuple(range(len(scene.things))))


_WRITERS = {
    "colour": _colour, "shape": _shape, "size": _size, "count": _count, "relation": _relation, "existence": _existence,
    "reading": _reading, "figure": _figure, "facing": _facing, "describe": _describe, "place": _place,
}  # fmt: skip
_WEIGHTS = (16, 14, 10, 14, 18, 18, 20, 30, 8, 10, 10)
KINDS = tuple(_WRITERS)
