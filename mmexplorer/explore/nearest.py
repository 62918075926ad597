"""The nearest rows of a matrix by cosine similarity: exact, block by block, in numpy alone.

The module does not know what a row stands for and keeps nothing between calls; an index or a database would answer the
same two questions.
"""

from collections.abc import Callable

import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.results import Neighbours

BLOCK_CELLS = 2**23  # cosines in memory at once: 32 MiB, and about as much again while they are ordered


def neighbours(vectors: np.ndarray, queries: np.ndarray, k: int) -> Neighbours:
    """The k rows of vectors (n, d) with the largest cosine to each of queries (q, d), the nearest first.

    Rows need not have unit length; a row of zeros has cosine 0 with everything. Of equal cosines the lower row number
    comes first. k is cut to n. Raises Refusal for other shapes and for numbers that are not finite.
    """
    vectors, queries = unit_rows(vectors), unit_rows(queries, "query")
    if len(vectors) and len(queries) and vectors.shape[1] != queries.shape[1]:
        raise Refusal(f"The vectors have {vectors.shape[1]} numbers each and the queries {queries.shape[1]}.")
    return _nearest(vectors, queries, min(_count(k), len(vectors)))


def neighbours_within(
    vectors: np.ndarray, k: int, *, watch: Callable[[float], None] = lambda share: None
) -> Neighbours:
    """The k nearest of the other rows for every row of vectors (n, d): `neighbours` without the row itself.

    A duplicate of a row is another row and stays. k is cut to n - 1. watch(share done) is called after each block and
    may raise to end the search.
    """
    vectors = unit_rows(vectors)
    return _nearest(vectors, vectors, max(min(_count(k), len(vectors) - 1), 0), leave_out_self=True, watch=watch)


def unit_rows(vectors: np.ndarray, what: str = "vector") -> np.ndarray:
    """Rows (n, d) float32 divided by their lengths, rows of zeros as they are; Refusal unless 2-D, real and finite."""
    vectors = checked_rows(vectors, what)
    # Lengths are summed in float64, where squares of float32 neither overflow nor vanish.
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return (vectors / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)


def checked_rows(vectors: np.ndarray, what: str = "vector") -> np.ndarray:
    """Rows (n, d) as float32; Refusal unless they are a matrix of finite real numbers."""
    try:
        rows = np.asarray(vectors)
    except ValueError:  # rows of different lengths
        raise Refusal(f"Every {what} must have as many numbers as the others.") from None
    if rows.ndim != 2 or rows.dtype.kind not in "fiub" or (len(rows) and not rows.size):
        raise Refusal(f"One row of numbers per {what} is needed, and this is an array of shape {rows.shape}.")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite and is refused as such
        rows = np.ascontiguousarray(rows, dtype=np.float32)
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise Refusal(f"The {what} in row {bad} holds a number that is not finite.")
    return rows


def _count(k: int) -> int:
    if k < 1:
        raise Refusal(f"At least one neighbour must be asked for, not {k}.")
    return int(k)


def _nearest(
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    *,
    leave_out_self: bool = False,
    watch: Callable[[float], None] = lambda share: None,
) -> Neighbours:
    """The search over unit rows; with leave_out_self query i is row i."""
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    step = max(BLOCK_CELLS // max(len(vectors), 1), 1)
    for start in range(0, len(queries) if k else 0, step):
        block = slice(start, start + step)
        # Rounding can put the cosine of equal rows just above 1, which would order duplicates by chance.
        scores = np.clip(queries[block] @ vectors.T, -1, 1)
        if leave_out_self:
            rows = np.arange(len(scores))
            scores[rows, start + rows] = -np.inf
        indices[block] = _best(scores, k)
        cosines[block] = np.take_along_axis(scores, indices[block], axis=1)
        watch(min(start + step, len(queries)) / len(queries))
    return Neighbours(indices=indices, cosines=cosines)


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """Column numbers (q, k) of the k largest scores (q, n) of each row, the largest first, ties by lower column."""
    least = np.partition(scores, -k, axis=1)[:, -k, None]  # the k-th largest
    chosen = scores >= least
    tied = chosen.sum(axis=1) > k  # more columns reach the k-th largest than are wanted: the first of them stay
    if tied.any():
        equal = scores[tied] == least[tied]
        room = k - (scores[tied] > least[tied]).sum(axis=1, keepdims=True)
        chosen[tied] &= ~equal | (equal.cumsum(axis=1) <= room)
    best = np.nonzero(chosen)[1].reshape(-1, k)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
