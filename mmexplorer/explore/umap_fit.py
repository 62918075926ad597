"""UMAP by umap-learn, made quick to start, quiet, and able to report progress and to stop.

umap, numba and scikit-learn are imported when first used. The module does not choose or check settings.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np

from mmexplorer.explore.nearest import neighbours_within

NEIGHBOURS_SHARE = 0.2  # of the progress; the rest is umap's epochs

Watch = Callable[[float], None]

_one_at_a_time = threading.Lock()  # numba's portable thread pool ends the process when two threads enter it at once
_run = threading.Event()


def fit(
    rows: np.ndarray, start: np.ndarray, near: int, min_dist: float, metric: str, seed: int, watch: Watch
) -> np.ndarray:
    """Coordinates (n, 2 or 3) of rows (n, d) float32 by UMAP, which moves the points from where `start` puts them.

    near counts the point itself and is less than n; metric is "cosine" or "euclidean". watch(share done) is called
    again and again and may raise to end the fit. Another fit in this process is waited for.
    """
    # Given the neighbours, umap neither compiles nor runs its approximate search, which takes longer than all the rest.
    graph = _neighbours(rows, near, metric, lambda share: watch(NEIGHBOURS_SHARE * share))
    with _turn(watch):
        umap = _umap_package()
        # About its own transform, which is not used. Said each time, as others may reset the filters.
        warnings.filterwarnings("ignore", r"precomputed_knn\[2\]")
        model = umap.UMAP(
            n_neighbors=near,
            n_components=start.shape[1],
            metric=metric,
            min_dist=min_dist,
            init=start,
            random_state=seed,
            n_jobs=1,  # as the seed demands; unsaid, umap would warn
            precomputed_knn=graph,
            disconnection_distance=np.inf,  # the default gives rows opposite to their neighbours no place at all
        )
        with _epochs_watched(lambda share: watch(NEIGHBOURS_SHARE + (1 - NEIGHBOURS_SHARE) * share)):
            coordinates = model.fit_transform(rows)
    _run.set()
    return coordinates


def _neighbours(rows: np.ndarray, near: int, metric: str, watch: Watch) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (n, near) int32 and distances float32 of each row's neighbours, itself first, as umap expects."""
    if metric == "cosine":
        found = neighbours_within(rows, near - 1, watch=watch)
        indices, distances = found.indices, 1 - found.cosines
    else:
        from sklearn.neighbors import NearestNeighbors

        distances, indices = NearestNeighbors(n_neighbors=near - 1, algorithm="brute").fit(rows).kneighbors()
    itself = np.arange(len(rows))[:, None]
    return (
        np.hstack([itself, indices]).astype(np.int32),
        np.hstack([np.zeros_like(itself), distances]).astype(np.float32),
    )


def has_run() -> bool:
    """Whether a fit has ended in this process, so that the next one finds everything imported and compiled."""
    return _run.is_set()


@contextmanager
def _turn(watch: Watch) -> Iterator[None]:
    """UMAP to oneself until the block ends; `watch` can end the waiting."""
    while not _one_at_a_time.acquire(timeout=0.1):
        watch(NEIGHBOURS_SHARE)
    try:
        yield
    finally:
        _one_at_a_time.release()


@cache
def _umap_package():
    # numba would look for a GPU, which fails on machines that lend theirs by the call.
    os.environ.setdefault("NUMBA_DISABLE_CUDA", "1")
    import umap
    from umap import layouts, umap_

    # umap keeps little of what it compiles on disk; these three are the rest of what a fit needs. They let go of
    # Python's lock while they run, or every other thread of the process would wait for them again and again.
    single_epoch = layouts._nb_optimize_layout_euclidean_single_epoch
    for function in (umap_.smooth_knn_dist, umap_.compute_membership_strengths, single_epoch):
        function.targetoptions["nogil"] = True
        function.enable_caching()
    return umap


@contextmanager
def _epochs_watched(watch: Watch) -> Iterator[None]:
    """Have `watch` called before each of umap's epochs until the block ends; it may raise.

    umap counts its epochs through tqdm and lets one choose where tqdm writes, but whatever raises in there leaves
    tqdm's lock taken, and every other progress bar of the process waits for it. So tqdm's place is taken meanwhile.
    """
    import numba
    from umap import layouts

    def epochs(numbers: range, **_) -> Iterator[int]:
        for number in numbers:
            watch(number / len(numbers))
            yield number

    tqdm, threads = layouts.tqdm, numba.get_num_threads()
    layouts.tqdm = epochs
    try:
        yield
    finally:
        layouts.tqdm = tqdm
        numba.set_num_threads(threads)  # umap sets one thread, and back only if nothing raises
