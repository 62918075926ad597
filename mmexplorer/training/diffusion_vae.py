"""Trains the toy Stable Diffusion's autoencoder, and measures what its latents need: their scale and a preview.

Latent diffusion's first stage (Rombach et al. 2022, arXiv 2112.10752), without its adversarial and perceptual losses:
flat shapes on plain backgrounds are sharp without them. Knows nothing of prompts.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn.functional import l1_loss, mse_loss

from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import rng_for
from mmexplorer.training.clip import pixels
from mmexplorer.training.diffusion_model import build_vae
from mmexplorer.training.diffusion_run import CHECKPOINT, Run

KL = 2e-4  # weight of the KL divergence per latent number
SQUARES = 4.0
EDGES = 0.25  # weight of differences between neighbouring pixels


class VaeRun(Run):
    """The autoencoder's training: a batch of new scenes at every step."""

    def __init__(self, folder: Path, steps: int, size: int, peak: float):
        torch.manual_seed(0)
        self.vae, self.size = build_vae(), size
        settings = {"stage": "vae", "steps": steps, "batch_size": size, "learning_rate": peak}
        super().__init__(folder, settings, {"vae": self.vae})
        self.restore()

    def loss(self, step: int) -> torch.Tensor:
        pictures = pixels(drawn("diffusion vae", step * self.size, self.size))
        generator = torch.Generator().manual_seed(step)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = self.vae.encode(pictures).latent_dist
            again = self.vae.decode(posterior.sample(generator)).sample.float()
        kl = posterior.kl().float().mean() / posterior.mean[0].numel()
        # Absolute errors make edges sharp; squares bring the colours, of which there are few pixels, at the start.
        errors = l1_loss(again, pictures) + SQUARES * mse_loss(again, pictures)
        return errors + EDGES * _edges(again, pictures) + KL * kl


def _edges(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return sum(l1_loss(a.diff(dim=axis), b.diff(dim=axis)) for axis in (-1, -2))


def drawn(split: str, first: int, count: int) -> np.ndarray:
    """Pictures (count, 64, 64, 3) uint8 of a split's scenes from a seed on."""
    return render([plain_scene(rng_for(split, seed)) for seed in range(first, first + count)])


@cache
def _held_out() -> torch.Tensor:
    return pixels(drawn("diffusion vae held out", 0, 128))


@torch.no_grad()
def load_vae(run: Path) -> AutoencoderKL:
    """The autoencoder of a run's checkpoint, its latents' scale fitted to unit variance."""
    vae = build_vae()
    vae.load_state_dict(torch.load(run / CHECKPOINT, weights_only=True)["modules"]["vae"])
    vae.eval().requires_grad_(False)
    latents = vae.encode(_held_out()).latent_dist.mean
    vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    return vae


@torch.no_grad()
def preview(vae: AutoencoderKL) -> dict:
    """Weights (4, 3) and bias (3,) that turn scaled latents into RGB in 0..1, by least squares over held-out scenes."""
    pictures = _held_out()
    latents = vae.encode(pictures).latent_dist.mean * vae.config.scaling_factor
    colours = torch.nn.functional.avg_pool2d(pictures / 2 + 0.5, pictures.shape[-1] // latents.shape[-1])
    rows, targets = (values.movedim(1, -1).flatten(0, 2).double() for values in (latents, colours))
    rows = torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
    solution = torch.linalg.lstsq(rows, targets).solution
    return {"weight": solution[:-1].tolist(), "bias": solution[-1].tolist()}


@torch.no_grad()
def psnr(vae: AutoencoderKL) -> float:
    """Mean peak signal-to-noise ratio of held-out pictures after encoding and decoding, in decibels."""
    pictures = _held_out()
    again = vae.decode(vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
    errors = ((again - pictures) / 2).square().flatten(1).mean(1)
    return float(np.mean([-10 * math.log10(error) for error in errors.tolist()]))
