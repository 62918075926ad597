"""Every word that captions and conversations can contain, for tokenizers: what a model has really been shown."""

import re

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.captions import RELATION_WORDS, TRAINED_TEMPLATES
from mmexplorer.toyworld.phrasings import PHRASINGS

WORD = r"[a-z0-9']+|[^\sa-z0-9']"  # a word or a punctuation mark, after lower-casing


def lexicon() -> list[str]:
    """The words and punctuation marks of all captions, in a stable order."""
    names = [*words.SHAPES, *words.COLOURS, *words.SIZES, "solid", "striped", *words.DIRECTIONS]
    names += [word for options in words.SYNONYMS.values() for word in options]
    nouns = [noun for shape in words.SHAPES for noun in words.SYNONYMS.get(shape, (shape,))]
    plurals = [words.PLURALS[noun] for noun in (*nouns, "shape")]
    phrases = [*TRAINED_TEMPLATES, *(p for options in RELATION_WORDS.values() for p in options)]
    phrases += ["smaller than", "bigger than", "on a dark background", "but no", "and no", "without a an", "the word"]
    phrases += ["letter number shape object thing person's person pointing facing us away and"]
    said = [word for phrase in phrases for word in re.findall(WORD, phrase.replace("{}", "").lower())]
    numbers = [*words.NUMBERS[1:5], *"1234"]
    everything = [*names, *plurals, *said, *numbers, *words.WRITTEN, *words.LETTERS, *words.DIGITS, ",", ".", "?", "!"]
    return list(dict.fromkeys(everything))


def spoken_lexicon() -> list[str]:
    """The words of captions, questions and answers, in a stable order: those of `lexicon` first."""
    asked = [text for texts in PHRASINGS.values() for text in texts]
    said = [word for text in asked for word in re.findall(WORD, re.sub(r"{.*?}", " ", text))]
    others = ["color", "colour", "yes", "no", "zero", "unreadable", "object", "objects", "people", "bigger", "smaller"]
    others += ["text", "number", "letter", "word", "facing", "us", "away"]
    others += ["does", "do", "are", "is", "it", "this", "one", "bottom", "middle"]
    return list(dict.fromkeys([*lexicon(), *said, *others]))
