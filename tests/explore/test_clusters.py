"""Clusters are groups by direction, numbered by size, and named by what sets each apart from the others."""

import warnings

import numpy as np
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore.clusters import cluster_names, clusters


def groups(*sizes):
    """Rows around one axis for each size, of very different lengths."""
    generator = np.random.default_rng(0)
    rows = np.repeat(np.eye(len(sizes), 8), sizes, axis=0) + generator.normal(scale=0.02, size=(sum(sizes), 8))
    return rows * generator.uniform(0.1, 50, size=(len(rows), 1))


def test_groups_by_direction_whatever_the_lengths_numbered_from_the_largest():
    labels = clusters(groups(5, 20, 10), 3)
    np.testing.assert_array_equal(labels, np.repeat([2, 0, 1], [5, 20, 10]))
    assert labels.dtype == np.int64


def test_the_same_seed_gives_the_same_clusters():
    rows = np.random.default_rng(0).normal(size=(200, 8))
    np.testing.assert_array_equal(clusters(rows, 9, seed=1), clusters(rows, 9, seed=1))
    assert not np.array_equal(clusters(rows, 9, seed=1), clusters(rows, 9, seed=2))


def test_no_more_clusters_than_rows_that_differ():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clusters([[1, 0], [2, 0], [0, 1], [0, 3]], 12).tolist() == [0, 0, 1, 1]
        assert clusters([[1, 0]], 12).tolist() == [0]


def test_nothing_to_group_is_refused():
    with pytest.raises(Refusal, match="no points"):
        clusters(np.empty((0, 8)), 3)
    with pytest.raises(Refusal, match="not 0"):
        clusters(np.eye(3), 0)
    with pytest.raises(Refusal, match="row 1"):
        clusters([[1, 0], [np.nan, 0]], 2)


# Names

COLOURS = np.eye(3)  # clusters of pictures around three axes
WORDS = ("picture", "red", "green", "blue")
WORD_VECTORS = np.array([[1, 1, 1], [0.3, 0.1, 0], [0, 0.3, 0.1], [0.1, 0, 0.3]])


def test_a_word_near_to_every_cluster_names_none():
    # By cosine alone "picture" (0.58) would beat the colours for a picture between the axes, and tie elsewhere.
    between = np.array([[3, 2, 2], [2, 3, 2], [2, 2, 3]])
    cosines = (between / 17**0.5) @ (WORD_VECTORS / np.linalg.norm(WORD_VECTORS, axis=1, keepdims=True)).T
    assert (cosines.argmax(axis=1) == 0).all()
    assert cluster_names(between, np.arange(3), WORDS, WORD_VECTORS) == ("red", "green", "blue")


def test_names_follow_the_numbers_and_the_centroids():
    rows = np.vstack([COLOURS, COLOURS * 9])
    assert cluster_names(rows, np.array([2, 0, 1, 2, 0, 1]), WORDS, WORD_VECTORS) == ("green", "blue", "red")


def test_no_name_twice_while_there_are_enough_words():
    rows = np.array([[1, 0.1, 0], [1, 0.0, 0.1], [0, 0, 1]])
    vectors = np.array([[1, 0, 0], [0.9, 0.4, 0], [0, 0, 1]])  # "red" fits both of the first two best
    assert cluster_names(rows[[0, 2]], np.arange(2), ("red", "orange", "blue"), vectors) == ("red", "blue")
    assert sorted(cluster_names(rows, np.arange(3), ("red", "orange", "blue"), vectors)) == ["blue", "orange", "red"]
    assert cluster_names(rows, np.arange(3), ("red", "blue"), vectors[[0, 2]]) == ("red", "red", "blue")


def test_a_single_cluster_is_named_by_its_nearest_word():
    assert cluster_names([[0, 1, 0], [0, 1, 0.1]], np.zeros(2, int), WORDS, WORD_VECTORS) == ("green",)


def test_no_words_are_refused():
    with pytest.raises(Refusal, match="no words"):
        cluster_names(COLOURS, np.arange(3), (), np.empty((0, 3)))
