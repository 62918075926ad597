"""Memory that runs out in the middle of anything leaves nothing behind: the same asked again has the same answer."""

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmexplorer.models import clip, diffusion, llava, llava_causal, llava_probes
from mmexplorer.models.diffusion_batch import Batch, Wish, draw_batch
from mmexplorer.models.llava_answers import Answered
from mmexplorer.placement import CPU, OFFLOAD, Placement
from mmexplorer.presets import preset
from mmexplorer.replies import Turn

PRESET = replace(preset("toy-clip"), label="Tiny", tier="cpu", abilities=frozenset({"draws"}))
LAYOUTS = {
    "whole": CPU,
    "offloaded": Placement("cpu", spread=OFFLOAD, max_memory={"cpu": 150_000}),
    "sixteen bits": Placement("cpu", 16),
}


@pytest.fixture(params=LAYOUTS)
def placement(request):
    return LAYOUTS[request.param]


@contextmanager
def memory_for(module, passes):
    """Within it, memory runs out in the pass through a module that follows so many others."""
    passed = 0

    def fail(*_):
        nonlocal passed
        passed += 1
        if passed > passes:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = module.register_forward_hook(fail)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            yield
    finally:
        hook.remove()


def traces(model):
    """What a failed pass might leave on a model: hooks, and the way in which attention is computed."""
    configs = [module.config for module in model.modules() if hasattr(module, "config")]
    ways = [getattr(config, "_attn_implementation", "") for config in configs]
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    return ways, hooks


# Text-to-image


def drawn(painter, **changes):
    settings = {"steps": 4, "guidance": 5.0, "seed": 3, "width": 32, "height": 32, "negative_prompt": ""}
    settings |= {"scheduler": painter.schedulers[0]}
    return list(painter.draw("a red circle", settings | changes))[-1].drawing


def batched(painter):
    wishes = Wish("a red circle", 1, 5.0), Wish("a blue circle", 2, 5.0)
    batch = Batch(wishes, "", 4, painter.schedulers[0], 32, 32)
    *_, last = draw_batch(painter, batch, {}, threading.Event())
    return last.pictures


@pytest.mark.parametrize("name", ["sd", "sd3"])
def test_a_drawing(name, pipeline_folder, placement):
    painter = diffusion.load(PRESET, pipeline_folder(name), placement)
    network = painter.pipe.unet if name == "sd" else painter.pipe.transformer
    last = network.conv_out if name == "sd" else network.proj_out
    fresh = drawn(painter)  # transformers leaves hooks of its own on what has once kept its hidden states
    before = [traces(model) for model in (network, painter.pipe.vae, painter.pipe.text_encoder)]
    own = dict(painter.pipe.scheduler.__dict__)
    for module, passes in ((last, 2), (painter.pipe.vae.decoder.conv_out, 0), (painter.pipe.text_encoder, 0)):
        for work in (drawn, batched):
            with memory_for(module, passes):
                work(painter)
        assert [traces(model) for model in (network, painter.pipe.vae, painter.pipe.text_encoder)] == before
        assert painter.pipe.scheduler.__dict__ == own
        again = drawn(painter)
        assert np.array_equal(np.asarray(again.image), np.asarray(fresh.image))
        pairs = zip(again.word_maps.maps, fresh.word_maps.maps, strict=True)
        assert all(np.array_equal(*pair) for pair in pairs) and len(again.steps) == len(fresh.steps)


# Chat


@pytest.fixture
def turns(pictures):
    return [Turn("user", "is there a red circle ?", (pictures[3],))]


@pytest.fixture
def chat(llava_next_folder, placement):
    return llava.load(PRESET, llava_next_folder, placement)


def written(chat, turns):
    prompt = chat.prompt(turns)
    generation = chat.generate(prompt, max_new_tokens=5, forced={i: 20 + i for i in range(5)})
    choices = list(generation)
    return Answered.of(prompt, generation), [choice.probability for choice in choices]


PROBES = {
    "attention": lambda chat, said, turns: llava.llava_answers.attention(chat, said, turns[0].pictures).mean,
    "gradient": lambda chat, said, turns: llava_probes.gradient_rows(chat, said, [len(said.prompt) + 1]),
    "head": lambda chat, said, turns: llava_probes.head_rows(chat, said, 2, 1),
    "lens": lambda chat, said, turns: llava_probes.lens(chat, said.prompt, np.array([3, 4]))[1],
    "cause": lambda chat, said, turns: cause(chat, said),
}


def cause(chat, said):
    with llava_causal.hidden(chat.model, np.array([3, 4])):
        return llava_causal.log_probability(chat, said.prompt, said.ids, [1, 2])


@pytest.mark.parametrize("passes", [0, 2])  # while the prompt is read, and in the middle of the answer
def test_an_answer(chat, turns, passes):
    said, probabilities = written(chat, turns)
    before = traces(chat.model)
    prompt = chat.prompt(turns)
    generation = chat.generate(prompt, max_new_tokens=5, forced={i: 20 + i for i in range(5)})
    with memory_for(chat.model.model.language_model.layers[1].mlp, passes):
        list(generation)
    # The keys of layer 0 are longer than those of the others: nobody may use them.
    assert generation.cache is None and list(generation) == [] and chat.keep(prompt, generation) == ""
    assert traces(chat.model) == before and written(chat, turns)[1] == probabilities
    assert written(chat, turns)[0].ids == said.ids


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe(chat, turns, probe):
    said, probabilities = written(chat, turns)
    expected, before = PROBES[probe](chat, said, turns), traces(chat.model)
    with memory_for(chat.model.model.language_model.layers[1].mlp, 0):
        PROBES[probe](chat, said, turns)
    assert traces(chat.model) == before
    assert np.array_equal(PROBES[probe](chat, said, turns), expected)
    assert written(chat, turns)[1] == probabilities


def test_the_look_of_the_eye(chat, turns):
    prompt = chat.prompt(turns)
    expected, before = llava_probes.vision_rows(chat, prompt, 0)[1], traces(chat.model)
    with memory_for(chat.model.model.vision_tower.encoder.layers[1].mlp, 0):
        llava_probes.vision_rows(chat, prompt, 0)
    assert traces(chat.model) == before
    assert np.array_equal(llava_probes.vision_rows(chat, prompt, 0)[1], expected)


# Embeddings


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_embeddings(family, request, pictures):
    folder: Path = request.getfixturevalue(f"{family}_folder")
    model, fresh = (clip.load(PRESET, folder, CPU) for _ in range(2))
    looked = model.look_inside(pictures[0]).embedding
    before = traces(model.model)
    vision, text = (getattr(model.model, f"{part}_model").encoder.layers[1] for part in ("vision", "text"))
    for module, work in (
        (vision, lambda: model.embed_images(pictures)),
        (vision, lambda: model.look_inside(pictures[0])),
        (vision, lambda: model.patch_embeddings(pictures[0])),
        (text, lambda: model.embed_texts(["a red circle", "a square"])),
    ):
        with memory_for(module, 0):
            work()
        assert traces(model.model) == before
    texts = ["a red circle", "a square", "two"]
    assert np.array_equal(model.embed_images(pictures), fresh.embed_images(pictures))
    assert np.array_equal(model.embed_texts(texts), fresh.embed_texts(texts))
    assert torch.equal(model.look_inside(pictures[0]).embedding, looked)
