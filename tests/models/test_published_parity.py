"""Checkpoints laid out as the Hub has them (older names of weights, shards) answer as the library's
own pipelines do with the same files.
"""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, pipeline

from mmexplorer.models import clip, diffusion, llava
from mmexplorer.placement import CPU
from mmexplorer.presets import preset

PRESET = replace(preset("toy-clip"), label="Tiny", tier="cpu", abilities=frozenset({"draws"}))
QUESTION = "is there a red circle ?"
TOKENS = 12
# What weights are called in files that were published before the libraries renamed them.
TOWER = ("vision_tower.", "vision_tower.vision_model.")
ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(params=["llava", "llava_next", "onevision"])
def llava_like(request, tmp_path):
    return shutil.copytree(request.getfixturevalue(f"{request.param}_folder"), tmp_path / "copy")


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8))


def renamed(file, rename) -> int:
    """Writes the weights of a file under other names; how many names are others now."""
    weights = load_file(file)
    others = {rename(name): weight.contiguous() for name, weight in weights.items()}
    assert len(others) == len(weights)
    save_file(others, file, metadata={"format": "pt"})
    return len(set(others) - set(weights))


def sharded(folder) -> None:
    """Cuts a folder's weights into two files and an index."""
    weights = load_file(folder / "model.safetensors")
    places = {}
    for number, names in enumerate((sorted(weights)[::2], sorted(weights)[1::2]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: weights[name] for name in names}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "model.safetensors").unlink()


def said(folder, picture, **settings) -> list[int]:
    chat = llava.load(PRESET, folder, CPU)
    generation = chat.generate(chat.prompt([("user", QUESTION, [picture])]), max_new_tokens=TOKENS, **settings)
    list(generation)
    return generation.ids


@pytest.mark.parametrize("family", ["llava", "llava_next"])
def test_answers_are_those_of_the_transformers_pipeline(family, request, picture):
    folder = request.getfixturevalue(f"{family}_folder")
    chat = llava.load(PRESET, folder, CPU)
    library = pipeline("image-text-to-text", model=str(folder), dtype=torch.float32)
    parts = [{"type": "image", "image": picture}, {"type": "text", "text": QUESTION}]
    [theirs] = library(
        text=[{"role": "user", "content": parts}],
        return_full_text=False,
        generate_kwargs={"do_sample": False, "max_new_tokens": TOKENS, "suppress_tokens": sorted(chat.never_ids)},
    )
    ours = chat.decode(said(folder, picture))
    # The pipeline leaves a blank before punctuation.
    assert "".join(ours.split()) == "".join(theirs["generated_text"].split()) != ""


def test_answers_are_those_of_a_model_that_the_library_loads(llava_like, picture):
    chat = llava.load(PRESET, llava_like, CPU)
    prompt = chat.prompt([("user", QUESTION, [picture])])
    bare = AutoModelForImageTextToText.from_pretrained(llava_like, dtype=torch.float32).eval()
    output = bare.generate(
        input_ids=prompt.input_ids,
        attention_mask=torch.ones_like(prompt.input_ids),
        **prompt.images,
        max_new_tokens=TOKENS,
        do_sample=False,
        suppress_tokens=sorted(chat.never_ids),
    )
    assert said(llava_like, picture) == output[0, len(prompt) :].tolist()


def test_a_llava_with_the_names_and_shards_of_the_hub_says_the_same(llava_like, picture):
    before = said(llava_like, picture)
    assert renamed(llava_like / "model.safetensors", lambda name: name.replace(*TOWER)) > 10
    sharded(llava_like)
    assert said(llava_like, picture) == before


def test_a_clip_with_the_names_of_the_hub_has_the_same_embeddings(clip_folder, tmp_path, picture):
    folder = shutil.copytree(clip_folder, tmp_path / "copy")
    file = folder / "model.safetensors"
    weights = load_file(file)
    for tower in ("text_model", "vision_model"):  # saved before they were computed
        count = len(weights[f"{tower}.embeddings.position_embedding.weight"])
        weights[f"{tower}.embeddings.position_ids"] = torch.arange(count)[None]
    save_file(weights, file, metadata={"format": "pt"})
    sharded(folder)
    ours, expected = clip.load(PRESET, folder, CPU), clip.load(PRESET, clip_folder, CPU)
    # Not to the last bit: where in a file weights lie decides how sums of them are split up.
    np.testing.assert_allclose(ours.embed_images([picture]), expected.embed_images([picture]), atol=1e-6)
    np.testing.assert_allclose(ours.embed_texts([QUESTION]), expected.embed_texts([QUESTION]), atol=1e-6)


def test_a_pipeline_with_the_names_of_the_hub_draws_the_same(pipeline_folder, tmp_path):
    folder = shutil.copytree(pipeline_folder("sd"), tmp_path / "copy")

    def older(name: str) -> str:
        if ".attentions." in name:
            for new, old in ATTENTION.items():
                name = name.replace(f".{new}.", f".{old}.")
        return name

    def prefixed(name: str) -> str:
        return f"text_model.{name.removeprefix('text_model.')}"

    assert renamed(folder / "vae" / "diffusion_pytorch_model.safetensors", older) == 16
    renamed(folder / "text_encoder" / "model.safetensors", prefixed)
    settings = {"steps": 2, "guidance": 5.0, "seed": 3, "width": 32, "height": 32, "negative_prompt": ""}
    pictures = []
    for place in (pipeline_folder("sd"), folder):
        painter = diffusion.load(PRESET, place, CPU)
        *_, last = painter.draw("a red circle", settings | {"scheduler": painter.schedulers[0]}, maps=False)
        pictures.append(np.asarray(last.drawing.image))
    assert pictures[0].std() > 10
    np.testing.assert_array_equal(*pictures)
