"""PCA and UMAP of 5,000 points, beside `umap.UMAP(metric="cosine").fit_transform` of umap-learn.

The points are twenty curved clouds of unit vectors. "Cold" is a fresh process with an empty numba cache, as after an
installation; importing umap is part of it. Plain UMAP has no seed, as it comes, and so may use
all threads; a seed, which makes maps repeatable, allows it one.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from bench.report import Row, spread
from bench.served import ROOT

POINTS, DIMENSIONS = 5_000, (128, 512)
NEIGHBOURS = 15  # that trustworthiness looks at, and both UMAPs' own default
BUDGET_PCA, BUDGET_UMAP = 0.5, 10.0
BUDGET_COLD = 0.65
BUDGET_TRUST = 0.01
COLD_RUNS = 3  # at most; one of each takes more than a minute


def measure(runs: int, folder: Path) -> list[Row]:
    """Three rows for each number of dimensions, and for the larger one also two about a cold start."""
    from mmexplorer.explore.projection import warm_up

    rows = []
    file = folder / "points.npy"
    np.save(file, points(DIMENSIONS[-1]))
    rows += measure_cold(min(runs, COLD_RUNS), file, folder)
    warm_up()
    for dimensions in DIMENSIONS:
        rows += measure_warm(runs, points(dimensions))
    return rows


def measure_warm(runs: int, vectors: np.ndarray) -> list[Row]:
    """PCA, UMAP with its neighbours, and both UMAPs' trustworthiness, in this process and after a warm-up of each."""
    from sklearn.decomposition import PCA

    from mmexplorer.explore.projection import project

    times = {tool: [] for tool in ("pca", "their pca", "umap", "their umap")}
    maps = {tool: [] for tool in times}
    tools: dict[str, Callable] = {
        "pca": lambda run: project(vectors, method="pca").coordinates,
        "their pca": lambda run: PCA(2).fit_transform(vectors),
        "umap": lambda run: project(vectors, seed=run).coordinates,
        "their umap": lambda run: plain(vectors),
    }
    for run in range(runs + 1):  # the first of each is not counted
        for tool, lay_out in tools.items():
            started = time.perf_counter()
            found = lay_out(run)
            if run:
                times[tool].append(time.perf_counter() - started)
                maps[tool].append(found)
    what, turns = f"{POINTS:,} points of {vectors.shape[1]} numbers", f"{runs} + {runs}, in turn"
    return [
        _timed(f"PCA, {what}", times["pca"], times["their pca"], "scikit-learn", turns, BUDGET_PCA),
        _timed(f"UMAP, {what}, warm", times["umap"], times["their umap"], "umap-learn, unseeded", turns, BUDGET_UMAP),
        _trust(what, vectors, maps["umap"], maps["their umap"]),
    ]


def measure_cold(runs: int, file: Path, folder: Path) -> list[Row]:
    """Import and first fit in a fresh process with an empty numba cache, and whether two such processes agree."""
    times = {"project": [], "plain": []}
    maps = []
    for run in range(runs):
        for tool, seconds in times.items():
            found = folder / f"{tool}-{run}.npy"
            with tempfile.TemporaryDirectory() as empty:
                command = [sys.executable, "-m", "bench.one_projection", tool, str(file), str(found)]
                answer = subprocess.run(
                    command, cwd=ROOT, check=True, capture_output=True, text=True,
                    env={**os.environ, "NUMBA_CACHE_DIR": empty},
                )  # fmt: skip
            seconds.append(float(answer.stdout))
            if tool == "project":
                maps.append(np.load(found))
    ratio = median(times["project"]) / median(times["plain"])
    same = all(np.array_equal(maps[0], other) for other in maps)
    return [
        Row(
            f"UMAP, {POINTS:,} points of {DIMENSIONS[-1]} numbers, cold, with imports",
            spread(times["project"]),
            f"{runs} + {runs}, in turn",
            f"umap-learn: {spread(times['plain'])}",
            f"{ratio:.2f}",
            f"ratio at most {BUDGET_COLD}",
            ratio <= BUDGET_COLD,
        ),
        Row("same seed, same map in another process", "equal" if same else "differs", f"{runs}", "", "", "equal", same),
    ]


def points(dimensions: int, classes: int = 20, seed: int = 0) -> np.ndarray:
    """Unit vectors (5,000, dimensions) float32 in clouds that spread along eight directions each."""
    generator = np.random.default_rng(seed)
    of = generator.integers(classes, size=POINTS)
    centres = generator.normal(size=(classes, dimensions))
    directions = generator.normal(scale=0.5, size=(classes, 8, dimensions))
    vectors = generator.normal(scale=0.3, size=(POINTS, dimensions)) + centres[of]
    vectors += np.einsum("nk,nkd->nd", generator.normal(size=(POINTS, 8)), directions[of])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def plain(vectors: np.ndarray) -> np.ndarray:
    """What umap-learn makes of them by itself."""
    import umap

    return umap.UMAP(metric="cosine").fit_transform(vectors)


def _timed(what: str, ours: list[float], theirs: list[float], peer: str, runs: str, budget: float) -> Row:
    ratio = f"{median(ours) / median(theirs):.2f}"
    beside = f"{peer}: {spread(theirs)}"
    return Row(what, spread(ours), runs, beside, ratio, f"under {budget:g} s", median(ours) < budget)


def _trust(what: str, vectors: np.ndarray, ours: list[np.ndarray], theirs: list[np.ndarray]) -> Row:
    """The share of neighbours in the map that are neighbours in truth (Venna and Kaski 2001), by cosine."""
    from sklearn.manifold import trustworthiness

    def trust(maps: list[np.ndarray]) -> list[float]:
        return [trustworthiness(vectors, found, n_neighbors=NEIGHBOURS, metric="cosine") for found in maps]

    our_trust, their_trust = trust(ours), trust(theirs)
    lost = median(their_trust) - median(our_trust)
    return Row(
        f"trustworthiness, {what}",
        _range(our_trust),
        f"{len(ours)} + {len(theirs)} maps",
        f"umap-learn: {_range(their_trust)}",
        f"{-lost:+.4f}",
        f"at most {BUDGET_TRUST} lower",
        lost <= BUDGET_TRUST,
    )


def _range(values: list[float]) -> str:
    return f"{median(values):.4f} ({min(values):.4f} to {max(values):.4f})"
