"""Batches of drawn pictures with questions and answers, or captions, for the three stages of the toy LLaVA.

Several questions about one picture share one sequence, which is twice as fast by the clock. Most stand on their own:
each sees the picture and itself, as if it were the first. In the others every turn sees the ones before, as in a chat.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from mmexplorer.toyworld.captions import caption
from mmexplorer.toyworld.questions import KINDS, ask
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Sampler, Scene, rng_for
from mmexplorer.training.clip_data import augment
from mmexplorer.training.llava_model import ASSISTANT, BOS, EOS, IMAGE, USER, build_tokenizer

STAGES = ("language", "align", "instruct")
PATCHES = 64
QUESTIONS = 8
CHATS = 0.3  # share of pictures whose questions are one conversation
IGNORED = -100
HARD = ("relation", "count", "figure", "facing", "reading", "size")  # learned last, so asked more often
# Pairs, texts and people teach what is learned last, and come up too seldom in the world's own mixture.
KIND_WEIGHTS = {"single": 6, "pair": 38, "group": 10, "several": 18, "word": 18, "figure": 10}


@dataclass(frozen=True)
class Batch:
    """n sequences of length t: token ids (n, t), labels (n, t) with IGNORED where nothing is predicted.

    positions (n, t) count from the start of what a token sees, and sees (n, t, t) says which. pictures are
    (n, 64, 64, 3) uint8, None in the language stage.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    sees: torch.Tensor
    pictures: np.ndarray | None


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
        rng = rng_for(f"llava {self.stage}", self.first + index)
        sampler = Sampler(rng)
        kinds = rng.choices(tuple(KIND_WEIGHTS), weights=tuple(KIND_WEIGHTS.values()), k=self.size)
        scenes = [sampler.scene(kind) for kind in kinds]
        rows = [self._sequence(scene, rng) for scene in scenes]
        pictures = None if self.stage == "language" else augment(render(scenes), rng)
        return _padded(rows, pictures)

    def _sequence(self, scene: Scene, rng) -> tuple[list[int], list[int], list[int], list[int]]:
        """Ids, labels, positions and segments of one sequence; a token sees earlier ones of its segment and of 0."""
        special = self._special
        ids = [special[BOS], special[USER]]
        if self.stage != "language":
            ids += [special[IMAGE]] * PATCHES
        labels, positions, segments = [IGNORED] * len(ids), list(range(len(ids))), [0] * len(ids)
        chat = self.stage == "instruct" and rng.random() < CHATS
        for number, (asked, answered) in enumerate(self._turns(scene, rng)):
            prompt = [special[USER]] * (chat and number > 0) + self._ids(asked) + [special[ASSISTANT]]
            answer = [*self._ids(answered), special[EOS]]
            start = positions[-1] + 1 if chat else positions[segments.count(0) - 1] + 1
            labels += (prompt if self.stage == "language" else [IGNORED] * len(prompt)) + answer
            positions += range(start, start + len(prompt) + len(answer))
            segments += [0 if chat else number + 1] * (len(prompt) + len(answer))
            ids += prompt + answer
        return ids, labels, positions, segments

    def _turns(self, scene: Scene, rng) -> list[tuple[str, str]]:
        if self.stage == "align":
            return [("", caption(scene, rng, "full").text), *_asked(scene, rng, ["describe"])]
        kinds = [rng.choice(HARD) if rng.random() < 0.35 else None for _ in range(QUESTIONS)]
        turns = _asked(scene, rng, kinds)
        if self.stage == "language":
            turns += [("", caption(scene, rng).text)]
        return turns

    def _ids(self, text: str) -> list[int]:
        ids = []
        for word in text.split():
            if word not in self._words:
                self._words[word] = self._encode(word)
            ids += self._words[word]
        return ids


def _asked(scene: Scene, rng, kinds) -> list[tuple[str, str]]:
    turns = {}
    for kind in kinds:
        question = (ask(scene, rng, kind) if kind else None) or ask(scene, rng)
        turns[question.text.lower()] = (question.text, question.answer)
    return list(turns.values())


def _padded(rows: list[tuple], pictures: np.ndarray | None) -> Batch:
    length = -(-max(len(row[0]) for row in rows) // 16) * 16
    shape = (len(rows), length)
    ids, labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, IGNORED)
    positions, segments = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1)
    for i, (row_ids, row_labels, row_positions, row_segments) in enumerate(rows):
        here = slice(0, len(row_ids))
        ids[i, here], labels[i, here] = torch.tensor(row_ids), torch.tensor(row_labels)
        positions[i, here], segments[i, here] = torch.tensor(row_positions), torch.tensor(row_segments)
    same = segments[:, :, None] == segments[:, None, :]
    sees = (same | (segments[:, None, :] == 0)) & torch.ones(length, length, dtype=torch.bool).tril()
    return Batch(ids, labels, positions, sees, pictures)


assert set(HARD) <= set(KINDS)
