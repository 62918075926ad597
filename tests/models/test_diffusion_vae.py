"""Decoded latents are the pipelines' own pictures; the linear map finds the colours of a linear autoencoder."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmexplorer.errors import Refusal
from mmexplorer.models.diffusion_vae import LatentDecoder

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_pipelines.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

MIX = torch.tensor([[0.5, 1.0, -0.5], [1.5, -1.0, 0.5], [-0.5, 0.5, 2.0], [1.0, 1.0, 1.0]])
OFFSET = torch.tensor([0.3, -0.2, 0.1, 0.0])


class LinearVae(torch.nn.Module):
    """Encodes each 2 x 2 pixels' mean colour by a fixed mixture; its scaled latents are 0.25 of that, less 0.1."""

    dtype, device = torch.float32, torch.device("cpu")

    class config(SimpleNamespace):
        block_out_channels, scaling_factor, shift_factor = (1, 1), 0.25, 0.4

        @classmethod
        def get(cls, key):
            return getattr(cls, key, None)

    def encode(self, pixels):
        means = torch.nn.functional.avg_pool2d(pixels, 2)
        latents = torch.einsum("bchw,dc->bdhw", means, MIX) + OFFSET.view(1, -1, 1, 1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=latents))


def scaled(colour):
    """The latent (4, 1, 1) that LinearVae's network would see for a colour in 0..1."""
    return (((torch.tensor(colour) * 2 - 1) @ MIX.T + OFFSET - 0.4) * 0.25).view(4, 1, 1)


@pytest.mark.parametrize("colour", [(1.0, 0.0, 0.0), (0.2, 0.6, 0.4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)])
def test_the_fitted_map_finds_the_colours(tmp_path, colour):
    decoder = LatentDecoder(LinearVae(), None, tmp_path)
    pixel = decoder.preview(scaled(colour)).getpixel((0, 0))
    assert pixel == tuple(round(255 * part) for part in colour)


def test_the_models_own_map_is_taken(tmp_path):
    weight = [[1, 0, 0], [0, 0.5, 0], [0, 0, 1], [0, 0, 0]]
    (tmp_path / "latent_rgb.json").write_text(json.dumps({"weight": weight, "bias": [0.0, 0.2, 0.4]}))
    latent = torch.zeros(4, 2, 3)
    latent[:, 0, 1] = torch.tensor([0.2, 0.4, 5.0, 9.0])
    preview = LatentDecoder(LinearVae(), None, tmp_path).preview(latent)
    assert preview.size == (3, 2)
    assert preview.getpixel((0, 0)) == (0, 51, 102) and preview.getpixel((1, 0)) == (51, 102, 255)


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3"])  # without more, with mean and deviation, and with a shift
def test_decoded_latents_are_the_pipelines_pictures(name, tmp_path):
    pipe = tiny.BUILDERS[name]()
    pipe.set_progress_bar_config(disable=True)
    settings = {"num_inference_steps": 2, "width": 32, "height": 48}

    def draw(**output):
        return pipe("a red circle", generator=torch.Generator().manual_seed(0), **settings, **output).images

    [image], latents = draw(), draw(output_type="latent")
    decoder = LatentDecoder(pipe.vae, pipe.image_processor, tmp_path)
    [decoded] = decoder.pictures(latents.numpy())
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(image)).max() <= 1
    assert np.asarray(image).std() > 10


def test_pictures_decoded_together_are_those_decoded_alone(tmp_path):
    pipe = tiny.build_sd()
    decoder = LatentDecoder(pipe.vae, pipe.image_processor, tmp_path)
    latents = np.random.default_rng(0).normal(size=(3, 4, 16, 16)).astype(np.float16)
    for one, together in zip(latents, decoder.pictures(latents), strict=True):
        [alone] = decoder.pictures([one])
        assert np.abs(np.asarray(alone).astype(int) - np.asarray(together)).max() <= 1


def test_an_autoencoder_that_overflows_decodes_in_float32_and_goes_back(tmp_path):
    pipe = tiny.build_sdxl()
    pipe.vae.half()
    decoder = LatentDecoder(pipe.vae, pipe.image_processor, tmp_path)
    seen = []
    pipe.vae.decoder.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    decoder.pictures(np.zeros((1, 4, 8, 8), np.float16))
    assert seen == [torch.float32] and pipe.vae.dtype == torch.float16
    with pytest.raises(KeyError), decoder.guarded(64, 64):
        pipe.vae.float()  # as an interrupted pipeline leaves it
        raise KeyError
    assert pipe.vae.dtype == torch.float16


def test_pixels_that_are_not_finite_are_refused(tmp_path):
    pipe = tiny.build_sd()
    decoder = LatentDecoder(pipe.vae, pipe.image_processor, tmp_path)
    with pytest.raises(Refusal, match="numbers that are not finite"):
        decoder.pictures(np.full((1, 4, 8, 8), np.nan, np.float16))
    assert not pipe.vae.decoder._forward_hooks
