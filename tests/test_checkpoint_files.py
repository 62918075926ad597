"""Which files make a checkpoint, and what is said of a folder where they are not whole."""

import json
from fnmatch import fnmatch

import numpy as np
import pytest
from safetensors.numpy import save_file

from mmexplorer.checkpoint_files import MODEL, PIPELINE, layout

INDEX = {
    "_class_name": "StableDiffusion3Pipeline",
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
    "text_encoder_3": [None, None],
    "transformer": ["diffusers", "SD3Transformer2DModel"],
    "safety_checker": ["a", "b"],
    "image_encoder": None,
}
WEIGHTS = ("text_encoder/model.safetensors", "transformer/diffusion_pytorch_model-00001-of-00001.safetensors")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps(INDEX))
    for name in WEIGHTS:
        (tmp_path / name).parent.mkdir()
        save_file({"weight": np.zeros(4, np.float32)}, tmp_path / name)
    return tmp_path


def test_a_pipeline_is_whole_without_what_it_does_without(folder):
    assert layout("diffusion") is PIPELINE and layout("clip") is layout("llava") is MODEL
    assert PIPELINE.found(folder) and PIPELINE.damage(folder) == ""
    assert PIPELINE.says(folder) == "StableDiffusion3Pipeline"


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_part_that_is_missing_or_damaged_is_named(folder, name):
    file = folder / name
    file.write_bytes(file.read_bytes()[:-1])
    assert PIPELINE.damage(folder) == f"{name} is cut short or not a safetensors file"
    file.unlink()
    assert PIPELINE.damage(folder) == f"{file.parent.name} is missing"


@pytest.mark.parametrize("text", ["", "<html>", "[]", "[[1, 2]]", "7", "null", '"model"'])
def test_an_index_that_is_none(folder, text):
    (folder / "model_index.json").write_text(text)
    assert PIPELINE.damage(folder) == "model_index.json cannot be read"


@pytest.mark.parametrize("value", [3, "x", True, {"a": 1}])
def test_a_strange_entry_of_the_index_is_a_missing_part(folder, value):
    (folder / "model_index.json").write_text(json.dumps(INDEX | {"vae": value}))
    assert PIPELINE.damage(folder) == "vae is missing"


@pytest.mark.parametrize(
    ("name", "fetched"),
    [
        ("tokenizer/vocab.json", True),
        ("tokenizer_3/spiece.model", True),
        ("text_encoder/model-00001-of-00002.safetensors", True),
        ("text_encoder/model.safetensors.index.json", True),
        ("text_encoder/model.fp16-00001-of-00002.safetensors", False),
        ("text_encoder/model-00001-of-00002.fp16.safetensors", False),
        ("text_encoder/model.safetensors.index.fp16.json", False),
        ("unet/diffusion_pytorch_model.non_ema.safetensors", False),
        ("unet/diffusion_pytorch_model.bin", False),
        ("safety_checker/model.safetensors", False),
        ("feature_extractor/preprocessor_config.json", False),
        ("vae_1_0/diffusion_pytorch_model.safetensors", False),
        ("sd_xl_base_1.0.safetensors", False),
    ],
)
def test_what_is_fetched_of_a_pipeline(name, fetched):
    assert any(fnmatch(name, pattern) for pattern in PIPELINE.patterns) == fetched


@pytest.mark.parametrize(
    ("name", "fetched"),
    [
        ("model.safetensors", True),
        ("model-00002-of-00003.safetensors", True),
        ("model.safetensors.index.json", True),
        ("model.fp16.safetensors", False),
        ("model.fp16-00001-of-00002.safetensors", False),
        ("open_clip_model.safetensors", False),
        ("pytorch_model.bin", False),
        ("modeling.py", False),
    ],
)
def test_what_is_fetched_of_a_model(name, fetched):
    assert any(fnmatch(name, pattern) for pattern in MODEL.patterns) == fetched


@pytest.fixture
def shards(tmp_path):
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict(zip("ab", names, strict=True))})
    )
    for name in names:
        save_file({"weight": np.zeros(4, np.float32)}, tmp_path / name)
    return tmp_path


def test_a_part_of_the_weights_that_is_missing_is_named(shards):
    assert MODEL.damage(shards) == "" and MODEL.says(shards) == "llava"
    (shards / "model-00002-of-00002.safetensors").unlink()
    assert MODEL.damage(shards) == "model-00002-of-00002.safetensors is missing"
    save_file({"weight": np.zeros(4, np.float32)}, shards / "model.safetensors")  # whole, so it is the one that is read
    assert MODEL.damage(shards) == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"weight_map": []}'])
def test_a_list_of_weights_that_is_none(shards, text):
    (shards / "model.safetensors.index.json").write_text(text)
    assert MODEL.damage(shards) == "the list of its weights cannot be read"
