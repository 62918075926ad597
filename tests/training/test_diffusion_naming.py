"""Naming patches, against a loss computed by hand."""

import math

import pytest
import torch

from mmexplorer.training.clip_naming import BACKGROUND_WEIGHT, COLOUR_IDS, SHAPE_IDS
from mmexplorer.training.diffusion_model import build_unet
from mmexplorer.training.diffusion_naming import LatentNaming


@pytest.fixture
def naming():
    """Heads that know nothing yet, on a UNet that has just seen two latents."""
    unet = build_unet(8)
    heads = LatentNaming(unet)
    for head in heads.heads:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    with torch.no_grad():
        unet(torch.zeros(2, 4, 16, 16), torch.zeros(2), torch.zeros(2, 3, 8))
    return heads


def test_a_head_that_knows_nothing_guesses_among_all_names(naming):
    loss = naming.loss(torch.ones(2, 2, 64, dtype=torch.long), torch.tensor([1.0, 0.5]))
    assert loss.item() == pytest.approx(math.log(len(SHAPE_IDS)) + math.log(len(COLOUR_IDS)), rel=1e-5)


def test_noisy_samples_and_the_background_count_less(naming):
    with torch.no_grad():
        for head in naming.heads:
            head.bias[1] = 100.0  # sure of the first name everywhere
    names = torch.zeros(2, 2, 64, dtype=torch.long)  # background, where that is wrong
    names[0] = 1
    wrong = 0.5 * BACKGROUND_WEIGHT
    loss = naming.loss(names, torch.tensor([1.0, 0.5])).item()
    assert loss == pytest.approx(2 * 100 * wrong / (1 + wrong), rel=1e-4)
