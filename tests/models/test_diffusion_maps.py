"""The words' maps are the weights that plain attention computes, of the prompt's half, per step and layer."""

import importlib.util
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor

from mmexplorer.models import diffusion_families as families
from mmexplorer.models.diffusion import Draws
from mmexplorer.presets import preset

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_pipelines.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

PRESET = replace(preset("toy-clip"), label="Tiny", tier="cpu", abilities=frozenset({"draws"}))
PROMPT = "a red circle, blue"
STEPS, WIDTH, HEIGHT = 2, 32, 48
GRIDS = {384: (24, 16), 96: (12, 8), 24: (6, 4)}


@pytest.fixture
def painter(request, tmp_path):
    pipe = tiny.BUILDERS[request.param]()
    pipe.set_progress_bar_config(disable=True)
    return Draws(pipe, PRESET, tmp_path)


def drawn(painter, guidance=5.0):
    settings = {"steps": STEPS, "guidance": guidance, "seed": 1, "width": WIDTH, "height": HEIGHT}
    settings |= {"scheduler": painter.schedulers[0], "negative_prompt": "blue"}
    return list(painter.draw(PROMPT, settings))[-1].drawing


def bare(painter, guidance=5.0):
    negative = {"negative_prompt": "blue"} if painter.takes_negative else {}
    painter.pipe(
        PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        width=WIDTH,
        height=HEIGHT,
        generator=torch.Generator().manual_seed(1),
        **negative,
        **families.FAMILIES[type(painter.pipe).__name__].arguments,
    )


def check(painter, drawing, weights):
    """weights are the conditional (positions, tokens) of every layer's every call, mean over heads, by layer label."""
    found = drawing.word_maps
    assert [word.text for word in drawing.words] == list(found.words) == ["a", "red", "circle", ",", "blue"]
    assert set(found.layers) == set(weights)
    for label, maps, count in zip(found.layers, found.maps, found.counts, strict=True):
        calls = torch.stack(weights[label])
        assert len(calls) == count * len(drawing.steps)
        per_step = calls.view(len(drawing.steps), count, *calls.shape[1:]).mean(dim=1)
        words = torch.stack([per_step[..., list(word.tokens)].sum(dim=-1) for word in drawing.words], dim=1)
        expected = words.unflatten(-1, GRIDS[words.shape[-1]]).numpy()
        assert maps.shape == expected.shape and maps.dtype == np.float16
        assert np.allclose(maps, expected, rtol=1e-3, atol=1e-5)  # float16 keeps three digits
        assert maps.std(axis=(2, 3)).max() > 1e-4  # not all flat


@pytest.mark.parametrize(
    ("painter", "guidance"),
    [("sd", 5.0), ("sd", 0.0), ("sdxl", 5.0), ("pixart", 5.0), ("pixart-alpha", 5.0), ("lcm", 5.0)],
    indirect=["painter"],
)
def test_maps_are_the_weights_of_plain_cross_attention(painter, guidance, monkeypatch):
    drawing = drawn(painter, guidance)
    network, weights = families.network(painter.pipe), defaultdict(list)
    names = {module: name for name, module in network.named_modules()}
    plain = Attention.get_attention_scores

    def keep(attention, query, key, mask=None):
        scores = plain(attention, query, key, mask)
        name = names[attention]
        if name.endswith("attn2"):
            conditional = scores.view(-1, attention.heads, *scores.shape[1:])[-1].mean(dim=0)
            grid = GRIDS[len(conditional)]
            block = name.split(".")
            label = f"{name.split('_')[0]} {grid[0]} x {grid[1]}"
            weights[f"block {int(block[1]) + 1}" if block[0] == "transformer_blocks" else label].append(conditional)
        return scores

    monkeypatch.setattr(Attention, "get_attention_scores", keep)
    network.set_attn_processor(AttnProcessor())
    bare(painter, guidance)
    check(painter, drawing, weights)


@pytest.mark.parametrize("painter", ["sd3"], indirect=True)
def test_maps_of_joint_attention_are_its_weights_on_the_text(painter, monkeypatch):
    drawing = drawn(painter)
    weights, calls = defaultdict(list), []
    fused = torch.nn.functional.scaled_dot_product_attention

    def keep(query, key, value, **options):
        if key.shape[2] == 96 + 16 + 256:  # picture, CLIP's and T5's tokens; others attend to one of them alone
            scores = (query[-1].double() @ key[-1].double().transpose(1, 2) * query.shape[-1] ** -0.5).softmax(dim=-1)
            weights[f"block {len(calls) % 3 + 1}"].append(scores.mean(dim=0)[:96, 96:].float())
            calls.append(key)
        return fused(query, key, value, **options)

    monkeypatch.setattr(diffusers.models.attention_processor.F, "scaled_dot_product_attention", keep)
    bare(painter)
    assert len(calls) == 3 * STEPS
    check(painter, drawing, weights)
    assert all(0.5 < outside < 1 for outside in drawing.word_maps.outside)


@pytest.mark.parametrize("painter", ["sd"], indirect=True)
def test_what_no_word_gets_is_known(painter):
    found = drawn(painter).word_maps
    for maps, outside in zip(found.maps, found.outside, strict=True):
        assert outside == pytest.approx(1 - maps.astype(float).sum(axis=1).mean(), abs=1e-6) and 0 < outside < 1


@pytest.mark.parametrize("painter", ["sd"], indirect=True)
def test_layers_come_in_the_networks_order(painter):
    found = drawn(painter).word_maps
    assert found.layers == ("down 24 x 16", "down 12 x 8", "mid 6 x 4", "up 12 x 8", "up 24 x 16")
    assert found.counts == (1, 1, 1, 2, 2)
