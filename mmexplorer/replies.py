"""What a chat model reads and says, as frozen dataclasses of numpy arrays, strings and numbers.

As `results`, which holds the results of all tabs, it knows neither torch nor Gradio nor a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmexplorer.results import Grounding

ROLES = ("system", "image", "question", "answer")


class Turn(NamedTuple):
    """One message of a conversation: role is "user" or "assistant", pictures are whatever `open_picture` reads."""

    role: str
    text: str
    pictures: Sequence = ()


@dataclass(frozen=True)
class Segment:
    """The positions start <= i < stop of a prompt, and what they hold.

    role is "system" (what the template adds), "image", "question" (what the user typed) or "answer" (earlier turns).
    """

    role: str
    start: int
    stop: int


@dataclass(frozen=True)
class Word:
    """A word or a run of punctuation marks, and the tokens start <= i < stop that it consists of."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class ImageLayout:
    """What the k image tokens of one picture stand for.

    positions (k,) int64 count from the prompt's first token. boxes (k, 4) float32 are left, top, right, bottom in
    pixels of the picture of that size (width, height), cut at its borders: empty for newlines and for patches of
    padding. kind (k,) says "base", "tile" or "newline". base_grid and tile_grid (None without tiles) are the (rows,
    columns) of their tokens in reading order, newlines left out. box is the part of the picture that the model gets,
    tiling the (rows, columns) of its tiles, and seen the pictures exactly as fed: the base view, then the tiles.
    """

    size: tuple[int, int]
    positions: np.ndarray
    boxes: np.ndarray
    kind: np.ndarray
    base_grid: tuple[int, int]
    tile_grid: tuple[int, int] | None
    box: tuple[float, float, float, float]
    tiling: tuple[int, int] | None = None
    seen: tuple[Image.Image, ...] = ()


@dataclass(frozen=True)
class TokenChoice:
    """One token of an answer: its id, the text that it adds ("" for the end) and its probability.

    alternatives are the likeliest tokens, best first, each with id, text and probability. Probabilities are the
    model's own, whatever temperature the token was drawn with.
    """

    id: int
    text: str
    probability: float
    alternatives: tuple[tuple[int, str, float], ...]


@dataclass(frozen=True)
class AttendedWord:
    """A word of the last question or of the answer, and the rows of `Attention` that belong to its tokens.

    role is "question" or "answer". tokens are positions in the conversation, prompt and answer counted together. Row
    numbers of an answer's word are those of the queries that produced its tokens, of a question's word those of the
    queries at its tokens.
    """

    text: str
    role: str
    tokens: tuple[int, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Attention:
    """Exact attention of an answer's tokens, and of the last question's, on the image tokens of all pictures.

    mean and max (layers, R, I) float16 are over heads; the I columns are the image tokens of `layouts`, picture after
    picture. shares (layers, heads, R, 4) float32 are each row's whole weight on ROLES, so that they sum to one. images
    are the pictures that the layouts belong to, words the last question's and the answer's in reading order.
    """

    images: tuple[Image.Image, ...]
    layouts: tuple[ImageLayout, ...]
    words: tuple[AttendedWord, ...]
    mean: np.ndarray
    max: np.ndarray
    shares: np.ndarray
    model: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer with everything that was measured on the way.

    ended says why it ended: "end" (the model's own end token), "length" (max_new_tokens), "context" (no room left) or
    "stopped". grounding is the default view of the first picture, None without a picture. text_tokens and image_tokens
    count the prompt's. seconds is the time of prompt and answer, attention_seconds what the attention rows took beside.
    remarks are sentences about what was changed or is not known. settings repeat how it was asked. handle names the
    cache of keys and values that the model may still hold; it can go at any time.
    """

    text: str
    tokens: tuple[TokenChoice, ...]
    grounding: Grounding | None = None
    attention: Attention | None = None
    ended: str = "end"
    model: str = ""
    settings: dict = field(default_factory=dict)
    text_tokens: int = 0
    image_tokens: int = 0
    seconds: float = 0.0
    attention_seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    handle: str = ""

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)

    @property
    def tokens_per_second(self) -> float:
        return len(self.tokens) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class ChatEvent:
    """One step of an answer: text is the answer so far, token what has just come.

    The first event has neither and comes when the prompt has been read. Only the last has the reply.
    """

    text: str = ""
    token: TokenChoice | None = None
    text_tokens: int = 0
    image_tokens: int = 0
    reply: Reply | None = None
