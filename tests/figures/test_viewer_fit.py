"""What fits into one page: which layers stay, how patches are joined, and that every loss is said."""

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures import viewer_fit
from mmexplorer.figures.viewer_fit import fit_notes, joined, joined_cell, kept_layers, subset
from mmexplorer.results import Grounding


def grounding(layers, words, rows, columns) -> Grounding:
    maps = np.zeros((layers, words, rows, columns), dtype=np.float32)
    maps += np.arange(layers, dtype=np.float32)[:, None, None, None]
    names = tuple(f"word {i}" for i in range(words)), tuple(f"layer {i}" for i in range(layers))
    share = np.zeros((layers, words), dtype=np.float32)
    return Grounding(Image.new("RGB", (8, 8)), names[0], maps, names[1], share, (0, 0, 8, 8))


def test_an_answer_of_sixty_words_about_tiles_keeps_all_32_layers():
    assert kept_layers(grounding(32, 72, 28, 48), 72).tolist() == list(range(32))


def test_at_most_forty_layers_are_kept_evenly_from_the_first_to_the_last():
    assert kept_layers(grounding(79, 1, 1, 1), 1).tolist() == list(range(0, 79, 2))


def test_layers_go_before_patches_are_joined(monkeypatch):
    monkeypatch.setattr(viewer_fit, "MAX_BYTES", 20 * 4 * 16)
    layers = kept_layers(grounding(39, 4, 4, 4), 4)
    assert len(layers) == 20 and layers[0] == 0 and layers[-1] == 38
    monkeypatch.setattr(viewer_fit, "MAX_BYTES", 4 * 4 * 16)
    assert len(kept_layers(grounding(39, 4, 4, 4), 4)) == viewer_fit.MIN_LAYERS


def test_joined_patches_are_the_mean_over_their_area(monkeypatch):
    maps = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4)
    assert joined(maps) == (maps, 1)
    monkeypatch.setattr(viewer_fit, "MAX_BYTES", 2)
    coarse, step = joined(maps)
    assert step == 2
    assert coarse.tolist() == [[[[(0 + 1 + 4 + 5) / 4, (2 + 3 + 6 + 7) / 4]]]]


def test_cells_that_cut_patches_share_them(monkeypatch):
    monkeypatch.setattr(viewer_fit, "MAX_BYTES", 2)
    coarse, step = joined(np.array([[[[6.0, 0.0, 3.0]]]], dtype=np.float32))
    assert step == 2, "three patches in two cells: each one and a half patches wide"
    assert coarse[0, 0, 0].tolist() == pytest.approx([6 / 1.5, 3 / 1.5])


def test_joining_always_ends(monkeypatch):
    monkeypatch.setattr(viewer_fit, "MAX_BYTES", 0)
    coarse, _ = joined(np.ones((2, 3, 5, 7), dtype=np.float32))
    assert coarse.shape == (2, 3, 1, 1) and np.allclose(coarse, 1)


@pytest.mark.parametrize(("patch", "cell"), [(0, 0), (3, 1), (4, 2), (7, 3), (8, 2), (11, 3)])
def test_a_patch_is_found_in_the_joined_grid(patch, cell):
    assert joined_cell(patch, (3, 4), 2) == cell  # a grid of 3 x 4 becomes one of 2 x 2
    assert joined_cell(patch, (3, 4), 1) == patch


def test_a_subset_keeps_the_layers_and_the_first_words():
    part = subset(grounding(5, 3, 1, 1), np.array([1, 4]), 2)
    assert (part.words, part.layers) == (("word 0", "word 1"), ("layer 1", "layer 4"))
    assert part.maps[..., 0, 0].tolist() == [[1, 1], [4, 4]]
    assert part.image_share.shape == (2, 2) and part.scores is None


def test_every_loss_is_said():
    assert fit_notes(grounding(3, 3, 2, 4), 3, 3, 1) == []
    assert fit_notes(grounding(3, 3, 2, 4), 2, 1, 2) == [
        "Shown: the first 1 of 3 words.",
        "Shown: 2 of 3 layers or steps, evenly spaced.",
        "Drawn coarser than computed: 2 by 2 of the 2 x 4 patches in one cell.",
    ]
