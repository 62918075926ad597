"""Where vectors are kept and searched: the one place behind which a vector database will go.

A store numbers its rows in the order in which they came and knows nothing of what they stand for.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore.nearest import neighbours
from mmexplorer.results import Neighbours


class VectorStore(Protocol):
    """Unit vectors of one length by row number."""

    def __len__(self) -> int: ...

    def add(self, vectors: np.ndarray) -> None:
        """Appends rows (n, d)."""

    def search(self, queries: np.ndarray, k: int) -> Neighbours:
        """The k rows with the largest cosine to each of queries (q, d), the nearest first; k is cut to their number."""

    def take(self, rows: Sequence[int]) -> np.ndarray:
        """Those rows (k, d) float32."""

    def vectors(self) -> np.ndarray:
        """Every row (n, d) float32, not to be written to."""


class FlatStore:
    """A VectorStore in memory whose search compares with every row."""

    def __init__(self, vectors: np.ndarray):
        self._vectors = _frozen(vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, vectors: np.ndarray) -> None:
        """Appends rows (n, d); Refusal if they have another length than those that are here."""
        if vectors.ndim != 2 or (len(self) and vectors.shape[1] != self._vectors.shape[1]):
            raise Refusal(f"The store holds vectors of length {self._vectors.shape[1]}, not of {vectors.shape[-1]}.")
        self._vectors = _frozen(np.concatenate([self._vectors, vectors]) if len(self) else vectors)

    def search(self, queries: np.ndarray, k: int) -> Neighbours:
        """See VectorStore; exact, of equal cosines the lower row first."""
        return neighbours(self._vectors, queries, k)

    def take(self, rows: Sequence[int]) -> np.ndarray:
        """See VectorStore."""
        return self._vectors[np.asarray(rows, dtype=np.int64)]

    def vectors(self) -> np.ndarray:
        """See VectorStore."""
        return self._vectors


def _frozen(vectors: np.ndarray) -> np.ndarray:
    vectors = np.array(vectors, dtype=np.float32)  # a copy, so that nobody else writes to it
    vectors.flags.writeable = False
    return vectors
