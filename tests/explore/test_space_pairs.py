"""Recall and pair cosines on vectors whose ranks can be counted by hand, ties and equal captions included."""

from itertools import permutations

import numpy as np
import pytest

from mmexplorer.explore import space_pairs
from mmexplorer.explore.space_pairs import pair_cosines, recall, text_groups

FOUR = np.eye(4, dtype=np.float32)


def at(degrees) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_recall_by_hand():
    # Captions at 0, 10, 50 and 90 degrees; pictures at 8, 0, 60 and 40.
    images, texts = at([8, 0, 60, 40]), at([0, 10, 50, 90])
    found = recall(images, texts, np.arange(4))
    # Caption 0: picture 1 before 0. Caption 1: 0 before 1. Caption 2: 2 and 3 tie, 10 away. Caption 3: 2 before 3.
    assert found.to_picture == pytest.approx([0.5 / 4, 1, 1])
    # The nearest caption of pictures 0 to 3 is 1, 0, 2 and 2.
    assert found.to_caption == pytest.approx([1 / 4, 1, 1])
    assert found.chance == pytest.approx([1 / 4, 1, 1])


def test_all_equal_vectors_reach_chance_and_no_more():
    same = np.repeat(FOUR[:1], 20, axis=0)
    found = recall(same, same, np.arange(20))
    assert found.to_picture == pytest.approx([1 / 20, 5 / 20, 10 / 20])
    assert found.to_caption == pytest.approx(found.chance)


def test_every_answer_with_the_same_text_is_right():
    groups = text_groups(["a cat", "a dog", "a cat", "a fish"])
    assert groups.tolist() == [0, 1, 0, 2]
    images = FOUR[[2, 1, 0, 3]]  # the two cats are swapped
    assert recall(images, FOUR, groups).to_picture == pytest.approx([1, 1, 1])
    assert recall(images, FOUR, np.arange(4)).to_picture[0] == pytest.approx(0.5)
    assert recall(images, FOUR, groups).chance[0] == pytest.approx((2 / 4 + 1 / 4 + 2 / 4 + 1 / 4) / 4)


@pytest.mark.parametrize(
    ("better", "tied", "right"), [(0, 2, 1), (1, 3, 2), (4, 3, 1), (5, 0, 1), (0, 5, 3), (9, 4, 2)]
)
def test_ties_count_as_their_expectation_over_all_orders(better, tied, right):
    orders = set(permutations([False] * tied + [True] * right))
    expected = [np.mean([any(([False] * better + list(order))[:k]) for order in orders]) for k in space_pairs.AT]
    assert space_pairs._found(*(np.array([value]) for value in (better, tied, right))) == pytest.approx(expected)


def test_blocks_do_not_change_recall(monkeypatch):
    random = np.random.default_rng(0)
    images, texts = (random.normal(size=(50, 3)).astype(np.float32) for _ in range(2))
    groups = random.integers(0, 30, 50)
    whole = recall(images, texts, groups)
    monkeypatch.setattr(space_pairs, "BLOCK_NUMBERS", 7 * 50)
    assert recall(images, texts, groups).to_picture == pytest.approx(whole.to_picture)


def test_few_mismatched_pairs_are_all_taken():
    images, texts = at([0, 90, 0]), at([0, 60, 60])
    cosines = pair_cosines(images, texts, np.array([0, 1, 1]))
    assert cosines.matched == pytest.approx([1, np.cos(np.pi / 6), 0.5], abs=1e-6)
    assert np.sort(cosines.mismatched) == pytest.approx([0, 0.5, 0.5, 1], abs=1e-6)
    # 1 wins 3 and ties 1 of 4, cos 30 wins 3, one half wins 1 and ties 2.
    assert cosines.auc == pytest.approx((3.5 + 3 + 2) / 12)


def test_a_sample_of_mismatched_pairs_is_seeded_and_holds_no_pair_of_equal_text():
    count = 200
    images = np.eye(count, dtype=np.float32)
    groups = np.arange(count) // 2
    texts = images[groups * 2] + images[groups * 2 + 1]  # cosine above 0 exactly where the text is equal
    drawn = pair_cosines(images, texts, groups, seed=3)
    assert len(drawn.mismatched) > 10_000 and not drawn.mismatched.any()
    assert drawn.auc == 1
    shuffled = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
    first, again, other = (pair_cosines(shuffled, shuffled, groups, seed=seed).mismatched for seed in (1, 1, 2))
    assert (first == again).all() and not np.array_equal(first, other)


def test_equal_texts_have_no_mismatched_pairs():
    with pytest.raises(ValueError, match="two different texts"):
        pair_cosines(FOUR, FOUR, np.zeros(4, int))
