"""Which things of a scene a phrase means, so that a heatmap for the phrase can be checked against their masks.

Knows attributes only: "the circle left of the square" means the circle and the square.
"""

import re
from collections.abc import Sequence

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.lexicon import WORD
from mmexplorer.toyworld.scenes import Thing


def _meanings() -> dict[str, tuple[str, str]]:
    """Each word, singular or plural, with the attribute it states and that attribute's canonical name."""
    kinds = {"shape": words.SHAPES, "colour": words.COLOURS, "size": words.SIZES, "fill": words.FILLS}
    meanings = {"person": ("shape", "person"), "people": ("shape", "person")}
    for kind, names in kinds.items():
        for name in names:
            for word in (name, *words.SYNONYMS.get(name, ())):
                meanings[word] = (kind, name)
                if kind == "shape":
                    meanings[words.PLURALS[word]] = (kind, name)
    return meanings


MEANINGS = _meanings()
WRITTEN = ("word", "letter", "number")
NOUNS = {"shape", "shapes", "object", "objects", "thing", "things", *WRITTEN}


def referents(phrase: str, things: Sequence[Thing]) -> tuple[int, ...]:
    """Indices of the things that a phrase such as "a red circle and a star" describes, in the scene's order.

    A noun ends a description; a written word is meant by its own letters after "the word", "letter" or "number". A
    phrase that describes nothing in the scene gives ().
    """
    found: set[int] = set()
    wanted: dict[str, str] = {}
    tokens = re.findall(WORD, phrase.lower())
    for i, token in enumerate(tokens):
        if i and tokens[i - 1] in WRITTEN:
            found |= {j for j, thing in enumerate(things) if thing.text == token}
            wanted = {}
            continue
        kind, name = MEANINGS.get(token, ("", ""))
        if kind:
            wanted[kind] = name
        elif wanted and token in WRITTEN:
            wanted["shape"] = "word"
        if kind == "shape" or token in NOUNS or (wanted and token in ("and", ",")):
            found |= _described(wanted, things)
            wanted = {}
    return tuple(sorted(found | _described(wanted, things)))


def _described(wanted: dict[str, str], things: Sequence[Thing]) -> set[int]:
    if not wanted:
        return set()
    return {i for i, thing in enumerate(things) if all(getattr(thing, kind) == name for kind, name in wanted.items())}
