"""What lists of nearest neighbours say about a space: whether neighbours share a class, and whether a few are hubs.

Numpy only; the module does not know which model the vectors come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmexplorer.explore.nearest import neighbours_within
from mmexplorer.results import Neighbours

WORST = 10  # confusions and hubs that are named
BLOCK_ROWS = 512


@dataclass(frozen=True)
class Confusion:
    """So many pictures of one class were given to another."""

    actual: str
    answered: str
    count: int


@dataclass(frozen=True)
class KnnAccuracy:
    """Leave-one-out accuracy of the k-nearest-neighbour vote, with c classes, the most frequent first.

    counts (c,) pictures per class, accuracies (c,) each class's own share of right votes, accuracy over all pictures,
    baseline the share that always answering the most frequent class would reach. confusions are the most frequent ones.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    accuracies: np.ndarray
    accuracy: float
    baseline: float
    confusions: tuple[Confusion, ...]
    k: int


@dataclass(frozen=True)
class Hubness:
    """How often each of n items stands in others' lists of k nearest neighbours.

    occurrences (n,) are the k-occurrences, skewness their third standardised moment, never the share that stands in no
    list, expected their mean. hubs are the rows of the most frequent ones, hub_counts their occurrences.
    """

    occurrences: np.ndarray
    skewness: float
    never: float
    expected: float
    hubs: np.ndarray
    hub_counts: np.ndarray
    k: int


def knn_accuracy(vectors: np.ndarray, classes: Sequence[str | None], k: int = 10) -> KnnAccuracy:
    """How often the k nearest others of a row vote for its class: majority, ties by summed cosine, then by frequency.

    vectors (n, d); classes: n names, None where there is none (that row is left out). Raises ValueError where no class
    has two rows, since then no vote can be right.
    """
    known = np.array([name is not None for name in classes], dtype=bool)
    names, codes = np.unique([str(name) for name in classes if name is not None], return_inverse=True)
    counts = np.bincount(codes, minlength=len(names))
    if not len(names) or counts.max() < 2:
        raise ValueError("A vote of neighbours needs a class with two rows.")
    order = np.argsort(-counts, kind="stable")
    names, counts, codes = names[order], counts[order], np.argsort(order)[codes]

    found = neighbours_within(vectors[known], k)
    answers = _votes(found, codes, len(names))
    right = answers == codes
    accuracies = np.bincount(codes, weights=right) / counts
    wrong = np.stack([codes[~right], answers[~right]])
    mistakes, frequency = np.unique(wrong, axis=1, return_counts=True)
    worst = np.argsort(-frequency, kind="stable")[:WORST]
    return KnnAccuracy(
        names=tuple(names.tolist()),
        counts=counts,
        accuracies=accuracies,
        accuracy=float(right.mean()),
        baseline=float(counts[0] / counts.sum()),
        confusions=tuple(
            Confusion(str(names[mistakes[0, i]]), str(names[mistakes[1, i]]), int(frequency[i])) for i in worst
        ),
        k=found.indices.shape[1],
    )


def hubness(found: Neighbours, count: int) -> Hubness:
    """The hubness of `count` items of which q lists of k were `found` (Radovanovic et al. 2010, JMLR 11:2487-2531)."""
    occurrences = np.bincount(found.indices.reshape(-1), minlength=count)
    hubs = np.argsort(-occurrences, kind="stable")[:WORST]
    return Hubness(
        occurrences=occurrences,
        skewness=_skewness(occurrences),
        never=float((occurrences == 0).mean()),
        expected=float(occurrences.mean()),
        hubs=hubs,
        hub_counts=occurrences[hubs],
        k=found.indices.shape[1],
    )


def _votes(found: Neighbours, codes: np.ndarray, count: int) -> np.ndarray:
    """The class (n,) that each row's neighbours vote for; what still ties goes to the more frequent class."""
    # More than the summed cosines of k neighbours can make up, so they decide between equal numbers of votes only.
    per_vote = 2.0 * found.indices.shape[1] + 1.0
    answers = []
    for start in range(0, len(found.indices), BLOCK_ROWS):
        indices, cosines = found.indices[start : start + BLOCK_ROWS], found.cosines[start : start + BLOCK_ROWS]
        votes = np.zeros((len(indices), count))
        np.add.at(votes, (np.arange(len(indices))[:, None], codes[indices]), per_vote + cosines)
        answers.append(votes.argmax(axis=1))
    return np.concatenate(answers)


def _skewness(values: np.ndarray) -> float:
    """Third standardised moment; 0 where all values are equal."""
    deviations = values - values.mean()
    spread = deviations.std()
    return float((deviations**3).mean() / spread**3) if spread > 0 else 0.0
