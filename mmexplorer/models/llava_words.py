"""Tokens and the words they make: text with the right spaces, piece by piece as tokens come, and words as groups.

Knows tokenizers, but neither prompts nor models.
"""

import re
from collections.abc import Sequence

from mmexplorer.replies import Word

WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]+")
# A piece of text depends on the tokens right before it only: on a space, or on the bytes of one character.
WINDOW = 8
UNFINISHED = "�"  # how a character of several tokens reads until its last one


def group(text: str, spans: Sequence[tuple[int, int]], first: int = 0) -> tuple[Word, ...]:
    """The words of a text whose tokens cover the characters `spans`; tokens are counted from `first`.

    A token of white space belongs to the word after it, one that spans two words to the former.
    """
    words, start = [], 0
    for match in WORD.finditer(text):
        stop = start
        while stop < len(spans) and spans[stop][0] < match.end():
            stop += 1
        if stop > start:
            words.append(Word(match[0], first + start, first + stop))
        start = stop
    return tuple(words)


class Speller:
    """Turns a tokenizer's ids into text."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        # Such a tokenizer knows words without spaces; it joins all by one space, punctuation marks too.
        self._tidy = tokenizer.backend_tokenizer.decoder is None

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids without special tokens."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=self._tidy)

    def piece(self, before: Sequence[int], token: int) -> str:
        """What a token adds to the text of the ids before it: "" for special tokens and within a character."""
        old, new = self.decode(before[-WINDOW:]), self.decode([*before[-WINDOW:], token])
        return "" if new.endswith(UNFINISHED) else new[len(old.rstrip(UNFINISHED)) :]

    def name(self, before: Sequence[int], token: int) -> str:
        """What a token adds, or where that is nothing, how the tokenizer writes it, such as "</s>"."""
        return self.piece(before, token) or str(self.tokenizer.convert_ids_to_tokens(int(token)))

    def words(self, ids: Sequence[int]) -> tuple[Word, ...]:
        """Which tokens join into words; special tokens at the end belong to none."""
        spans, length = [], 0
        for i, token in enumerate(ids):
            piece = self.piece(ids[:i], token)
            spans.append((length, length + len(piece)))
            length += len(piece)
        return group(self.decode(ids), spans)
