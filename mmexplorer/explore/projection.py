"""Layouts of vectors in two or three dimensions: PCA, UMAP and t-SNE, and places for vectors that come later.

The module does not know what a row stands for and draws nothing. umap, numba and scikit-learn are imported when first
used; `warm_up` does so ahead of time.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore import umap_fit
from mmexplorer.explore.nearest import checked_rows, unit_rows
from mmexplorer.explore.nearest import neighbours as nearest
from mmexplorer.hub import Stopped
from mmexplorer.results import Projection

METRICS = ("cosine", "euclidean")
MAX_TSNE = 5_000  # about 15 seconds on two cores; scikit-learn's t-SNE can neither report progress nor be stopped
MAX_NEIGHBOURS = 200
FEWEST = 4  # points; with fewer there are no neighbourhoods to keep
PERPLEXITY = 30


@dataclass(frozen=True)
class Method:
    """One way to lay points out: its name for people, what it does and where it comes from."""

    key: str
    label: str
    one_sentence: str
    paper: str


METHODS = {
    method.key: method
    for method in (
        Method(
            "pca",
            "PCA",
            "Looks at the points from the side on which they spread most; distances are shrunk but never bent.",
            "Pearson 1901, https://doi.org/10.1080/14786440109462720",
        ),
        Method(
            "umap",
            "UMAP",
            "Keeps each point beside its nearest neighbours; distances between groups mean little.",
            "McInnes et al. 2018, https://arxiv.org/abs/1802.03426",
        ),
        Method(
            "tsne",
            "t-SNE",
            f"Keeps neighbours together, more tightly than UMAP, for at most {MAX_TSNE:,} points.",
            "van der Maaten and Hinton 2008, https://jmlr.org/papers/v9/vandermaaten08a.html",
        ),
    )
}


def project(
    vectors: np.ndarray,
    *,
    method: str = "umap",
    dimensions: int = 2,
    seed: int = 0,
    neighbours: int = 15,
    min_dist: float = 0.1,
    metric: str = "cosine",
    progress: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
) -> Projection:
    """Lay rows (n, d) out in 2 or 3 dimensions by "pca", "umap" or "tsne"; the same seed gives the same map.

    neighbours (counting the point itself, as UMAP does), min_dist and metric ("cosine" or "euclidean") are UMAP's
    alone; UMAP starts from the PCA and gets exact neighbours. t-SNE goes by cosine. Equal rows share a place, and with
    fewer than 4 different ones PCA is done instead, as the result's note says. progress gets the share done, 0 to 1;
    setting `stop` raises hub.Stopped, for t-SNE only before and after. Raises Refusal for no rows, numbers that are
    not finite, and settings out of range.
    """
    _check(method, dimensions, seed, neighbours, min_dist, metric)
    dimensions, seed, neighbours = int(dimensions), int(seed), int(neighbours)
    rows = checked_rows(vectors)
    if not len(rows):
        raise Refusal("There are no points to lay out yet.")
    if method == "tsne" and len(rows) > MAX_TSNE:
        raise Refusal(f"t-SNE lays out at most {MAX_TSNE:,} points, and there are {len(rows):,}; choose UMAP.")
    watch = _watch(progress, stop)
    watch(0.0)
    twins = slice(None)
    if method != "pca":
        # Equal rows share a place: each would else have only its twins for neighbours, and they an island of their own.
        kept, twins = _distinct(rows)
        rows = rows[kept]
    coordinates, shares = _pca(rows, dimensions)
    settings, note = {f"variance_share_{axis + 1}": float(share) for axis, share in enumerate(shares)}, ""
    if method != "pca" and len(rows) < FEWEST:
        note = f"{METHODS[method].label} needs at least {FEWEST} different points, so this is the PCA."
        method = "pca"
    if method == "umap":
        near = min(neighbours, len(rows) - 1)
        if near < neighbours:
            note = f"UMAP considers {near} neighbours instead of {neighbours}, as only {len(rows)} points differ."
        settings = {"neighbours": near, "min_dist": min_dist, "metric": metric}
        coordinates = umap_fit.fit(rows, _start(coordinates, seed), near, min_dist, metric, seed, watch)
    elif method == "tsne":
        settings = {"perplexity": min(PERPLEXITY, (len(rows) - 1) / 3), "metric": "cosine"}
        coordinates = _tsne(rows, _start(coordinates, seed), settings["perplexity"], seed)
    watch(1.0)
    return Projection(coordinates.astype(np.float32)[twins], method, seed, settings, note)


def place(queries: np.ndarray, vectors: np.ndarray, coordinates: np.ndarray, k: int = 15) -> np.ndarray:
    """Where queries (q, d) lie in a map of vectors (n, d) at coordinates (n, 2 or 3): (q, 2 or 3) float32.

    Each lies at the weighted mean of its k nearest rows' places, by cosine. A row at cosine distance t weighs
    1 / t - 1 / r, r being the distance of the nearest row left out: a duplicate outweighs all others, so that it lands
    on its twin, and the k-th row counts next to nothing, so that nothing jumps when it changes places with the one
    left out. A query's place does not depend on the other queries. This is inverse distance weighting (Shepard 1968)
    cut off at r (Franke and Little); UMAP's own transform moves the same point with the batch it comes in.
    """
    coordinates = checked_rows(coordinates, "place")
    if len(vectors) != len(coordinates) or not len(coordinates):
        raise Refusal(f"{len(vectors):,} vectors and {len(coordinates):,} places do not make a map.")
    chosen = nearest(vectors, queries, k + 1).indices
    vectors, queries = np.asarray(vectors), unit_rows(queries)
    places = np.empty((len(queries), coordinates.shape[1]), dtype=np.float32)
    for i, (query, rows) in enumerate(zip(queries, chosen, strict=True)):
        # Half the squared distance of unit rows is their cosine distance, and rounds to nothing else than 0 for a twin.
        near = unit_rows(vectors[rows]).astype(np.float64)
        distances = np.maximum(np.square(near - query).sum(axis=1) / 2, 1e-12)
        left_out = distances[k] if len(rows) > k else np.inf
        weights = np.maximum(1 / distances[:k] - 1 / left_out, 0)
        if not weights.any():  # all equally near
            weights = np.ones(len(weights))
        places[i] = weights @ coordinates[rows[:k]] / weights.sum()
    return places


def warm_up() -> None:
    """Import umap and compile what a fit needs; afterwards `project` starts at once. May be called from any thread."""
    if not is_warm():
        project(np.random.default_rng(0).normal(size=(32, 8)))


def is_warm() -> bool:
    """Whether UMAP has run in this process."""
    return umap_fit.has_run()


def _check(method: str, dimensions: int, seed: int, neighbours: int, min_dist: float, metric: str) -> None:
    if method not in METHODS:
        raise Refusal(f"There is no layout {str(method)[:40]!r}; choose one of {', '.join(METHODS)}.")
    if dimensions not in (2, 3):
        raise Refusal(f"A map has 2 or 3 dimensions, not {dimensions}.")
    if not 0 <= seed < 2**32:
        raise Refusal(f"A seed is a whole number from 0 to {2**32 - 1}, not {seed}.")
    if not 2 <= neighbours <= MAX_NEIGHBOURS:
        raise Refusal(f"UMAP considers 2 to {MAX_NEIGHBOURS} neighbours, not {neighbours}.")
    if not 0 <= min_dist <= 1:
        raise Refusal(f"The minimum distance lies between 0 and 1; {min_dist} does not.")
    if metric not in METRICS:
        raise Refusal(f"There is no metric {str(metric)[:40]!r} here; choose one of {', '.join(METRICS)}.")


def _watch(progress: Callable[[float], None] | None, stop: threading.Event | None) -> Callable[[float], None]:
    def watch(share: float) -> None:
        if stop is not None and stop.is_set():
            raise Stopped("The layout was stopped.")
        if progress is not None:
            progress(share)

    return watch


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of all equal rows (u,), in order, and for every row (n,) which of these it equals."""
    seen: dict[bytes, int] = {}
    # Adding zero takes the sign of zeros away, which is the one way for equal numbers to differ in their bytes.
    twins = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows + 0], dtype=np.int64)
    return np.unique(twins, return_index=True)[1], twins


def _pca(rows: np.ndarray, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n, dimensions) on the axes of largest variance, and each axis' share of the variance.

    The sign of an axis is such that its largest loading is positive. Axes that do not exist are zeros.
    """
    centred = rows.astype(np.float64) - rows[0]  # equal rows become exact zeros, whatever the mean rounds to
    centred -= centred.mean(axis=0)
    if centred.shape[1] <= len(centred):
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    else:
        axes = np.linalg.svd(centred, full_matrices=False)[2].T
    axes = axes[:, :dimensions]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found = centred @ axes
    coordinates = np.zeros((len(rows), dimensions))
    coordinates[:, : found.shape[1]] = found
    total = np.square(centred).sum()
    return coordinates, np.square(coordinates).sum(axis=0) / (total or 1)


def _start(coordinates: np.ndarray, seed: int) -> np.ndarray:
    """The PCA scaled to reach 1, with a little noise that sets equal points apart."""
    noise = np.random.default_rng(seed).normal(scale=1e-4, size=coordinates.shape)
    return coordinates / np.abs(coordinates).max() + noise


def _tsne(rows: np.ndarray, start: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    few = len(rows) < 600
    fit = TSNE(
        n_components=start.shape[1],
        perplexity=perplexity,
        metric="cosine",
        # scikit-learn's own settings throw few points far apart in 3-D, or onto one spot: its rate is never under 50.
        early_exaggeration=1 if few else 12,
        learning_rate=len(rows) / 12 if few else "auto",
        init=(1e-4 * start / start[:, 0].std()).astype(np.float32),  # as init="pca" scales it
        random_state=seed,
    )
    return fit.fit_transform(rows)
