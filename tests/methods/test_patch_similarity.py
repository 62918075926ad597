"""Patch similarity by hand."""

from types import SimpleNamespace

import numpy as np
import torch

from mmexplorer.methods import patch_similarity


def test_scores_above_the_pictures_mean():
    patches = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])
    clip = SimpleNamespace(patches=(2, 2), patch_embeddings=lambda image: patches)
    maps, layers, image_share = patch_similarity.maps(clip, None, np.array([[1.0, 0.0]], dtype=np.float32))
    # Scores 1, 0, .6, .8 have the mean .6.
    np.testing.assert_allclose(maps, [[[[0.4, 0.0], [0.0, 0.2]]]], atol=1e-6)
    assert layers == ("patches",) and np.isnan(image_share).all()
