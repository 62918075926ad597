"""What people would write under a scene, and which word speaks of which thing.

A caption is built from phrases whose words carry the index of the thing they describe, so that a word can be checked
against that thing's mask. All captions here are true of their scene; `loosened` makes the incomplete and wrong ones
that captions on the web are full of.
"""

import random
from dataclasses import dataclass

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.scenes import Scene, Thing, relation_between

# The last two, of known words, are never used in training: they test templates that a model has not met.
TEMPLATES = (
    "{}",
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "a drawing of {}",
    "there is {}",
    "there is a drawing of {}",
    "a picture of a photo of {}",
)
TRAINED_TEMPLATES = TEMPLATES[:6]
RELATION_WORDS = {
    "left": ("left of", "to the left of", "on the left of"),
    "right": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "underneath"),
    "inside": ("inside", "in"),
    "touching": ("touching", "next to and touching"),
}
FORMS = ("short", "full", "sized", "relational", "counting", "negated")

Piece = tuple[str, int | None]  # a word and the thing it describes


@dataclass(frozen=True)
class Caption:
    """A sentence and, for each of its words, the index of the thing it describes (None for the others)."""

    text: str
    refers: tuple[int | None, ...]


def caption(scene: Scene, rng: random.Random, form: str | None = None) -> Caption:
    """A true caption in one of FORMS; forms that do not suit the scene fall back to "full"."""
    form = form or rng.choices(FORMS, weights=(22, 34, 12, 16, 10, 6))[0]
    pieces = _WRITERS[form](scene, rng) or _full(scene, rng)
    return _sentence(pieces, rng)


def relational(scene: Scene, rng: random.Random, first: int, second: int) -> Caption | None:
    """A caption that says how thing `first` stands to thing `second`, or None if no relation is clear."""
    pieces = _relate(scene, rng, first, second)
    return _sentence(pieces, rng) if pieces else None


def naming(scene: Scene, rng: random.Random, order: tuple[int, ...], *, sizes: bool = False) -> Caption:
    """A caption that names the given things by colour and shape (and size), in this order."""
    return _sentence(_listed([_noun(scene.things[i], i, rng, size=sizes) for i in order]), rng)


def loosened(scene: Scene, rng: random.Random) -> Caption:
    """A caption as found on the web: one in five leaves things out, one in twenty gets a colour wrong."""
    fate = rng.random()
    if fate < 0.2:
        return caption(scene, rng, "short")
    written = caption(scene, rng)
    if fate > 0.95:
        return Caption(" ".join(_wrong(word, rng) for word in written.text.split()), written.refers)
    return written


def _wrong(word: str, rng: random.Random) -> str:
    return rng.choice(words.COLOURS) if word in words.COLOURS else word


def _sentence(pieces: list[Piece], rng: random.Random) -> Caption:
    template = rng.choice(TRAINED_TEMPLATES) if rng.random() < 0.5 else "{}"
    head, tail = template.split("{}")
    pieces = [*((w, None) for w in head.split()), *pieces, *((w, None) for w in tail.split())]
    return Caption(" ".join(word for word, _ in pieces), tuple(thing for _, thing in pieces))


def _word(name: str, rng: random.Random) -> str:
    options = words.SYNONYMS.get(name, (name,))
    return options[0] if rng.random() < 0.7 else rng.choice(options)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _noun(
    thing: Thing,
    index: int,
    rng: random.Random,
    *,
    colour: bool = True,
    shape: bool = True,
    size: bool = False,
    fill: bool = False,
    article: bool = True,
) -> list[Piece]:
    """A noun phrase, such as "a large red striped circle"."""
    if thing.shape == "word":
        name = (
            "letter" if len(thing.text) == 1 and thing.text.isalpha() else "number" if thing.text.isdigit() else "word"
        )
        return [("the", index), (name, index), (thing.text, index)]
    phrase = [_word(thing.size, rng)] if size else []
    phrase += [_word(thing.colour, rng)] if colour else []
    phrase += [_word(thing.fill, rng)] if fill else []
    noun = _word(thing.shape, rng) if shape else rng.choice(("shape", "object", "thing"))
    phrase.append(noun)
    if thing.direction and fill:
        phrase += ["pointing", thing.direction]
    if article:
        phrase.insert(0, _article(phrase[0]))
    return [(word, index) for word in phrase]


def _listed(phrases: list[list[Piece]]) -> list[Piece]:
    """Phrases joined by commas and a final "and"."""
    joined: list[Piece] = []
    for i, phrase in enumerate(phrases):
        if i and i == len(phrases) - 1:
            joined.append(("and", None))
        elif i:
            word, thing = joined[-1]
            joined[-1] = (word + ",", thing)
        joined += phrase
    return joined


def _is_group(scene: Scene) -> bool:
    first = scene.things[0]
    return scene.kind == "group" and all((t.colour, t.shape) == (first.colour, first.shape) for t in scene.things)


def _group_phrase(scene: Scene, rng: random.Random) -> list[Piece]:
    """ "three red circles", "3 circles" or "three shapes"."""
    count = len(scene.things)
    number = words.NUMBERS[count] if rng.random() < 0.8 else str(count)
    thing = scene.things[0]
    colour = [] if rng.random() < 0.25 else [_word(thing.colour, rng)]
    noun = _word(thing.shape, rng) if rng.random() < 0.85 else "shape"
    noun = noun if count == 1 else words.PLURALS[noun]
    return [(number, None), *((word, 0) for word in colour), (noun, 0)]


def _short(scene: Scene, rng: random.Random) -> list[Piece]:
    index = rng.randrange(len(scene.things))
    thing = scene.things[index]
    if thing.shape == "word" and rng.random() < 0.5:
        return [(thing.text, index)]
    what = rng.random()
    return _noun(thing, index, rng, colour=what < 0.75, shape=what > 0.25, article=rng.random() < 0.6)


def _full(scene: Scene, rng: random.Random) -> list[Piece]:
    if _is_group(scene):
        return _group_phrase(scene, rng)
    order = list(range(len(scene.things)))
    rng.shuffle(order)
    pieces = _listed([_noun(scene.things[i], i, rng) for i in order])
    if scene.kind == "figure":
        return _figure(scene, rng) or pieces
    if scene.style == "dark" and rng.random() < 0.2:
        pieces += [(word, None) for word in ["on", "a", "dark", "background"]]
    return pieces


def _sized(scene: Scene, rng: random.Random) -> list[Piece]:
    if _is_group(scene) and len(scene.things) > 1:
        return _group_phrase(scene, rng)
    return _listed([_noun(t, i, rng, size=True, fill=rng.random() < 0.5) for i, t in enumerate(scene.things)])


def _relational(scene: Scene, rng: random.Random) -> list[Piece]:
    if len(scene.things) != 2 or _is_group(scene):  # larger scenes do not heed the held-out arrangements
        return []
    first, second = rng.sample((0, 1), 2)
    return _relate(scene, rng, first, second)


def _relate(scene: Scene, rng: random.Random, first: int, second: int) -> list[Piece]:
    a, b = scene.things[first], scene.things[second]
    relation = relation_between(a, b)
    if "word" in (a.shape, b.shape):
        return []
    if _contains(b, a):
        relation = "inside"
    elif _contains(a, b):
        return _relate(scene, rng, second, first)
    elif _touches(a, b) and rng.random() < 0.5:
        relation = "touching"
    elif {a.size, b.size} == {"small", "large"} and rng.random() < 0.2:
        phrase = "smaller than" if a.size == "small" else "bigger than"
        return [*_noun(a, first, rng), *((w, None) for w in phrase.split()), *_noun(b, second, rng)]
    if not relation:
        return []
    phrase = rng.choice(RELATION_WORDS[relation])
    return [*_noun(a, first, rng), *((w, None) for w in phrase.split()), *_noun(b, second, rng)]


def _contains(outer: Thing, inner: Thing) -> bool:
    return (outer.x - inner.x) ** 2 + (outer.y - inner.y) ** 2 < (
        outer.radius / 2
    ) ** 2 and inner.radius < outer.radius / 2


def _touches(a: Thing, b: Thing) -> bool:
    return (a.x - b.x) ** 2 + (a.y - b.y) ** 2 < (0.75 * (a.radius + b.radius)) ** 2


def _figure(scene: Scene, rng: random.Random) -> list[Piece]:
    """Left and right as the person in the picture has them; facing the viewer turns them round."""
    index = next((i for i, t in enumerate(scene.things) if t.shape == "person"), None)
    if index is None or len(scene.things) != 2:
        return []
    person, other = scene.things[index], scene.things[1 - index]
    side = relation_between(other, person)
    if side not in ("left", "right") or rng.random() < 0.4:
        return []
    if rng.random() < 0.5:
        way = "facing us" if person.facing == "viewer" else "facing away"
        return [
            *_noun(person, index, rng),
            *((w, index) for w in way.split()),
            ("and", None),
            *_noun(other, 1 - index, rng),
        ]
    if person.facing == "viewer":
        side = {"left": "right", "right": "left"}[side]
    return [*_noun(other, 1 - index, rng), ("on", None), ("the", None), ("person's", index), (side, None)]


def _counting(scene: Scene, rng: random.Random) -> list[Piece]:
    return _group_phrase(scene, rng) if _is_group(scene) else []


def _negated(scene: Scene, rng: random.Random) -> list[Piece]:
    """Says of something that it is absent: a colour or shape of which the scene has none."""
    colours = {t.colour for t in scene.things}
    shapes = {t.shape for t in scene.things}
    if _is_group(scene) or "word" in shapes:
        return []
    absent_shape = rng.choice([s for s in words.SHAPES if s not in shapes])
    absent_colour = rng.choice([c for c in words.COLOURS if c not in colours])
    absent = rng.choice((absent_shape, f"{absent_colour} shape"))
    index = rng.randrange(len(scene.things))
    link = rng.choice(("but no", "and no", "without a"))
    if link == "without a":
        link = f"without {_article(absent)}"
    return [*_noun(scene.things[index], index, rng), *((w, None) for w in f"{link} {absent}".split())]


_WRITERS = {
    "short": _short,
    "full": _full,
    "sized": _sized,
    "relational": _relational,
    "counting": _counting,
    "negated": _negated,
}
