"""Grad-CAM by hand on two patches and two features."""

from types import SimpleNamespace

import numpy as np
import torch

from mmexplorer.methods import grad_cam
from mmexplorer.models.clip import VisionPass


def test_by_hand():
    state = torch.tensor([[[9.0, 9.0], [1.0, 2.0], [4.0, -1.0]]], requires_grad=True)  # a class token and two patches
    # The slopes at the patches are (1, 0) and (3, -2), on average (2, -1): patches score 1 * 2 - 2 and 4 * 2 + 1.
    embedding = (state[0, 1, 0] + 3 * state[0, 2, 0] - 2 * state[0, 2, 1] + 100 * state[0, 0].sum())[None]
    seen = VisionPass(embedding, (state,), (), None, 1)
    clip = SimpleNamespace(patches=(1, 2), look_inside=lambda image: seen)
    maps, layers, image_share = grad_cam.maps(clip, None, np.array([[1.0], [-1.0]], dtype=np.float32))
    assert maps.tolist() == [[[[0.0, 9.0]], [[0.0, 0.0]]]]
    assert layers == ("into layer 1",) and np.isnan(image_share).all()
