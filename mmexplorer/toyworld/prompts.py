"""What a prompt asks for: things with shape, colour, size and number, and how they stand to each other.

It reads what `captions` writes and what people make of it. Fillings, directions, written words, persons, touching and
backgrounds are not among the things it reads. Whether a picture shows what is asked for is the business of `grade`.
"""

import re
from dataclasses import dataclass

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.captions import RELATION_WORDS, TEMPLATES
from mmexplorer.toyworld.lexicon import WORD
from mmexplorer.toyworld.phrasings import article
from mmexplorer.toyworld.reference import MEANINGS

SEVERAL = -1  # the number of a plural that comes without one: two or more
RELATIONS = ("left", "right", "above", "below", "smaller", "bigger")
_RELATION_WORDS = {name: RELATION_WORDS[name] for name in RELATIONS[:4]}
_RELATION_WORDS |= {"smaller": ("smaller than",), "bigger": ("bigger than", "larger than")}
_NUMBERS = {"no": 0, "without": 0} | {name: number for number, name in enumerate(words.NUMBERS)}
_ADJECTIVES = [word for word, (kind, _) in MEANINGS.items() if kind in ("colour", "size")]
_SHAPES = [word for word, (kind, name) in MEANINGS.items() if kind == "shape" and name in words.SHAPES]
_NOUNS = [*_SHAPES, "shape", "shapes", "object", "objects", "thing", "things"]
_PLURALS = {*words.PLURALS.values(), "things"}
_LITTLE = {"the", "an", "any", "and", "but", "with", "of", "to", "on", "are", *",.;!?"}
_LITTLE |= set(re.findall(WORD, " ".join(TEMPLATES).replace("{}", "")))


def _any(options) -> str:
    return "|".join(sorted((re.escape(option) for option in options), key=len, reverse=True))


_DIGITS = "[0-9]{1,2}"
_ADJECTIVE, _NOUN = rf"(?:{_any(_ADJECTIVES)})", rf"(?:{_any(_NOUNS)})"
_PIECES = re.compile(
    rf"(?:(?P<the>the) )?(?:(?P<count>{_any(_NUMBERS)}|{_DIGITS}) )?(?:(?:an?|any) )?"
    rf"(?P<described>(?:{_ADJECTIVE} )*{_NOUN}|{_ADJECTIVE}(?: {_ADJECTIVE})*)(?= |$)|@(?P<relation>\w+)|\S+"
)


@dataclass(frozen=True)
class Item:
    """Things of one description; what it leaves open is ""."""

    shape: str = ""
    colour: str = ""
    size: str = ""
    count: int = 1  # 0 for what must not be there, SEVERAL for two or more

    def __str__(self) -> str:
        """The item in words: "a large red circle", "three stars", "no heart"."""
        described = [word for word in (self.size, self.colour, self.shape or "shape") if word]
        if self.count == 1:
            return " ".join((article(described[0]), *described))
        if self.count == 0:
            return " ".join(("no", *described))
        number = words.NUMBERS[self.count] if self.count < len(words.NUMBERS) else str(self.count)
        described[-1] = words.PLURALS[described[-1]]
        return " ".join(described if self.count == SEVERAL else (number, *described))


@dataclass(frozen=True)
class Wanted:
    """What a prompt asks for."""

    items: tuple[Item, ...]
    relations: tuple[tuple[int, str, int], ...]  # (index of an item, one of RELATIONS, index of another item)
    unknown_words: tuple[str, ...]  # words that were not read


def wanted(text: str) -> Wanted:
    """What a prompt asks for, synonyms, plurals and digits understood.

    "The" before a description that fits exactly one earlier item means that item.
    """
    known, unknown = _known(text)
    items: list[Item] = []
    relations: list[tuple[int, str, int]] = []
    subject = latest = None
    relation = before = ""
    for piece in _PIECES.finditer(known):
        if piece["relation"]:
            unknown += [relation] if relation else []
            relation = piece["relation"]
            if before != "and" or subject is None:  # "left of a star and above a heart" has one subject
                subject = latest
        elif piece["described"]:
            item = _item(piece)
            meant = [i for i, earlier in enumerate(items) if piece["the"] and i != subject and _agree(item, earlier)]
            latest = meant[0] if len(meant) == 1 else len(items)
            items += [item] if latest == len(items) else []
            if relation and subject is not None and item.count:
                relations.append((subject, relation, latest))
            elif relation:
                unknown.append(relation)
            relation = ""
        before = piece[0]
    return Wanted(tuple(items), tuple(relations), (*unknown, *([relation] if relation else [])))


def _known(text: str) -> tuple[str, list[str]]:
    """The words that are read, one space between them and relations written as "@left", and all other words."""
    text = " ".join(re.findall(WORD, text.lower().replace("@", " ")))
    for name, phrases in _RELATION_WORDS.items():
        text = re.sub(rf"\b(?:{_any(phrases)})\b", f"@{name}", text)
    read = {*_ADJECTIVES, *_NOUNS, *_NUMBERS, *_LITTLE}
    known, unknown = [], []
    for word in text.split():
        (known if word in read or word[0] == "@" or re.fullmatch(_DIGITS, word) else unknown).append(word)
    return " ".join(known), unknown


def _item(piece: re.Match) -> Item:
    described, count = piece["described"].split(), piece["count"]
    if count is None:
        number = SEVERAL if described[-1] in _PLURALS else 1
    else:
        number = _NUMBERS[count] if count in _NUMBERS else int(count)
    return Item(**dict(MEANINGS[word] for word in described if word in MEANINGS), count=number)


def _agree(item: Item, other: Item) -> bool:
    """Whether whatever an item says is said by another one too."""
    return all(getattr(item, kind) in ("", getattr(other, kind)) for kind in ("shape", "colour", "size"))
