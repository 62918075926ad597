"""k-NN votes and hubs on vectors whose neighbours can be listed by hand, and skewness against scipy."""

import numpy as np
import pytest
from scipy.stats import skew

from mmexplorer.explore.nearest import neighbours, neighbours_within
from mmexplorer.explore.space_neighbours import Confusion, hubness, knn_accuracy
from mmexplorer.results import Neighbours


def at(*degrees) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_knn_accuracy_by_hand():
    # a: 0, 2, 4 and one astray at 91; b: 90, 93.
    voted = knn_accuracy(at(0, 2, 4, 91, 90, 93), ["a", "a", "a", "a", "b", "b"], k=1)
    # 91 goes to 90 (b), 90 to 91 (a), 93 to 91 (a).
    assert voted.names == ("a", "b")
    assert voted.counts.tolist() == [4, 2]
    assert voted.accuracies == pytest.approx([3 / 4, 0])
    assert voted.accuracy == pytest.approx(3 / 6)
    assert voted.baseline == pytest.approx(4 / 6)
    assert voted.confusions == (Confusion("b", "a", 2), Confusion("a", "b", 1))


def test_rows_without_a_class_neither_vote_nor_are_asked():
    voted = knn_accuracy(at(0, 1, 2, 90, 91), ["a", None, "a", "b", "b"], k=1)
    assert voted.counts.tolist() == [2, 2] and voted.accuracy == 1 and voted.confusions == ()


def test_equal_votes_go_to_the_larger_sum_of_cosines():
    # Row 0 has b at 1 and a at 20 degrees, row 3 has a at 20 and b at 1 degree: one vote each, the nearer one wins.
    # Rows 1 and 2 have two neighbours of the other class.
    near = knn_accuracy(at(0, 1, 20, 30), ["a", "b", "a", "b"], k=2)
    assert near.accuracy == 0 and set(near.confusions) == {Confusion("a", "b", 2), Confusion("b", "a", 2)}
    # Three votes against one are not overruled by a nearer one: all but the twin at 1 degree are far away.
    many = knn_accuracy(at(0, 1, 80, 81, 82), ["a", "b", "a", "a", "a"], k=4)
    assert many.accuracies == pytest.approx([1, 0])


def test_k_is_cut_to_the_others():
    assert knn_accuracy(at(0, 1, 2), ["a", "a", "b"], k=10).k == 2


@pytest.mark.parametrize("classes", [["a", "b", "c"], [None, None, None], ["a", None, "b"]])
def test_without_two_of_a_class_no_vote_can_be_right(classes):
    with pytest.raises(ValueError, match="two rows"):
        knn_accuracy(at(0, 1, 2), classes)


def test_the_centre_of_a_star_is_the_hub():
    # One axis in common, one of its own: the centre is nearest to every ray, and the first ray to the centre.
    rays = np.eye(6, dtype=np.float32)[1:] * 0.8
    rays[:, 0] = 0.6
    star = np.concatenate([np.eye(6, dtype=np.float32)[:1], rays])
    found = hubness(neighbours_within(star, 1), len(star))
    assert found.occurrences.tolist() == [5, 1, 0, 0, 0, 0]
    assert found.hubs[:2].tolist() == [0, 1] and found.hub_counts[:2].tolist() == [5, 1]
    assert found.never == pytest.approx(4 / 6)
    assert found.expected == pytest.approx(1)
    assert found.skewness == pytest.approx(skew([5, 1, 0, 0, 0, 0]))


def test_answers_to_queries_are_counted_among_all_items():
    found = hubness(neighbours(at(0, 45, 90), at(1, 2, 89, 3), 2), 3)
    assert found.occurrences.tolist() == [3, 4, 1]
    assert found.expected == pytest.approx(8 / 3) and found.k == 2


def test_skewness_is_scipys_and_zero_where_all_are_found_alike():
    indices = np.random.default_rng(0).integers(0, 40, (60, 5)) ** 2 // 40
    found = hubness(Neighbours(indices, np.zeros_like(indices, np.float32)), 40)
    assert found.skewness == pytest.approx(skew(np.bincount(indices.ravel(), minlength=40)))
    assert found.skewness > 0.5
    even = hubness(Neighbours(np.array([[1], [0]]), np.ones((2, 1), np.float32)), 2)
    assert even.skewness == 0
