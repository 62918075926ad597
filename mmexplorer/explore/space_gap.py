"""The modality gap: how far pictures and captions lie apart in a joint embedding space, and what moving them does.

All rows are unit vectors in numpy. The module does not know which caption belongs to which picture, except where two
arrays are said to be pairs, and knows nothing of models or figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmexplorer.explore.nearest import unit_rows

# Amounts of `shift` along which recall is followed: from clouds further apart to clouds that have passed each other.
AMOUNTS = tuple(round(-0.5 + 0.1 * step, 1) for step in range(21))
NO_GAP = 1e-6  # shorter than this, the difference of two float32 means has no direction


@dataclass(frozen=True)
class Gap:
    """How far two modalities lie apart.

    distance is the Euclidean distance of the two centroids (0 to 2). variance_share is the part of all points' variance
    that lies along the line through the centroids (0 to 1). The others are mean cosines: of two different pictures, of
    two different captions (None with fewer than two), and of a picture with a caption.
    """

    distance: float
    variance_share: float
    within_images: float | None
    within_texts: float | None
    across: float


def modality_gap(images: np.ndarray, texts: np.ndarray) -> Gap:
    """The gap between pictures (n, d) and captions (m, d), unit rows, n and m at least 1.

    Liang et al. 2022, arXiv 2203.02053, define the gap as the difference of the two centroids.
    """
    gap = _gap(images, texts)
    distance = float(np.linalg.norm(gap))
    points = np.concatenate([images, texts])
    variance = float(points.var(axis=0, dtype=np.float64).sum())
    along = float((points @ (gap / distance)).var(dtype=np.float64)) if distance > NO_GAP else 0.0
    return Gap(
        distance=distance,
        variance_share=along / variance if variance > 0 else 0.0,
        within_images=_mean_cosine(images),
        within_texts=_mean_cosine(texts),
        across=float(images.mean(axis=0, dtype=np.float64) @ texts.mean(axis=0, dtype=np.float64)),
    )


def shift(images: np.ndarray, texts: np.ndarray, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """Both clouds moved towards each other along the gap, each by amount x half of it, and scaled to length 1 again.

    amount 0 leaves them as they are, at 1 the centroids meet (before the rows are scaled), below 0 they part. Liang et
    al. 2022, arXiv 2203.02053, section 4.
    """
    half = _gap(images, texts) / 2
    return unit_rows(images - amount * half), unit_rows(texts + amount * half)


def centre(images: np.ndarray, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each modality less its own mean, scaled to length 1 again."""
    return unit_rows(images - images.mean(axis=0)), unit_rows(texts - texts.mean(axis=0))


def states(images: np.ndarray, texts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The two clouds shifted by each of AMOUNTS, and last of all mean-centred."""
    for amount in AMOUNTS:
        yield shift(images, texts, amount)
    yield centre(images, texts)


def gap_axes(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Two orthogonal unit columns (d, 2): the gap's direction, and the first principal direction within modalities.

    The second is that of the rows less their modality's mean and less their part along the gap, so a shift moves no
    point along it before the rows are scaled. Without a gap the first two principal directions are taken.
    """
    gap = _gap(images, texts)
    residuals = np.concatenate([images - images.mean(axis=0), texts - texts.mean(axis=0)]).astype(np.float64)
    length = np.linalg.norm(gap)
    scatter = residuals.T @ residuals
    first = gap / length if length > NO_GAP else _principal(scatter)
    across = np.eye(len(first)) - np.outer(first, first)
    # Taking the outer product off makes the first direction the last choice, even where nothing varies across it.
    second = _principal(across @ scatter @ across - np.outer(first, first))
    return np.stack([first, second], axis=1).astype(np.float32)


def _gap(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    return images.mean(axis=0, dtype=np.float64) - texts.mean(axis=0, dtype=np.float64)


def _mean_cosine(vectors: np.ndarray) -> float | None:
    """Mean over all pairs of different rows: the square of the sum holds every pair, and every row with itself."""
    count = len(vectors)
    if count < 2:
        return None
    total = vectors.sum(axis=0, dtype=np.float64)
    with_itself = np.square(vectors, dtype=np.float64).sum()
    return float((total @ total - with_itself) / (count * (count - 1)))


def _principal(scatter: np.ndarray) -> np.ndarray:
    """The direction of largest variance by a scatter matrix (d, d), its largest component made positive."""
    direction = np.linalg.eigh(scatter)[1][:, -1]
    return direction * np.sign(direction[np.abs(direction).argmax()])
