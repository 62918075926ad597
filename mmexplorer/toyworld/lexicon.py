"""Every word that captions can contain, for tokenizers: the vocabulary that a caption model has really been shown."""

import re

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.captions import RELATION_WORDS, TRAINED_TEMPLATES

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
