"""A prompt's twin: nearly the same words, another meaning, so that a score that does not read order gives itself away.

Where a prompt offers no swap that surely changes its meaning and stays a sentence there is no twin. Knows words only.
"""

import re
from dataclasses import dataclass

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.captions import RELATION_WORDS
from mmexplorer.toyworld.phrasings import article
from mmexplorer.toyworld.prompts import Wanted, wanted
from mmexplorer.toyworld.reference import MEANINGS

NO_TWIN = (
    "No twin: this prompt is too long, or it has no two things whose colours, shapes or places could be swapped "
    "without breaking the sentence or leaving its meaning as it is."
)
# The pairs that could be swapped grow by the square of a prompt's length, and no CLIP reads as much as this.
MOST_CHARACTERS, MOST_PLACES = 1_000, 8
SINGULAR = {plural: word for word, plural in words.PLURALS.items()}
# What stands to one another differently the other way round, unlike "next to", "and" or "with".
ONE_WAY = (
    *(phrase for name in ("left", "right", "above", "below") for phrase in RELATION_WORDS[name]),
    "on", "beneath", "behind", "in front of", "inside", "riding", "chasing", "holding", "carrying", "eating",
    "watching", "pushing", "pulling", "following",
)  # fmt: skip
# What nothing can stand on or behind, although the sentence looks alike.
NO_THINGS = {
    "background",
    "foreground",
    "left",
    "right",
    "top",
    "bottom",
    "side",
    "middle",
    "centre",
    "center",
    "phone",
}
_LINKS = "|".join(sorted(ONE_WAY, key=len, reverse=True))
_PHRASE = r"(?:an?|the) [a-z][a-z'-]*(?: [a-z][a-z'-]*){0,2}"
_FREE = re.compile(rf"(?P<head>|.*\bof )(?P<a>{_PHRASE}?) (?P<link>{_LINKS}) (?P<b>{_PHRASE})[.]?", re.IGNORECASE)
_SMALL = {"and", "or", "with", "of", "next", "to", "is", "are", "that", "at", "by", "near", "beside", *ONE_WAY}


@dataclass(frozen=True)
class Twin:
    """Another caption and how it differs: "colours swapped", "shapes swapped", "things swapped" or "other colour"."""

    text: str
    kind: str


def twin(prompt: str) -> Twin | None:
    """The twin of a prompt: with two colours swapped, else two shapes, else two things, else with another colour."""
    text = " ".join(prompt.split())
    if len(text) > MOST_CHARACTERS:
        return None
    asked = wanted(text)
    if asked.items and all(_meaning(word)[0] == "fill" for word in asked.unknown_words):
        return _of_the_world(text, asked)
    return _of_free_text(text)


def _of_the_world(text: str, asked: Wanted) -> Twin | None:
    for kind, name in (("colour", "colours swapped"), ("shape", "shapes swapped")):
        places = _places(text, kind)[:MOST_PLACES]
        for i, a in enumerate(places):
            for b in places[i + 1 :]:
                if _plural(a[0]) != _plural(b[0]) or _meaning(a[0]) == _meaning(b[0]):
                    continue
                swapped = _swapped(text, a, b)
                if _said(wanted(swapped)) != _said(asked):
                    return Twin(swapped, name)
    for word in _places(text, "colour")[:1] or _places(text, "shape")[:1]:
        kind, name = _meaning(word[0])
        names = words.COLOURS if kind == "colour" else words.SHAPES
        there = {_meaning(other[0])[1] for other in _places(text, kind)}
        other = next(other for other in names[names.index(name) :] + names if other not in there)
        other = words.PLURALS[other] if _plural(word[0]) else other
        return Twin(_with(text, [(word, other)]), f"other {kind}")
    return None


def _of_free_text(text: str) -> Twin | None:
    """Two colours that stand before their things swapped, else two things around a relation that has a direction."""
    colours = [word for word in _places(text, "colour") if _describes(text, word)]
    if len(colours) == 2 == len(_places(text, "colour")) and _meaning(colours[0][0]) != _meaning(colours[1][0]):
        things = [_next_word(text, word).lower() for word in colours]
        if things[0] != things[1]:
            return Twin(_swapped(text, *colours), "colours swapped")
    match = _FREE.fullmatch(text)
    if match is None or match["a"].lower() == match["b"].lower() or "and" in match[0].lower().split():
        return None
    if NO_THINGS & {match[side].lower().split()[-1] for side in "ab"}:
        return None
    a, b = match["a"], match["b"]
    if not match["head"] and a[0].isupper():
        a, b = a[0].lower() + a[1:], b[0].upper() + b[1:]
    return Twin(f"{match['head']}{b} {match['link']} {a}", "things swapped")


Place = tuple[str, int]  # a word and where in the text it begins


def _places(text: str, kind: str) -> list[Place]:
    found = re.finditer(r"[A-Za-z]+", text)
    return [(word[0], word.start()) for word in found if _meaning(word[0])[0] == kind]


def _meaning(word: str) -> tuple[str, str]:
    return MEANINGS.get(word.lower(), ("", ""))


def _plural(word: str) -> bool:
    return word.lower() in SINGULAR


def _describes(text: str, place: Place) -> bool:
    """Whether the word stands before the thing that it describes, and not for a thing itself, as "orange" may."""
    following = _next_word(text, place)
    return bool(following) and following.lower() not in _SMALL


def _next_word(text: str, place: Place) -> str:
    found = re.match(r" ([A-Za-z]+)", text[place[1] + len(place[0]) :])
    return found[1] if found else ""


def _swapped(text: str, a: Place, b: Place) -> str:
    return _with(text, [(a, b[0].lower()), (b, a[0].lower())])


def _with(text: str, changes: list[tuple[Place, str]]) -> str:
    """The text with other words in some places, and "a" or "an" before them as it has to be."""
    for (word, start), other in sorted(changes, key=lambda change: -change[0][1]):
        before = re.sub(r"\b([Aa])n? $", lambda found, other=other: _article(found[1], other), text[:start])
        text = f"{before}{other}{text[start + len(word) :]}"
    return text


def _article(first: str, word: str) -> str:
    said = article(word)
    return f"{said.capitalize() if first == 'A' else said} "


def _said(asked: Wanted) -> tuple:
    """The meaning of a prompt: its things in any order, and which stands how to which."""
    return sorted(map(str, asked.items)), sorted(
        (str(asked.items[a]), relation, str(asked.items[b])) for a, relation, b in asked.relations
    )
