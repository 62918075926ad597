"""A conversation as a LLaVA reads it: ids, pixels, what every position stands for and where every picture lies.

Knows chat templates and processors, but runs no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from jinja2 import TemplateError

from mmexplorer.errors import Refusal
from mmexplorer.models.llava_pictures import PictureReader
from mmexplorer.models.llava_words import group
from mmexplorer.replies import ImageLayout, Segment, Turn, Word

# Stand for the texts of turns while the template is filled, so that nothing in a text can pass for the template's.
OPEN, CLOSE = "\ue000", "\ue001"


@dataclass(frozen=True)
class Prompt:
    """A conversation that waits for its next answer.

    input_ids (1, P) and images (what else the model takes, such as pixel_values, float32) are torch tensors on the
    CPU. tokens are the P tokens as typed; words group those of questions and answers. layouts hold one entry for each
    picture, in order. unknown_words have no token; neutralised are the control tokens that turns tried to write, which
    are read as plain text.
    """

    input_ids: torch.Tensor
    images: dict[str, torch.Tensor]
    layouts: tuple[ImageLayout, ...]
    segments: tuple[Segment, ...]
    tokens: tuple[str, ...]
    words: tuple[Word, ...]
    unknown_words: tuple[str, ...] = ()
    neutralised: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.input_ids.shape[1]

    @property
    def image_tokens(self) -> int:
        return sum(len(layout.positions) for layout in self.layouts)

    @property
    def text_tokens(self) -> int:
        return len(self) - self.image_tokens


@dataclass(frozen=True)
class _Piece:
    """A stretch of the prompt's text: role "system" for the template's, else the turn's."""

    role: str
    text: str


class Prompter:
    """Writes prompts for one checkpoint, of at most `context` tokens less one for the answer."""

    def __init__(self, tokenizer, template: str, reader: PictureReader, image_id: int, context: int, label: str):
        self.tokenizer, self.template, self.reader, self.label = tokenizer, template, reader, label
        self.image_id, self.context = image_id, context
        self._image_token = self.tokenizer.convert_ids_to_tokens(image_id)
        # Longest first: a token may be part of another.
        control = (token for token in map(str, self.tokenizer.get_added_vocab()) if len(token.strip()) > 1)
        self._control = sorted(control, key=len, reverse=True)
        unknown = self.tokenizer.unk_token_id
        self._unknown = None if unknown == self.tokenizer.eos_token_id else unknown

    def prompt(self, turns: Sequence[Turn]) -> Prompt:
        """The conversation up to the next answer; Refusal if it is none, or longer than the context."""
        _check(turns)
        neutralised: list[str] = []
        texts = [self._plain(text.strip(), neutralised) for _, text, _ in turns]
        pictures = [picture for _, _, some in turns for picture in some]
        layouts = self.reader.layouts([picture.size for picture in pictures])
        pieces = self._pieces(turns, texts, layouts)
        text = "".join(piece.text for piece in pieces)
        encoding = self.tokenizer(
            text,
            add_special_tokens=not (self.tokenizer.bos_token and text.startswith(self.tokenizer.bos_token)),
            return_offsets_mapping=True,
            verbose=False,
        )
        ids, spans = np.array(encoding["input_ids"]), encoding["offset_mapping"]
        self._check_length(ids, layouts)
        roles = _roles(pieces, spans, ids == self.image_id)
        layouts = self._placed(layouts, np.flatnonzero(ids == self.image_id))
        images, seen = self.reader.read(pictures)
        typed = [i for i, role in enumerate(roles) if role in ("question", "answer")]
        unknown = (text[slice(*spans[i])] for i in typed if self._unknown is not None and ids[i] == self._unknown)
        return Prompt(
            input_ids=torch.from_numpy(ids)[None],
            images=images,
            layouts=tuple(replace(layout, seen=views) for layout, views in zip(layouts, seen, strict=True)),
            segments=_segments(roles, layouts),
            tokens=tuple(
                text[start:stop].strip() or str(self.tokenizer.convert_ids_to_tokens(int(token)))
                for token, (start, stop) in zip(ids, spans, strict=True)
            ),
            words=_words(pieces, spans),
            unknown_words=tuple(dict.fromkeys(unknown)),
            neutralised=tuple(dict.fromkeys(neutralised)),
        )

    def _plain(self, text: str, neutralised: list[str]) -> str:
        """The text with a space inside whatever the tokenizer would take for one of its control tokens."""
        text = text.replace(OPEN, "").replace(CLOSE, "")
        for control in self._control:
            if control in text:
                neutralised.append(control)
                text = text.replace(control, f"{control[:-1]} {control[-1]}")
        return text

    def _pieces(self, turns: Sequence[Turn], texts: list[str], layouts: Sequence[ImageLayout]) -> list[_Piece]:
        """The prompt's text in order, each picture as so many image tokens as it takes."""
        messages = [
            {
                "role": role,
                "content": [{"type": "image"}] * len(pictures) + [{"type": "text", "text": f"{OPEN}{i}{CLOSE}"}],
            }
            for i, (role, _, pictures) in enumerate(turns)
        ]
        try:
            filled = self.tokenizer.apply_chat_template(
                messages, chat_template=self.template, tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            raise Refusal(f"{self.label} cannot take this conversation: {error}") from error
        before, *places = filled.split(OPEN)
        numbers = [place.partition(CLOSE) for place in places]
        if [number for number, _, _ in numbers] != [str(i) for i in range(len(turns))]:
            raise Refusal(f"{self.label} has a chat template that leaves out or repeats turns.")
        if filled.count(self._image_token) != len(layouts):
            raise Refusal(f"{self.label} has a chat template that does not place every picture once.")
        counts = iter(layouts)

        def expanded(text: str) -> str:
            first, *rest = text.split(self._image_token)
            return first + "".join(self._image_token * len(next(counts).positions) + part for part in rest)

        pieces = [_Piece("system", expanded(before))]
        for (number, _, after), text in zip(numbers, texts, strict=True):
            role = "question" if turns[int(number)][0] == "user" else "answer"
            pieces += [_Piece(role, text), _Piece("system", expanded(after))]
        return pieces

    def _check_length(self, ids: np.ndarray, layouts: Sequence[ImageLayout]) -> None:
        expected = sum(len(layout.positions) for layout in layouts)
        if (found := int((ids == self.image_id).sum())) != expected:
            raise Refusal(f"{self.label} reads {found} image tokens where its pictures have {expected}.")
        if len(ids) >= self.context:
            pictures = f", {expected:,} of them for {len(layouts)} pictures" if layouts else ""
            raise Refusal(
                f"This conversation has {len(ids):,} tokens{pictures}, and {self.label} reads {self.context:,} at "
                "most, the answer included; shorten it or take fewer pictures."
            )

    def _placed(self, layouts: Sequence[ImageLayout], positions: np.ndarray) -> list[ImageLayout]:
        """The layouts with their positions in the prompt: pictures may stand side by side, so they are counted off."""
        stops = np.cumsum([len(layout.positions) for layout in layouts])
        parts = np.split(positions, stops[:-1]) if len(layouts) else []
        return [replace(layout, positions=part) for layout, part in zip(layouts, parts, strict=True)]


def _check(turns: Sequence[Turn]) -> None:
    roles = [role for role, _, _ in turns]
    if not turns or roles != [("user", "assistant")[i % 2] for i in range(len(turns))] or len(turns) % 2 == 0:
        raise Refusal("A conversation goes user, assistant, user and so on, and ends with the user.")
    _, text, pictures = turns[-1]
    if not text.strip() and not pictures:
        raise Refusal("Type a question or add a picture first.")


def _roles(pieces: Sequence[_Piece], spans: Sequence[tuple[int, int]], is_image: np.ndarray) -> list[str]:
    """What each token is: that of its last character, because tokens often begin with the space before a word."""
    stops = np.cumsum([len(piece.text) for piece in pieces])
    return [
        "image" if image else "system" if stop == start else pieces[int(np.searchsorted(stops, stop))].role
        for (start, stop), image in zip(spans, is_image, strict=True)
    ]


def _segments(roles: Sequence[str], layouts: Sequence[ImageLayout]) -> tuple[Segment, ...]:
    """Runs of positions of one role, and one for each picture."""
    picture = {int(p): i for i, layout in enumerate(layouts) for p in layout.positions}
    runs = groupby(range(len(roles)), key=lambda i: (roles[i], picture.get(i)))
    found = [(role, list(run)) for (role, _), run in runs]
    return tuple(Segment(role, run[0], run[-1] + 1) for role, run in found)


def _words(pieces: Sequence[_Piece], spans: Sequence[tuple[int, int]]) -> tuple[Word, ...]:
    """The words of questions and answers, as positions in the prompt."""
    words, start = [], 0
    for piece in pieces:
        stop = start + len(piece.text)
        if piece.role != "system":
            inside = [i for i, (_, end) in enumerate(spans) if start < end <= stop]
            if inside:
                words += group(
                    piece.text, [(a - start, b - start) for a, b in map(spans.__getitem__, inside)], inside[0]
                )
        start = stop
    return tuple(words)
