"""Neighbours equal a sort of all cosines, ties go by row number, and what has no neighbours is refused or empty."""

import numpy as np
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import nearest
from mmexplorer.explore.nearest import neighbours, neighbours_within, unit_rows


def by_sorting(vectors, queries, k):
    """All cosines in float64, sorted."""
    vectors, queries = (rows.astype(np.float64) for rows in (vectors, queries))
    vectors, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (vectors, queries))
    cosines = queries @ vectors.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, axis=1)


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)


@pytest.fixture(params=[False, True], ids=["one block", "many blocks"])
def blocks(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(nearest, "BLOCK_CELLS", 2_000)


def test_by_hand():
    found = neighbours(np.array([[1, 0], [0, 2], [3, 3], [-1, 0]]), np.array([[5, 0]]), 4)
    assert found.indices.tolist() == [[0, 2, 1, 3]] and found.indices.dtype == np.int64
    np.testing.assert_allclose(found.cosines, [[1, 2**-0.5, 0, -1]], atol=1e-7)
    assert found.cosines.dtype == np.float32


def test_parity_with_sorting_all_cosines(vectors, blocks):
    queries = np.random.default_rng(1).normal(size=(40, 16))
    found = neighbours(vectors, queries, 7)
    order, cosines = by_sorting(vectors, queries, 7)
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.cosines, cosines, atol=1e-6)


def test_within_is_a_search_without_the_row_itself(vectors, blocks):
    found = neighbours_within(vectors, 7)
    order, cosines = by_sorting(vectors, vectors, 8)
    np.testing.assert_array_equal(order[:, 0], np.arange(300))
    np.testing.assert_array_equal(found.indices, order[:, 1:])
    np.testing.assert_allclose(found.cosines, cosines[:, 1:], atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 19, 40])
def test_ties_go_by_row_number(k, blocks):
    vectors = np.repeat(np.eye(4), 10, axis=0)[np.random.default_rng(0).permutation(40)]  # cosines are exactly 0 or 1
    found = neighbours(vectors, np.eye(4), k)
    np.testing.assert_array_equal(found.indices, by_sorting(vectors, np.eye(4), k)[0])


def test_duplicates_of_a_row_are_its_neighbours():
    row = np.random.default_rng(3).normal(size=37)
    found = neighbours_within(np.stack([row, -row, 2 * row, row]), 2)
    assert found.indices[[0, 2, 3]].tolist() == [[2, 3], [0, 3], [0, 2]]
    assert found.cosines[0].tolist() == pytest.approx([1, 1]) and found.cosines.max() <= 1


def test_a_row_of_zeros_has_cosine_zero():
    found = neighbours(np.array([[0, 0], [-1, 1], [1, 0]]), np.array([[1, 0], [0, 0]]), 3)
    assert found.indices.tolist() == [[2, 0, 1], [0, 1, 2]]
    assert found.cosines[0, 1] == 0 and (found.cosines[1] == 0).all()


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_lengths_do_not_matter(vectors, factor):
    np.testing.assert_array_equal(
        neighbours(vectors * np.float32(factor), vectors[:5], 3).indices, neighbours(vectors, vectors[:5], 3).indices
    )


def test_k_is_cut_to_what_there_is(vectors):
    assert neighbours(vectors[:3], vectors[:2], 15).indices.shape == (2, 3)
    assert neighbours_within(vectors[:3], 15).indices.shape == (3, 2)
    assert neighbours_within(vectors[:1], 15).indices.shape == (1, 0)
    assert neighbours(vectors[:0], vectors[:2], 15).indices.shape == (2, 0)
    assert neighbours(vectors, vectors[:0], 15).indices.shape == (0, 15)


def test_integers_and_half_floats_are_numbers():
    np.testing.assert_allclose(unit_rows(np.array([[3, 4]], dtype=np.uint8)), [[0.6, 0.8]], atol=1e-7)
    np.testing.assert_allclose(unit_rows(np.array([[3, 4]], dtype=np.float16)), [[0.6, 0.8]], atol=1e-7)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.array([[1.0, 2.0], [np.nan, 0.0]]), "row 1"),
        (np.array([[np.inf, 0.0]]), "row 0"),
        (np.array([[1e300, 0.0]]), "row 0"),  # finite, but not as float32
        (np.array([1.0, 2.0]), r"\(2,\)"),
        (np.ones((2, 2, 2)), r"\(2, 2, 2\)"),
        (np.ones((2, 0)), r"\(2, 0\)"),
        ([[1.0, 2.0], [1.0]], "as many numbers"),
        (np.array([["a", "b"]]), "numbers"),
        (np.array([[1j, 0]]), "numbers"),
    ],
)
def test_what_is_no_matrix_of_finite_numbers_is_refused(bad, says):
    good = np.ones((2, 2))
    for call in (lambda: neighbours(bad, good, 1), lambda: neighbours(good, bad, 1), lambda: neighbours_within(bad, 1)):
        with pytest.raises(Refusal, match=says):
            call()


def test_queries_of_another_length_and_no_neighbours_are_refused(vectors):
    with pytest.raises(Refusal, match="16 numbers each and the queries 15"):
        neighbours(vectors, vectors[:, :15], 1)
    with pytest.raises(Refusal, match="not 0"):
        neighbours(vectors, vectors, 0)


def test_watch_hears_of_every_block_and_can_end_the_search(vectors, monkeypatch):
    monkeypatch.setattr(nearest, "BLOCK_CELLS", 300 * 100)
    heard = []
    neighbours_within(vectors, 3, watch=heard.append)
    assert heard == pytest.approx([1 / 3, 2 / 3, 1])

    def enough(share):
        heard.append(share)
        raise KeyboardInterrupt

    heard.clear()
    with pytest.raises(KeyboardInterrupt):
        neighbours_within(vectors, 3, watch=enough)
    assert heard == pytest.approx([1 / 3])
