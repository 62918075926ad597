"""Answers that are there: the keys and values each has left, kept for a while or made anew, and its attention.

Knows which rows of attention belong to which words, but not how a row is computed (attention_probe) nor how an answer
is written (llava_generation).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from transformers import DynamicCache

from mmexplorer.models.attention_probe import replay
from mmexplorer.models.input_device import input_device
from mmexplorer.models.llava_generation import Generation
from mmexplorer.models.llava_prompt import Prompt
from mmexplorer.replies import ROLES, AttendedWord, Attention, Segment

MOST_KEPT, MOST_KEPT_BYTES = 16, 2**30
# A longer question gets maps for its last tokens only: a page of text over thousands of patches would fill gigabytes.
QUESTION_TOKENS = 256


@dataclass(frozen=True)
class Answered:
    """An answer of T tokens to a prompt of P.

    cache holds the keys and values of at least the first P + T - 1 positions (P where T is 0), and sequence (P + T,)
    the ids of all, on the model's device.
    """

    prompt: Prompt
    ids: tuple[int, ...]
    cache: DynamicCache
    sequence: torch.Tensor

    @classmethod
    def of(cls, prompt: Prompt, generation: Generation) -> "Answered | None":
        """The answer as it stands; None if it was stopped before its prompt was read."""
        if generation.cache is None or generation.cache.get_seq_length() < len(prompt):
            return None
        return cls(prompt, tuple(generation.ids), generation.cache, generation.sequence)

    @property
    def memory_bytes(self) -> int:
        """What the cache and the prepared pictures take."""
        layers = [tensor for layer in self.cache.layers for tensor in (layer.keys, layer.values)]
        return sum(t.numel() * t.element_size() for t in (*layers, *self.prompt.images.values()))


class KeptAnswers:
    """The latest answers by handle, bounded in number and in bytes; those not asked for longest go first."""

    def __init__(self, most: int = MOST_KEPT, most_bytes: int = MOST_KEPT_BYTES):
        self._most, self._most_bytes = most, most_bytes
        self._answers: dict[str, Answered] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def keep(self, answered: Answered, handle: str = "") -> str:
        """The handle under which the answer is kept; it may be gone at once if it is larger than all room."""
        handle = handle or secrets.token_hex(16)
        self._answers[handle] = answered
        while len(self) > self._most or sum(a.memory_bytes for a in self._answers.values()) > self._most_bytes:
            del self._answers[next(iter(self._answers))]
        return handle

    def get(self, handle: str) -> Answered | None:
        """The answer of that handle, which counts as the latest again, or None if it is gone."""
        answered = self._answers.pop(handle, None)
        if answered is not None:
            self._answers[handle] = answered
        return answered

    def forget(self, handle: str | None = None) -> None:
        """Drop one answer, or all of them."""
        if handle is None:
            self._answers.clear()
        else:
            self._answers.pop(handle, None)


@torch.no_grad()  # not inference_mode, whose tensors could not take part in gradients of attention later
def answered_again(model, prompt: Prompt, ids: Sequence[int]) -> Answered:
    """An answer whose keys and values are gone, made anew by one pass of the prompt with the answer's own ids."""
    answer = torch.tensor([tuple(ids)], dtype=torch.long)
    device = input_device(model)
    sequence = torch.cat([prompt.input_ids, answer], dim=1).to(device)
    images = {name: tensor.to(device) for name, tensor in prompt.images.items()}
    if images:
        images["pixel_values"] = images["pixel_values"].to(model.dtype)
    cache = DynamicCache()  # without the config, as in llava_generation
    fed = sequence[:, : max(len(prompt), sequence.shape[1] - 1)]
    model(input_ids=fed, **images, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Answered(prompt, tuple(ids), cache, sequence[0])


def first_query(prompt: Prompt) -> int:
    """The position whose query is row 0 of `attention`: the last question's first, or what follows the last picture.

    Queries before the last picture's end cannot be replayed, and of a long question the last tokens have rows.
    """
    first = max((int(layout.positions[-1]) + 1 for layout in prompt.layouts), default=0)
    questions = [segment for segment in prompt.segments if segment.role == "question" and segment.start >= first]
    return max(questions[-1].start, questions[-1].stop - QUESTION_TOKENS) if questions else first


def attention(chat, answered: Answered, images: Sequence[Image.Image]) -> Attention | None:
    """The attention of an answer of a `LlavaChat`, and of the question before it, on its pictures; None without any.

    Row r is the query at position first_query(prompt) + r, so that R is P + T - 1 - first_query(prompt). images are
    the conversation's pictures in order.
    """
    prompt, sequence = answered.prompt, answered.sequence
    if not prompt.layouts:
        return None
    first = first_query(prompt)
    columns = torch.from_numpy(np.concatenate([layout.positions for layout in prompt.layouts]))
    spans = (*prompt.segments, Segment("answer", len(prompt), len(sequence)))
    rows = replay(chat.model, answered.cache, sequence, first + 1, columns=columns, dtype=np.float16, spans=spans)
    shares = np.zeros((*rows.shares.shape[:-1], len(ROLES)), np.float32)
    for span, share in zip(spans, np.moveaxis(rows.shares, -1, 0), strict=True):
        shares[..., ROLES.index(span.role)] += share
    return Attention(
        images=tuple(images),
        layouts=prompt.layouts,
        words=_words(chat, answered, first),
        mean=rows.mean,
        max=rows.max,
        shares=shares,
    )


def _words(chat, answered: Answered, first: int) -> tuple[AttendedWord, ...]:
    """The words of the last question from position `first` on, and those of the answer."""
    prompt, words = answered.prompt, []
    for word in prompt.words:
        if word.start >= first:
            tokens = range(word.start, word.stop)
            words.append(AttendedWord(word.text, "question", tuple(tokens), tuple(p - first for p in tokens)))
    for word in chat.word_groups(answered.ids):
        tokens = range(len(prompt) + word.start, len(prompt) + word.stop)
        words.append(AttendedWord(word.text, "answer", tuple(tokens), tuple(p - 1 - first for p in tokens)))
    return tuple(words)
