"""How well pairs of pictures and captions find each other: recall@k in both directions, and the pairs' cosines.

Row i of the pictures belongs to row i of the captions; captions with the same text stand for one another. Numpy only,
block by block; the module does not know where the vectors come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AT = (1, 5, 10)
TIED = 1e-6  # cosines nearer than this differ only by the rounding of float32
BLOCK_NUMBERS = 4_000_000  # cosines held at once: 16 MB
MISMATCHED = 20_000  # pairs drawn for the histogram


@dataclass(frozen=True)
class Recall:
    """The share of queries whose right answer is among the first 1, 5 and 10 (`AT`), each field (3,) from 0 to 1.

    chance is what answers in random order would reach, the same in both directions.
    """

    to_picture: np.ndarray
    to_caption: np.ndarray
    chance: np.ndarray


@dataclass(frozen=True)
class PairCosines:
    """Cosines of the p matched pairs and of a sample of mismatched ones.

    auc is the probability that a matched pair has the higher cosine of the two, ties counting half: 0.5 means that the
    two overlap entirely, 1 that a threshold separates them.
    """

    matched: np.ndarray
    mismatched: np.ndarray
    auc: float


def text_groups(captions: Sequence[str]) -> np.ndarray:
    """One number per text (p,), the same for equal texts."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(caption, len(numbers)) for caption in captions], dtype=np.int64)


def recall(images: np.ndarray, texts: np.ndarray, groups: np.ndarray) -> Recall:
    """Recall@1, 5 and 10 of captions searching pictures and of pictures searching captions, among the p pairs.

    images, texts: (p, d) unit rows; groups (p,): `text_groups`, as every answer with the query's own text is right.
    Where answers tie, the value is the expectation over their random order.
    """
    right = np.bincount(groups)[groups]
    return Recall(
        to_picture=_recall(texts, images, groups),
        to_caption=_recall(images, texts, groups),
        chance=_found(np.zeros_like(right), len(groups) - right, right),
    )


def pair_cosines(images: np.ndarray, texts: np.ndarray, groups: np.ndarray, seed: int = 0) -> PairCosines:
    """Cosines of all matched pairs and of up to MISMATCHED others, drawn with `seed` among pairs of unequal text.

    images, texts: (p, d) unit rows. groups (p,) must hold two different texts, else ValueError.
    """
    if len(np.unique(groups)) < 2:
        raise ValueError("Mismatched pairs need two different texts.")
    pictures, captions = _mismatched(groups, np.random.default_rng(seed))
    matched = _cosines(images, texts)
    mismatched = np.concatenate(
        [
            _cosines(images[pictures[start : start + 1_000]], texts[captions[start : start + 1_000]])
            for start in range(0, len(pictures), 1_000)
        ]
    )
    ordered = np.sort(mismatched)
    below, up_to = (np.searchsorted(ordered, matched, side) for side in ("left", "right"))
    return PairCosines(matched, mismatched, auc=float((below + up_to).mean() / (2 * len(ordered))))


def _recall(queries: np.ndarray, candidates: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(3,): recall of queries (p, d) among candidates (p, d)."""
    step = max(1, BLOCK_NUMBERS // len(candidates))
    better, tied, right_tied = [], [], []
    for start in range(0, len(queries), step):
        cosines = queries[start : start + step] @ candidates.T
        right = groups[start : start + step, None] == groups[None, :]
        best = np.where(right, cosines, -np.inf).max(axis=1, keepdims=True)
        # Only wrong answers are above the best right one.
        better.append(np.count_nonzero(cosines > best + TIED, axis=1))
        level = np.abs(cosines - best) <= TIED
        right_tied.append(np.count_nonzero(level & right, axis=1))
        tied.append(np.count_nonzero(level, axis=1) - right_tied[-1])
    return _found(np.concatenate(better), np.concatenate(tied), np.concatenate(right_tied))


def _found(better: np.ndarray, tied: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(3,): mean chance that one of `right` answers is among the first k, after `better` wrong and among `tied` wrong.

    The k - better places that are left are filled one by one; each is wrong with the share of wrong ones remaining.
    """
    result = []
    for k in AT:
        missed = np.ones(len(better))
        for place in range(k):
            share = np.maximum(tied - place, 0) / np.maximum(tied + right - place, 1)
            missed *= np.where(place < k - better, share, 1.0)
        result.append(1.0 - missed.mean())
    return np.array(result)


def _cosines(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", images, texts)


def _mismatched(groups: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of pictures and captions (s,) of unequal text: all of them where they are few, else a sample."""
    count = len(groups)
    if count * count <= MISMATCHED:
        return np.nonzero(groups[:, None] != groups[None, :])
    pictures, captions = random.integers(0, count, (2, MISMATCHED))
    unequal = groups[pictures] != groups[captions]
    while not unequal.any():  # nearly all texts are the same one
        pictures, captions = random.integers(0, count, (2, MISMATCHED))
        unequal = groups[pictures] != groups[captions]
    return pictures[unequal], captions[unequal]
