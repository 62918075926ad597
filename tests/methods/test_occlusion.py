"""Covering the patch that carries the score shows in the map exactly there."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmexplorer.methods import occlusion


def reader(row: int, column: int, patch: int = 2, side: int = 4):
    """A model whose one-number embedding is the brightness of a single patch; a picture that is bright only there."""
    pixels = torch.zeros(1, 3, side * patch, side * patch)
    rows, columns = slice(row * patch, (row + 1) * patch), slice(column * patch, (column + 1) * patch)
    there = (slice(None), slice(None), rows, columns)
    pixels[there] = 1.0
    calls = []

    def image_features(batch):
        calls.append(len(batch))
        return batch[there].mean(dim=(1, 2, 3))[:, None]

    clip = SimpleNamespace(patches=(side, side), pixel_values=lambda images: pixels, image_features=image_features)
    return clip, calls


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (3, 3)])
def test_the_map_peaks_at_the_patch_that_counts(row, column):
    clip, _ = reader(row, column)
    maps, layers, image_share = occlusion.maps(clip, None, np.array([[1.0], [-1.0]], dtype=np.float32))
    assert layers == ("whole model",) and np.isnan(image_share).all()
    # Covered, the patch takes the picture's mean of 1/16 instead of 1. All 4 windows over it cover it, 2 of the 4 over
    # a neighbour by an edge do, 1 of 4 over a neighbour by a corner, none over a patch farther away.
    fall = 1 - 1 / 16
    expected = np.zeros((4, 4))
    for r in range(4):
        for c in range(4):
            expected[r, c] = fall * max(0, 2 - abs(r - row)) * max(0, 2 - abs(c - column)) / 4
    np.testing.assert_allclose(maps[0, 0], expected, atol=1e-6)
    assert (maps[0, 1] == 0).all()  # against the score, covering only raises it


@pytest.mark.parametrize(
    ("side", "size", "step"), [(4, 2, 1), (7, 2, 1), (8, 2, 1), (14, 4, 2), (16, 4, 2), (24, 6, 3)]
)
def test_windows_cover_every_patch_equally_often(side, size, step):
    windows = occlusion._windows(side, side)
    assert windows.sum(axis=(1, 2)).max() == size * size
    counts = windows.sum(axis=0)
    inner = counts[: side - size, : side - size]
    assert (inner == (size // step) ** 2).all() and counts.min() >= 1
    assert len(windows) <= 100


def test_windows_are_asked_in_batches(monkeypatch):
    monkeypatch.setattr(occlusion, "BATCH", 10)
    clip, calls = reader(0, 0)
    occlusion.maps(clip, None, np.ones((1, 1), dtype=np.float32))
    assert calls == [10, 10, 5, 1]  # 5 x 5 windows, then the picture itself
