"""UMAP gets exact neighbours, stops half-way without leaving traces, takes turns, and keeps quiet."""

import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.manifold import trustworthiness
from tqdm.auto import tqdm
from umap import layouts, umap_

from mmexplorer.explore import umap_fit
from mmexplorer.explore.projection import project
from mmexplorer.hub import Stopped

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_exact_and_begin_with_the_point_itself(vectors, metric):
    indices, distances = umap_fit._neighbours(vectors, 6, metric, lambda share: None)
    expected = cdist(vectors, vectors, metric)
    order = expected.argsort(axis=1)[:, :6]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, np.take_along_axis(expected, order, axis=1), atol=1e-6)
    assert indices.dtype == np.int32 and distances.dtype == np.float32


def test_by_cosine_lengths_do_not_matter_and_by_euclidean_distance_they_do(vectors):
    short = np.arange(len(vectors)) % 2 == 0
    scaled = np.where(short[:, None], vectors, 20 * vectors)

    def together(metric):
        """How often the nearest point in the map of a short vector is a short one."""
        coordinates = project(scaled, metric=metric).coordinates
        distances = cdist(coordinates, coordinates)
        np.fill_diagonal(distances, np.inf)
        return short[distances.argmin(axis=1)][short].mean()

    assert together("cosine") < 0.7 and together("euclidean") > 0.85


def test_neighbourhoods_are_kept_as_well_as_by_plain_umap(vectors):
    import umap

    plain = umap.UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(vectors)
    ours = project(vectors).coordinates
    assert trustworthiness(vectors, ours, metric="cosine") > trustworthiness(vectors, plain, metric="cosine") - 0.02


@pytest.mark.parametrize("dimensions", [2, 3, 8])
def test_points_opposite_to_their_neighbours_have_places(dimensions):
    pairs = np.vstack([np.eye(dimensions), -np.eye(dimensions)])
    assert np.isfinite(project(pairs, neighbours=200).coordinates).all()


def test_the_same_map_in_another_process(vectors, tmp_path):
    np.save(tmp_path / "vectors.npy", vectors)
    program = (
        "import sys, numpy as np; from mmexplorer.explore.projection import project;"
        "np.save(sys.argv[2], project(np.load(sys.argv[1]), seed=5).coordinates)"
    )
    files = [tmp_path / "vectors.npy", tmp_path / "map.npy"]
    done = subprocess.run([sys.executable, "-c", program, *files], cwd=ROOT, capture_output=True, text=True, check=True)
    np.testing.assert_array_equal(np.load(files[1]), project(vectors, seed=5).coordinates)
    assert done.stdout == done.stderr == ""


def test_stopped_half_way(vectors):
    before = project(vectors).coordinates
    stop, heard, threads = threading.Event(), [], numba.get_num_threads()

    def progress(share):
        heard.append(share)
        if share > 0.5:
            stop.set()

    with pytest.raises(Stopped):
        project(vectors, progress=progress, stop=stop)
    assert 0.5 < heard[-1] < 0.51  # the next of 500 epochs did not begin
    assert layouts.tqdm is tqdm and numba.get_num_threads() == threads
    np.testing.assert_array_equal(project(vectors).coordinates, before)


def test_stopped_while_another_fit_runs(vectors):
    stop, ended = threading.Event(), []

    def work():
        with pytest.raises(Stopped):
            project(vectors, stop=stop)
        ended.append(True)

    visitor = threading.Thread(target=work)
    with umap_fit._one_at_a_time:
        visitor.start()
        visitor.join(0.3)
        assert not ended
        stop.set()
        visitor.join(10)
        assert ended


def test_several_at_once_get_their_own_maps(vectors):
    alone = [project(vectors, seed=seed).coordinates for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: project(vectors, seed=seed).coordinates, range(4)))
    np.testing.assert_array_equal(together, alone)


def test_nothing_is_printed_and_nobody_is_warned(vectors, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        project(vectors)
        project(vectors[:5], progress=lambda share: None)
    assert capfd.readouterr() == ("", "")


def test_what_umap_compiles_lets_the_other_threads_of_the_process_run(vectors):
    project(vectors)
    compiled = (umap_.smooth_knn_dist, umap_.compute_membership_strengths)
    for function in (*compiled, layouts._nb_optimize_layout_euclidean_single_epoch):
        assert function.targetoptions["nogil"] and function.signatures
