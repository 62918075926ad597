"""Files of latents: the autoencoder's own, with the tokens of true prompts, and written only where they are missing."""

import pytest
import torch

from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import rng_for
from mmexplorer.training.clip import pixels
from mmexplorer.training.clip_naming import patch_names
from mmexplorer.training.diffusion_data import prompts, scene
from mmexplorer.training.diffusion_latents import CAPTIONS, load, prepare
from mmexplorer.training.diffusion_model import LENGTH, build_tokenizer
from mmexplorer.training.diffusion_vae import VaeRun, load_vae


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    VaeRun(folder / "vae", 1, 2, 1e-3).save()
    prepare(folder / "vae", folder / "latents", 9, 1, part=4)
    return folder


def test_latents_are_those_of_the_scenes_and_ids_those_of_their_prompts(folders):
    data = load(folders / "latents", 9)
    vae, tokenizer = load_vae(folders / "vae"), build_tokenizer()
    scenes = [scene(seed) for seed in range(9)]
    expected = vae.encode(pixels(render(scenes))).latent_dist.mean * vae.config.scaling_factor
    torch.testing.assert_close(data.latents.float(), expected, atol=0.1, rtol=0)  # bf16
    assert data.names.tolist() == patch_names(scenes).transpose(1, 0, 2).tolist()
    assert data.ids.shape == (9, CAPTIONS, LENGTH)
    for seed in range(9):
        said = [tokenizer.decode(ids, skip_special_tokens=True) for ids in data.ids[seed]]
        written = prompts(scenes[seed], rng_for("diffusion prompts", seed), CAPTIONS)
        assert said == [tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) for text in written]
        assert "[UNK]" not in " ".join(tokenizer.decode(ids) for ids in data.ids[seed])


def test_only_missing_files_are_written_and_come_out_the_same(folders):
    paths = sorted((folders / "latents").glob("*.npz"))
    assert len(paths) == 3
    before = load(folders / "latents", 9)
    kept = paths[0].stat().st_mtime_ns
    paths[1].unlink()
    prepare(folders / "vae", folders / "latents", 9, 1, part=4)
    after = load(folders / "latents", 9)
    assert paths[0].stat().st_mtime_ns == kept
    assert torch.equal(before.latents, after.latents) and torch.equal(before.ids, after.ids)
