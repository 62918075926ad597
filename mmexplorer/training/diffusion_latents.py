"""Scenes as latents with the tokens of their prompts, drawn and encoded once and kept in files.

Encoding a picture costs a tenth of what learning from it does, and the same latent serves many times under new noise
and other words. Each file comes from its own seeds, so that an interrupted run writes only those that are missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import rng_for
from mmexplorer.training.clip import pixels
from mmexplorer.training.clip_naming import patch_names
from mmexplorer.training.diffusion_data import SPLIT, prompts, scene
from mmexplorer.training.diffusion_model import LENGTH, build_tokenizer
from mmexplorer.training.diffusion_vae import load_vae

PART = 2000  # scenes of a file
CAPTIONS = 6  # prompts of a scene
BATCH = 50


@dataclass(frozen=True)
class Latents:
    """n scenes: latents (n, 4, 16, 16) float16 of unit variance, and ids (n, CAPTIONS, LENGTH) uint8 of prompts.

    names (n, 2, 64) uint8 are the shape and colour in each of 8 x 8 patches (see `clip_naming`).
    """

    latents: torch.Tensor
    ids: torch.Tensor
    names: torch.Tensor


def prompt_ids(tokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Token ids (n, LENGTH) as StableDiffusionPipeline makes them of n prompts."""
    return tokenizer(
        list(texts), padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    ).input_ids


def prepare(vae_run: Path, folder: Path, count: int, processes: int, part: int = PART) -> None:
    """Writes the files of the first `count` scenes that are missing, with so many processes of one thread each."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in range(-(-count // part)) if not _path(folder, number).exists()]
    with get_context("spawn").Pool(processes, initializer=_begin, initargs=(vae_run,)) as pool:
        for done, number in enumerate(pool.imap_unordered(partial(_write, folder, part), missing), 1):
            print(f"file {number} written, {done} of {len(missing)}", flush=True)


def load(folder: Path, count: int) -> Latents:
    """The first `count` scenes; SystemExit if fewer are there."""
    parts, found = [], 0
    while found < count:
        path = _path(folder, len(parts))
        if not path.exists():
            raise SystemExit(f"{folder} holds {found} of the {count} scenes asked for; run --stage latents first.")
        with np.load(path) as arrays:
            parts.append([arrays[name] for name in ("latents", "ids", "names")])
        found += len(parts[-1][0])
    return Latents(*(torch.from_numpy(np.concatenate(arrays)[:count]) for arrays in zip(*parts, strict=True)))


def _path(folder: Path, number: int) -> Path:
    return folder / f"scenes-{number:04d}.npz"


def _begin(vae_run: Path) -> None:
    global _vae, _tokenizer  # one of each for a process
    torch.set_num_threads(1)
    _vae, _tokenizer = load_vae(vae_run), build_tokenizer()


@torch.inference_mode()
def _write(folder: Path, part: int, number: int) -> int:
    seeds = range(number * part, (number + 1) * part)
    latents, ids, names = [], [], []
    for first in range(0, part, BATCH):
        here = seeds[first : first + BATCH]
        scenes = [scene(seed) for seed in here]
        with torch.autocast("cpu", torch.bfloat16):
            encoded = _vae.encode(pixels(render(scenes))).latent_dist.mean
        latents.append((encoded.float() * _vae.config.scaling_factor).half().numpy())
        texts = [
            t
            for seed, s in zip(here, scenes, strict=True)
            for t in prompts(s, rng_for(f"{SPLIT} prompts", seed), CAPTIONS)
        ]
        ids.append(prompt_ids(_tokenizer, texts).view(-1, CAPTIONS, LENGTH).to(torch.uint8).numpy())
        names.append(patch_names(scenes).transpose(1, 0, 2).astype(np.uint8))
    fresh = _path(folder, number).with_suffix(".new.npz")
    np.savez(fresh, latents=np.concatenate(latents), ids=np.concatenate(ids), names=np.concatenate(names))
    fresh.replace(_path(folder, number))
    return number
