"""How a text-to-image model reads a prompt: tokens, the words they make, what has no token and what is cut off.

Knows tokenizers, but neither networks nor pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mmexplorer.drawings import PromptWord
from mmexplorer.errors import Refusal
from mmexplorer.models.llava_words import WORD


@dataclass(frozen=True)
class Encoder:
    """One of the token sequences that a network attends to, one after another, and the most tokens that it has."""

    tokenizer: object
    length: int


@dataclass(frozen=True)
class PromptReading:
    """A prompt as it is read. tokens are the first encoder's, its special ones included and padding left out.

    words are joined over all encoders, unknown_words have no token in any; cut is the end of the text that the
    encoder with the longest sequence does not read, length how many tokens that one reads.
    """

    tokens: tuple[str, ...]
    words: tuple[PromptWord, ...]
    unknown_words: tuple[str, ...]
    cut: str
    length: int


class PromptReader:
    """Reads prompts as a pipeline's tokenizers do; Refusal for a tokenizer that cannot place its tokens in a text."""

    def __init__(self, encoders: Sequence[Encoder], label: str, lower: bool = False):
        self._encoders, self._lower = encoders, lower
        if not all(encoder.tokenizer.is_fast for encoder in encoders):
            raise Refusal(f"{label} has a tokenizer that cannot say where in a text its tokens come from.")

    def read(self, text: str) -> PromptReading:
        """What becomes of a text."""
        text = text.lower().strip() if self._lower else text
        encodings, first = [], 0
        for encoder in self._encoders:
            encodings.append((first, *_encode(encoder, text)))
            first += encoder.length
        words, unknown, taken = [], [], set()
        for match in WORD.finditer(text):
            tokens, known = [], False
            for first, _, spans, missing in encodings:
                inside = [i for i, (a, b) in enumerate(spans) if a < match.end() and b > match.start()]
                known = known or (inside != [] and not missing.intersection(inside))
                # A token that spans two words is the former's.
                tokens += [first + i for i in inside if first + i not in taken]
            taken.update(tokens)
            if tokens:
                words.append(PromptWord(match[0], tuple(tokens)))
                unknown += [] if known else [match[0]]
        longest = max(range(len(encodings)), key=lambda i: self._encoders[i].length)
        read = max((b for _, b in encodings[longest][2]), default=0)
        return PromptReading(
            tokens=encodings[0][1],
            words=tuple(words),
            unknown_words=tuple(dict.fromkeys(unknown)),
            cut=text[read:].strip(),
            length=self._encoders[longest].length,
        )


def _encode(encoder: Encoder, text: str) -> tuple[tuple[str, ...], list[tuple[int, int]], set[int]]:
    """Tokens, the characters that each covers (none for special ones), and which of them stand for the unknown."""
    tokenizer = encoder.tokenizer
    encoding = tokenizer(
        text,
        truncation=True,
        max_length=encoder.length,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    ids, special = encoding["input_ids"], encoding["special_tokens_mask"]
    spans = [(0, 0) if mark else tuple(span) for mark, span in zip(special, encoding["offset_mapping"], strict=True)]
    missing = {i for i, token in enumerate(ids) if token == tokenizer.unk_token_id and spans[i] != (0, 0)}
    return tuple(tokenizer.convert_ids_to_tokens(ids)), spans, missing
