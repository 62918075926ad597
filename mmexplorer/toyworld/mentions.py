"""Which words of a sentence name a thing of the world, and by which description.

Knows words only: what a description means in a scene is the business of `reference.referents`.
"""

from collections.abc import Sequence

from mmexplorer.toyworld import vocabulary
from mmexplorer.toyworld.reference import MEANINGS, NOUNS, WRITTEN

TEXTS = {*vocabulary.WRITTEN, *vocabulary.LETTERS, *vocabulary.DIGITS}


def mentions(words: Sequence[str]) -> dict[int, str]:
    """The description that a word belongs to, by the word's index; words of no description are left out.

    In "a red circle and the word cat", "red" and "circle" belong to "red circle", "word" and "cat" to "word cat". An
    answer of one word is a description too: "red", or "word cat" for "cat".
    """
    words = [word.lower() for word in words]
    if len(words) == 1 and words[0] in TEXTS and words[0] not in MEANINGS:
        return {0: f"word {words[0]}"}
    found: dict[int, str] = {}
    group: list[int] = []
    for i, word in enumerate(words):
        if word in TEXTS and i and words[i - 1] in WRITTEN:
            group = [i - 1, i]
        elif word in MEANINGS or word in NOUNS:
            group = [*group, i]
        else:
            group = []
        found.update(dict.fromkeys(group, " ".join(words[j] for j in group)))
        if word in NOUNS or MEANINGS.get(word, ("",))[0] == "shape":
            group = []
    return found
