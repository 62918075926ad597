"""Batches of drawn pictures with questions and answers, or captions, for the stages of the toy LLaVA.

Several questions about one picture share one sequence, which is twice as fast by the clock. Most stand on their own:
each sees what came before them all and itself, as if it were the first. In the others every turn sees the ones before,
as in a chat. Where a conversation has several pictures, questions are about the newest.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import Dataset

from mmexplorer.toyworld.captions import caption
from mmexplorer.toyworld.questions import KINDS, ask
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Sampler, Scene, rng_for
from mmexplorer.training.clip_data import augment
from mmexplorer.training.llava_forms import FORMS, Form
from mmexplorer.training.llava_model import ASSISTANT, BOS, EOS, IMAGE, USER, build_tokenizer
from mmexplorer.training.llava_tiles import views

OLDER = (0, 1, 1, 2)  # questions about a picture before the next one comes; at 0 both stand in one message
CHATS = 0.3  # share of pictures whose questions are one conversation
IGNORED = -100
# Asked of three in five turns, because they are learned last. Relations stayed at chance for 3,000 steps, and came
# within 400 once there were questions about the place of a single thing.
HARD = (
    *["count"] * 5,
    *["reading"] * 4,
    *["relation", "size"] * 2,
    *["place", "colour", "facing", "figure"],
)
HARD_SHARE = 0.6


@dataclass(frozen=True)
class Batch:
    """n sequences of length t: token ids (n, t), labels (n, t) with IGNORED where nothing is predicted.

    positions (n, t) count from the start of what a token sees, and sees (n, t, t) says which. pictures are
    (p, 64, 64, 3) uint8 in the order of their image tokens, None in the language stage. Pictures of `size` (height,
    width) that are cut into tiles come as v views each, (p, v, 64, 64, 3).
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    sees: torch.Tensor
    pictures: np.ndarray | None = None
    size: tuple[int, int] | None = None


class Batches(Dataset):
    """Batch i of a stage is the same whenever it is asked for, so that a run can resume."""

    def __init__(self, stage: str, first: int, last: int, size: int):
        self.stage, self.first, self.last, self.size = stage, first, last, size
        tokenizer = build_tokenizer()
        self._words = {}
        self._encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        self._special = {name: tokenizer.convert_tokens_to_ids(name) for name in (ASSISTANT, BOS, EOS, IMAGE, USER)}

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> Batch:
        step = self.first + index
        form = FORMS[self.stage][step % len(FORMS[self.stage])]
        rng = rng_for(f"llava {self.stage}", step)
        sampler = Sampler(rng, canvas=form.canvas)
        rows, scenes = [], []
        for _ in range(form.rows(self.size)):
            some = [form.scene(sampler) for _ in range(max(1, form.pictures))]
            rows.append(self._sequence(some, form, rng))
            scenes += some
        batch = _padded(rows)
        if not form.pictures:
            return batch
        pictures = augment(render(scenes).repeat(form.times, axis=1).repeat(form.times, axis=2), rng)
        if not form.tiled:
            return replace(batch, pictures=pictures)
        return replace(batch, pictures=views(pictures), size=form.size)

    def _sequence(self, scenes: list[Scene], form: Form, rng) -> "_Row":
        """A conversation in which picture follows picture; the questions of the newest may stand on their own."""
        special, row = self._special, _Row()
        image = [special[IMAGE]] * form.tokens
        row.add([special[BOS], special[USER]])
        for scene in scenes[:-1]:
            row.add(image)
            for turn in self._asked(scene, rng, rng.choice(OLDER)):
                self._say(row, *turn)
                row.add([special[USER]])
        row.add(image)
        chat = self.stage in ("instruct", "next") and rng.random() < CHATS
        for number, turn in enumerate(self._turns(scenes[-1], form, rng)):
            if chat and number:
                row.add([special[USER]])
            self._say(row, *turn, segment=0 if chat else number + 1)
        return row

    def _say(self, row: "_Row", asked: str, answered: str, segment: int = 0) -> None:
        row.add([*self._ids(asked), self._special[ASSISTANT]], segment, learned=self.stage == "language")
        row.add([*self._ids(answered), self._special[EOS]], segment, learned=True)

    def _turns(self, scene: Scene, form: Form, rng) -> list[tuple[str, str]]:
        if self.stage == "align":
            described = ask(scene, rng, "describe")
            return [("", caption(scene, rng, "full").text), (described.text, described.answer)]
        turns = self._asked(scene, rng, form.questions)
        if self.stage == "language":
            turns += [("", caption(scene, rng).text)]
        return turns

    def _asked(self, scene: Scene, rng, count: int) -> list[tuple[str, str]]:
        """At most that many different questions with their answers."""
        turns = {}
        for _ in range(count):
            kind = rng.choice(HARD) if rng.random() < HARD_SHARE else None
            question = (ask(scene, rng, kind) if kind else None) or ask(scene, rng)
            turns[question.text.lower()] = (question.text, question.answer)
        return list(turns.values())

    def _ids(self, text: str) -> list[int]:
        ids = []
        for word in text.split():
            if word not in self._words:
                self._words[word] = self._encode(word)
            ids += self._words[word]
        return ids


class _Row:
    """One sequence: ids, labels, positions and segments; a token sees earlier ones of its segment and of segment 0."""

    def __init__(self):
        self.ids, self.labels, self.positions, self.segments = [], [], [], []
        self._next = {0: 0}  # the next position of each segment

    def add(self, ids: list[int], segment: int = 0, learned: bool = False) -> None:
        """Appends tokens. Once there is another segment than 0, nothing more belongs to 0."""
        start = self._next.get(segment, self._next[0])
        self.ids += ids
        self.labels += ids if learned else [IGNORED] * len(ids)
        self.positions += range(start, start + len(ids))
        self.segments += [segment] * len(ids)
        self._next[segment] = start + len(ids)


def _padded(rows: list[_Row]) -> Batch:
    length = -(-max(len(row.ids) for row in rows) // 16) * 16
    shape = (len(rows), length)
    ids, labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, IGNORED)
    positions, segments = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
    for i, row in enumerate(rows):
        here = slice(0, len(row.ids))
        ids[i, here], labels[i, here] = torch.tensor(row.ids), torch.tensor(row.labels)
        positions[i, here], segments[i, here] = torch.tensor(row.positions), torch.tensor(row.segments)
    same = segments[:, :, None] == segments[:, None, :]
    sees = (same | (segments[:, None, :] == 0)) & torch.ones(length, length, dtype=torch.bool).tril()
    return Batch(ids, labels, positions, sees)


assert set(HARD) <= set(KINDS)
