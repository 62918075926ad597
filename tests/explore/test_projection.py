"""PCA equals the library's, every layout keeps groups apart and repeats, and too few or odd points are laid out too."""

import threading

import numpy as np
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import projection
from mmexplorer.explore.projection import METHODS, is_warm, place, project, warm_up
from mmexplorer.hub import Stopped

GROUPS, EACH = 3, 20


@pytest.fixture
def vectors():
    """Three tight groups of unit vectors, one after the other."""
    generator = np.random.default_rng(0)
    rows = np.repeat(np.eye(8)[:GROUPS], EACH, axis=0) + generator.normal(scale=0.05, size=(GROUPS * EACH, 8))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def nearest_in_map(coordinates):
    distances = np.linalg.norm(coordinates[:, None] - coordinates, axis=-1)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(axis=1)


# PCA


@pytest.mark.parametrize("shape", [(50, 7), (7, 50), (10, 10)], ids=str)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_pca_equals_scikit_learn_with_signs(shape, dimensions):
    from sklearn.decomposition import PCA

    rows = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 4, shape[1]) + 5
    library = PCA(dimensions, svd_solver="full")
    expected = library.fit_transform(rows)
    found = project(rows, method="pca", dimensions=dimensions)
    assert found.coordinates.dtype == np.float32 and found.method == "pca" and not found.note
    np.testing.assert_allclose(found.coordinates, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(list(found.settings.values()), library.explained_variance_ratio_, rtol=1e-4)
    assert list(found.settings) == [f"variance_share_{axis}" for axis in range(1, dimensions + 1)]


def test_pca_by_hand():
    found = project([[0, 0], [2, 0], [4, 0]], method="pca")
    np.testing.assert_allclose(found.coordinates, [[-2, 0], [0, 0], [2, 0]], atol=1e-6)
    assert found.settings == pytest.approx({"variance_share_1": 1, "variance_share_2": 0})


def test_axes_that_do_not_exist_are_zeros():
    found = project([[1], [2], [4]], method="pca", dimensions=3)
    assert not found.coordinates[:, 1:].any() and found.coordinates[:, 0].any()


# Every layout


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_neighbours_in_the_map_are_of_the_same_group(vectors, method, dimensions):
    found = project(vectors, method=method, dimensions=dimensions)
    assert found.coordinates.shape == (GROUPS * EACH, dimensions) and found.method == method
    group = np.arange(GROUPS * EACH) // EACH
    np.testing.assert_array_equal(group[nearest_in_map(found.coordinates)], group)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_map(vectors, method):
    first = project(vectors, method=method, seed=3)
    np.testing.assert_array_equal(project(vectors, method=method, seed=3).coordinates, first.coordinates)
    other = project(vectors, method=method, seed=4)
    assert first.seed == 3 and np.array_equal(other.coordinates, first.coordinates) == (method == "pca")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16])
def test_few_points_with_fifteen_neighbours(vectors, method, count):
    found = project(vectors[:count], method=method, neighbours=15)
    assert found.coordinates.shape == (count, 2) and np.isfinite(found.coordinates).all()
    assert len(np.unique(found.coordinates, axis=0)) == count
    if method == "pca" or count >= 16 or (method == "tsne" and count > 3):
        assert not found.note and found.method == method
    elif count <= 3:
        assert found.method == "pca" and "needs at least 4 different points" in found.note
    else:
        assert found.settings["neighbours"] == count - 1 and f"considers {count - 1} neighbours instead" in found.note


@pytest.mark.parametrize("method", METHODS)
def test_duplicates_share_a_place(vectors, method):
    different = vectors[::EACH]
    order = np.random.default_rng(3).permutation(np.repeat(np.arange(len(different)), 20))
    found = project(different[order], method=method).coordinates
    assert np.isfinite(found).all()
    places = np.stack([found[np.flatnonzero(order == row)[0]] for row in range(len(different))])
    np.testing.assert_allclose(found, places[order], atol=1e-5)
    assert len(np.unique(places.round(4), axis=0)) == len(different)


@pytest.mark.parametrize("method", METHODS)
def test_equal_points_lie_in_one_place(vectors, method):
    found = project(np.repeat(vectors[:1], 30, axis=0), method=method)
    assert not found.coordinates.any() and found.method == "pca"
    assert bool(found.note) == (method != "pca")


@pytest.mark.parametrize("method", METHODS)
def test_zeros_of_either_sign_are_equal(method):
    rows = np.where(np.eye(6, 5) > 0, np.float32(-0.0), np.float32(0.0))
    assert not project(rows, method=method).coordinates.any()


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_laid_out_is_refused(method):
    with pytest.raises(Refusal, match="no points"):
        project(np.empty((0, 8)), method=method)
    with pytest.raises(Refusal, match="row 2"):
        project([[0, 1], [1, 0], [np.nan, 1], [1, 1], [2, 1]], method=method)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"method": "isomap"}, "'isomap'"),
        ({"dimensions": 4}, "not 4"),
        ({"seed": -1}, "not -1"),
        ({"neighbours": 1}, "not 1"),
        ({"neighbours": 201}, "not 201"),
        ({"min_dist": 1.5}, "1.5"),
        ({"min_dist": float("nan")}, "nan"),
        ({"metric": "manhattan"}, "'manhattan'"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(vectors, settings, says):
    with pytest.raises(Refusal, match=says):
        project(vectors, **settings)


def test_tsne_refuses_more_points_than_it_manages(vectors, monkeypatch):
    monkeypatch.setattr(projection, "MAX_TSNE", len(vectors) - 1)
    with pytest.raises(Refusal, match="at most 59 points, and there are 60; choose UMAP"):
        project(vectors, method="tsne")


def test_numbers_from_sliders_are_taken(vectors):
    sliders = project(vectors, dimensions=3.0, seed=1.0, neighbours=10.0)
    np.testing.assert_array_equal(
        sliders.coordinates, project(vectors, dimensions=3, seed=1, neighbours=10).coordinates
    )


@pytest.mark.parametrize("method", METHODS)
def test_progress_runs_from_nothing_to_all(vectors, method):
    heard = []
    project(vectors, method=method, progress=heard.append)
    assert heard[0] == 0 and heard[-1] == 1 and heard == sorted(heard)


@pytest.mark.parametrize("method", METHODS)
def test_stopped_before_the_start(vectors, method):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        project(vectors, method=method, stop=stop)


def test_warm_up_runs_umap_once(monkeypatch):
    warm_up()
    assert is_warm()
    monkeypatch.setattr(projection, "project", None)  # would raise if it were called
    warm_up()


# Places for what comes later


def at_cosine(*cosines):
    """Unit vectors with these cosines to (1, 0, 0, ...), and each orthogonal to the others otherwise."""
    rows = np.zeros((len(cosines), len(cosines) + 1))
    rows[:, 0] = cosines
    rows[np.arange(len(cosines)), np.arange(len(cosines)) + 1] = np.sqrt(1 - np.square(cosines))
    return rows


def test_place_by_hand():
    vectors, query = at_cosine(0.8, 0.9, 0.6, 0.1), np.eye(5)[:1]
    coordinates = np.array([[0, 4], [8, 0], [100, 100], [900, 900]])
    # 1 / 0.1 - 1 / 0.4 = 7.5 for the nearest and 1 / 0.2 - 1 / 0.4 = 2.5 for the second; the third is left out.
    found = place(query, vectors, coordinates, k=2)
    np.testing.assert_allclose(found, [[0.75 * 8, 0.25 * 4]], rtol=1e-5)
    assert found.dtype == np.float32


def test_a_duplicate_lands_on_its_twin(vectors):
    coordinates = np.random.default_rng(1).normal(scale=10, size=(len(vectors), 3)).astype(np.float32)
    np.testing.assert_allclose(place(vectors, vectors, coordinates), coordinates, rtol=1e-6)
    np.testing.assert_allclose(place(3 * vectors, vectors, coordinates), coordinates, atol=1e-4)


def test_a_duplicate_of_many_lies_in_their_middle():
    vectors = np.repeat(np.eye(2), 4, axis=0)
    coordinates = np.arange(16).reshape(8, 2)
    for k in (3, 4, 6):  # fewer than there are, as many, and more
        np.testing.assert_allclose(place(np.eye(2)[1:], vectors, coordinates, k=k), [coordinates[4:][:k].mean(axis=0)])


def test_a_place_does_not_depend_on_the_other_queries(vectors):
    generator = np.random.default_rng(2)
    queries, coordinates = generator.normal(size=(30, 8)), generator.normal(size=(len(vectors), 2))
    alone = np.concatenate([place(query[None], vectors, coordinates) for query in queries])
    np.testing.assert_allclose(place(queries, vectors, coordinates), alone, atol=1e-6)


def test_nothing_jumps_when_neighbours_change_places():
    coordinates = [[0, 0], [1, 0], [1000, 0]]
    closer, further = (place(np.eye(4)[:1], at_cosine(0.9, 0.5, c), coordinates, k=2) for c in (0.5001, 0.4999))
    assert abs(closer - further).max() < 0.1


def test_a_map_of_fewer_points_than_neighbours(vectors):
    coordinates = np.array([[0.0, 0.0], [2.0, 2.0]])
    np.testing.assert_allclose(place([[1, 1]], np.eye(2), coordinates), [[1, 1]], rtol=1e-6)
    np.testing.assert_array_equal(place(vectors[:3], vectors[:1], coordinates[1:]), [[2, 2]] * 3)


def test_what_is_no_map_is_refused(vectors):
    with pytest.raises(Refusal, match="60 vectors and 59 places"):
        place(vectors, vectors, np.zeros((59, 2)))
    with pytest.raises(Refusal, match="0 vectors and 0 places"):
        place(vectors, vectors[:0], np.zeros((0, 2)))
    with pytest.raises(Refusal, match="query in row 0"):
        place([[np.nan] * 8], vectors, np.zeros((60, 2)))
