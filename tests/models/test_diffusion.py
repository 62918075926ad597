"""Pipelines load as the Hub lays them out, and damaged, incomplete and other ones are refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmexplorer.checkpoint_files import PIPELINE
from mmexplorer.errors import Refusal
from mmexplorer.models.diffusion import load
from mmexplorer.placement import CPU
from mmexplorer.presets import preset

PRESET = replace(preset("toy-clip"), label="Tiny", tier="cpu", abilities=frozenset({"draws"}))
PROMPT = "a red circle"


def drawn(painter):
    settings = {"steps": 2, "guidance": 5.0, "seed": 3, "width": 32, "height": 32, "negative_prompt": ""}
    return list(painter.draw(PROMPT, settings | {"scheduler": painter.schedulers[0]}))[-1].drawing


@pytest.fixture
def copied(pipeline_folder, tmp_path):
    return shutil.copytree(pipeline_folder("sd"), tmp_path / "copy")


def test_facts_of_a_pipeline(painters, pipeline_folder):
    sd = painters("sd")
    assert sd.schedulers[0] == "pndm" and sd.size == (32, 32) and sd.size_step == 8 and sd.size_range == (16, 64)
    assert sd.steps == 50 and sd.guidance == 7.5 and not sd.unguided and sd.takes_negative
    assert painters("turbo").steps == 4 and painters("turbo").guidance == 0
    assert painters("pixart").steps_range[0] == 2 and painters("lcm").steps_range == (1, 50)
    assert not painters("lcm").takes_negative
    toy = load(replace(PRESET, tier="toy"), pipeline_folder("sd"), CPU)
    assert (toy.steps, toy.guidance) == (20, 4.0)
    models = (sd.pipe.unet, sd.pipe.vae, sd.pipe.text_encoder)
    weights = sum(parameter.numel() for model in models for parameter in model.parameters())
    assert 4 * weights <= sd.memory_bytes < 4 * weights + 1000


def test_a_folder_as_the_hub_lays_it_out(pipeline_folder, copied):
    """As Stable Diffusion 1.5: files of older libraries, and parts that are named but were not fetched."""
    tokenizer = json.loads((copied / "tokenizer" / "tokenizer.json").read_text())["model"]
    (copied / "tokenizer" / "tokenizer.json").unlink()
    (copied / "tokenizer" / "vocab.json").write_text(json.dumps(tokenizer["vocab"]))
    merges = "\n".join(["#version: 0.2", *map(" ".join, tokenizer["merges"])])
    (copied / "tokenizer" / "merges.txt").write_text(merges)
    text, autoencoder = copied / "text_encoder" / "model.safetensors", copied / "vae"
    weights = {f"text_model.{name}": tensor for name, tensor in load_file(text).items()}
    save_file(weights | {"text_model.embeddings.position_ids": torch.arange(16)[None]}, text, {"format": "pt"})
    [file] = autoencoder.glob("*.safetensors")
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = {}
    for name, tensor in load_file(file).items():
        for new, other in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{other}.")
        weights[name] = tensor
    assert any("query" in name for name in weights)
    save_file(weights, file, {"format": "pt"})
    named = {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
        "requires_safety_checker": True,
    }
    index = copied / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | named))
    files = {file for pattern in PIPELINE.patterns for file in copied.glob(pattern)}
    assert files == {file for file in copied.rglob("*") if file.is_file()} and PIPELINE.damage(copied) == ""
    drawing, expected = drawn(load(PRESET, copied, CPU)), drawn(load(PRESET, pipeline_folder("sd"), CPU))
    assert np.array_equal(np.asarray(drawing.image), np.asarray(expected.image))
    assert drawing.words == expected.words and drawing.words[2].tokens == (3, 4)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("fault", ["missing", "shape", "cut", "gone"])
def test_damaged_weights_are_refused(copied, part, fault):
    [file] = (copied / part).glob("*.safetensors")
    weights = load_file(file)
    name = list(weights)[3]
    if fault == "missing":
        save_file({key: value for key, value in weights.items() if key != name}, file, {"format": "pt"})
    elif fault == "shape":
        save_file(weights | {name: torch.zeros(3, 3)}, file, {"format": "pt"})
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        file.unlink()
    said = (
        "The weights of Tiny are incomplete" if fault == "missing" else "Tiny cannot be loaded, its files are damaged"
    )
    with pytest.raises(Refusal, match=said):
        load(PRESET, copied, CPU)


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_numbers_that_are_not_finite_are_refused(copied, part):
    [file] = (copied / part).glob("*.safetensors")
    weights = load_file(file)
    for name in weights:
        if name.endswith("conv_out.weight") and "encoder" not in name:
            weights[name] *= float("nan")
    save_file(weights, file, {"format": "pt"})
    painter = load(PRESET, copied, CPU)
    with pytest.raises(Refusal, match="numbers that are not finite"):
        drawn(painter)


@pytest.mark.parametrize("kind", ["StableDiffusionInpaintPipeline", ["custom", "Pipeline"], None, 3])
def test_other_pipelines_are_refused(copied, kind):
    file = copied / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_class_name": kind}))
    with pytest.raises(Refusal, match=r"Tiny is a checkpoint of type .+, not a text-to-image pipeline"):
        load(PRESET, copied, CPU)


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(Refusal, match="Tiny cannot be loaded, its files are damaged"):
        load(PRESET, tmp_path, CPU)


def test_pickled_weights_are_not_read(copied):
    [file] = (copied / "unet").glob("*.safetensors")
    torch.save(load_file(file), copied / "unet" / "diffusion_pytorch_model.bin")
    file.unlink()
    with pytest.raises(Refusal):
        load(PRESET, copied, CPU)
