"""What is measured on the autoencoder, against values computed by hand; and that its training brings colours back."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from mmexplorer.training.diffusion_vae import VaeRun, preview, psnr

MIX = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, -1.0], [1.0, 1.0, 1.0]])  # latents of a colour


class Linear:
    """Stands for an autoencoder: latents are mixed colours of 4 x 4 pixels, decoding forgets all but a grey."""

    config = SimpleNamespace(scaling_factor=0.5)

    def encode(self, pictures):
        mean = torch.einsum("lc,nchw->nlhw", MIX, avg_pool2d(pictures / 2 + 0.5, 4)) + 3
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean))

    def decode(self, latents):
        again = interpolate((latents[:, :1] - 3) * 2 - 1, scale_factor=4)
        return SimpleNamespace(sample=again.expand(-1, 3, -1, -1))


def test_a_preview_turns_latents_into_the_colours_they_stand_for():
    found = preview(Linear())
    scaled = (MIX @ torch.tensor([0.2, 0.5, 0.9]) + 3) * 0.5
    colour = scaled @ torch.tensor(found["weight"]) + torch.tensor(found["bias"])
    assert colour.tolist() == pytest.approx([0.2, 0.5, 0.9], abs=1e-3)


def test_psnr_is_that_of_a_known_error():
    class Darker(Linear):
        def encode(self, pictures):
            return SimpleNamespace(latent_dist=SimpleNamespace(mean=pictures))

        def decode(self, latents):
            return SimpleNamespace(sample=torch.where(latents > 0, latents - 0.2, latents + 0.2))

    assert psnr(Darker()) == pytest.approx(20, abs=1e-4)  # a tenth of the range everywhere


def test_a_step_lowers_the_loss_and_every_weight_learns(tmp_path):
    run = VaeRun(tmp_path, 8, 2, 2e-3)
    before = [parameter.detach().clone() for parameter in run.parameters]
    fixed = run.loss(100).item()
    for _ in range(8):
        run.update()
    assert run.loss(100).item() < fixed
    assert all(not torch.equal(old, new) for old, new in zip(before, run.parameters, strict=True))
