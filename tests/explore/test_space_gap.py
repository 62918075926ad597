"""The modality gap on clouds whose gap, means and shifted places are known."""

import numpy as np
import pytest

from mmexplorer.explore import space_gap
from mmexplorer.explore.space_gap import centre, gap_axes, modality_gap, shift

S = np.sqrt(0.5)
# Pictures at 0 and 90 degrees, captions at 180 and 270: centroids (1/2, 1/2) and (-1/2, -1/2).
IMAGES = np.array([[1, 0], [0, 1]], np.float32)
TEXTS = np.array([[-1, 0], [0, -1]], np.float32)


def clouds(seed: int = 0, count: int = 40, gap: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    apart = gap * np.eye(8)[0]
    return (
        space_gap.unit_rows(random.normal(size=(count, 8)) + apart),
        space_gap.unit_rows(random.normal(size=(count, 8)) - apart),
    )


def test_gap_of_two_known_clouds():
    gap = modality_gap(IMAGES, TEXTS)
    assert gap.distance == pytest.approx(np.sqrt(2))
    # Along the diagonal every point lies at +-sqrt(1/2), so half of the variance of 1 is there.
    assert gap.variance_share == pytest.approx(0.5)
    assert gap.within_images == pytest.approx(0) and gap.within_texts == pytest.approx(0)
    assert gap.across == pytest.approx(-0.5)  # cosines -1, 0, 0, -1


def test_mean_cosines_are_those_of_all_pairs():
    images, texts = clouds()
    gap = modality_gap(images, texts[:7])
    different = ~np.eye(len(images), dtype=bool)
    assert gap.within_images == pytest.approx((images @ images.T)[different].mean(), abs=1e-6)
    assert gap.across == pytest.approx((images @ texts[:7].T).mean(), abs=1e-6)


def test_clouds_in_one_place_have_no_gap():
    gap = modality_gap(IMAGES, IMAGES)
    assert (gap.distance, gap.variance_share) == (0, 0)
    alone = modality_gap(IMAGES[:1], IMAGES[:1])
    assert (alone.within_images, alone.within_texts, alone.variance_share) == (None, None, 0)


def test_shift_moves_each_cloud_by_its_share_of_half_the_gap(monkeypatch):
    monkeypatch.setattr(space_gap, "unit_rows", lambda rows: rows)  # the places before rows are scaled
    images, texts = clouds()
    for amount in (-0.5, 0.0, 0.5, 1.0):
        moved_images, moved_texts = shift(images, texts, amount)
        distance = np.linalg.norm(moved_images.mean(axis=0) - moved_texts.mean(axis=0))
        assert distance == pytest.approx((1 - amount) * modality_gap(images, texts).distance, abs=1e-6)


def test_shift_by_hand():
    images, texts = shift(IMAGES, TEXTS, 1.0)
    # Half of the gap is (1/2, 1/2): pictures go to (1/2, -1/2) and (-1/2, 1/2), captions to the same places crossed.
    assert images == pytest.approx(np.array([[S, -S], [-S, S]]))
    assert texts == pytest.approx(np.array([[-S, S], [S, -S]]))
    assert shift(IMAGES, TEXTS, 0.0)[0] == pytest.approx(IMAGES)


def test_centring_takes_each_modality_to_its_own_mean():
    images, texts = centre(IMAGES, TEXTS)
    assert images == pytest.approx(np.array([[S, -S], [-S, S]]))
    assert texts == pytest.approx(np.array([[-S, S], [S, -S]]))
    lone, _ = centre(IMAGES[:1], TEXTS)
    assert lone == pytest.approx(np.zeros((1, 2))), "a single picture is its own mean, and a zero row stays one"


def test_axes_are_the_gap_and_the_widest_direction_across_it():
    random = np.random.default_rng(0)
    spread = random.normal(size=(200, 4)) * (0.1, 0.1, 2.0, 0.5)
    apart = np.array([3, 0, 0, 0])
    axes = gap_axes(spread[:100] + apart, spread[100:] - apart)
    assert axes.T @ axes == pytest.approx(np.eye(2), abs=1e-6)
    assert axes[0, 0] > 0.99 and abs(axes[2, 1]) > 0.98


def test_axes_are_at_right_angles_where_nothing_varies_across_the_gap():
    for gap in np.eye(3, dtype=np.float32):
        axes = gap_axes(np.tile(gap, (3, 1)), np.tile(-gap, (2, 1)))
        assert axes.T @ axes == pytest.approx(np.eye(2), abs=1e-6)
        assert axes[:, 0] == pytest.approx(gap)


def test_without_a_gap_the_axes_are_the_first_two_principal_directions():
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 4)) * (0.1, 2.0, 0.1, 0.5)
    axes = np.abs(gap_axes(rows, rows))
    assert axes[1, 0] > 0.98 and axes[3, 1] > 0.98
