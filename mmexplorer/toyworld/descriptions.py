"""The canonical description of a scene, and the way back from a description to the objects that it names.

It says what is there, with colour and shape, and what is written, but not how large things are or where: a model's
description is compared with the scene object by object.
"""

import re
from dataclasses import dataclass

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.phrasings import article
from mmexplorer.toyworld.scenes import Scene, Thing

UNREADABLE = "unreadable text"
_NAMED = (*words.COLOURS, *words.SHAPES, "person")
_NAMES = {word: name for name in _NAMED for word in words.SYNONYMS.get(name, (name,))}
_NAMES |= {words.PLURALS[word]: name for word, name in _NAMES.items() if name not in words.COLOURS}
_COUNTS = {"": 1, "a": 1, "an": 1, "the": 1} | {word: n for n, word in enumerate(words.NUMBERS)}
_COUNTS |= {str(n): n for n in range(len(words.NUMBERS))}


@dataclass(frozen=True)
class Item:
    """One object of a description; of a text only what it says, which is "" if nobody can read it."""

    shape: str
    colour: str = ""
    text: str = ""


def describe(scene: Scene) -> str:
    """Colours and shapes from left to right, equal ones counted: "two red circles, a blue star and the word cat"."""
    groups: dict[object, list[Thing]] = {}
    for thing in sorted(scene.things, key=lambda t: t.x):
        groups.setdefault(thing if thing.shape == "word" else (thing.colour, thing.shape), []).append(thing)
    phrases = [_phrase(things[0], len(things)) for things in groups.values()]
    return " and ".join(part for part in (", ".join(phrases[:-1]), phrases[-1]) if part)


def parse(text: str) -> tuple[Item, ...]:
    """The objects that a description names, synonyms and digits understood; phrases of another form are passed over."""
    return tuple(item for phrase in re.split(r"[,.;]|\band\b", text.lower()) for item in _items(phrase.split()))


def is_readable(thing: Thing) -> bool:
    """Whether a thing is text large enough to read."""
    return thing.shape == "word" and thing.size == "large"


def glyph(thing: Thing) -> str:
    """What a text is called: "word", "letter" or "number"."""
    return "number" if thing.text.isdigit() else "letter" if len(thing.text) == 1 else "word"


def _phrase(thing: Thing, count: int) -> str:
    if thing.shape == "word":
        return f"the {glyph(thing)} {thing.text}" if is_readable(thing) else UNREADABLE
    noun = thing.shape if count == 1 else words.PLURALS[thing.shape]
    return f"{article(thing.colour) if count == 1 else words.NUMBERS[count]} {thing.colour} {noun}"


def _items(phrase: list[str]) -> list[Item]:
    if " ".join(phrase) == UNREADABLE:
        return [Item("word")]
    count, *rest = phrase if len(phrase) == 3 else ["", *phrase]
    if len(rest) != 2 or count not in _COUNTS:
        return []
    if rest[0] in ("word", "letter", "number"):
        return [Item("word", text=rest[1])]
    colour, shape = _NAMES.get(rest[0]), _NAMES.get(rest[1])
    if colour not in words.COLOURS or shape is None or shape in words.COLOURS:
        return []
    return [Item(shape, colour)] * _COUNTS[count]
