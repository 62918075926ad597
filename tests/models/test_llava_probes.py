"""Every probe equals what plain (eager) attention and the library's own hidden states give on the same conversation."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmexplorer.models import llava_answers
from mmexplorer.models import llava_probes as probes
from mmexplorer.models.llava import load
from mmexplorer.models.llava_answers import Answered
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.replies import Turn

PRESET = replace(preset("toy-llava"), label="Tiny")
FAMILIES = ("llava", "llava_next", "onevision")


@pytest.fixture(scope="module", params=FAMILIES)
def said(request, pictures):
    """An answer in a conversation of three pictures and two questions, and the same model with eager attention."""
    chat = load(PRESET, request.getfixturevalue(f"{request.param}_folder"), CPU)
    turns = [
        Turn("user", "is there a picture ?", pictures[1:3]),
        Turn("assistant", "yes, red."),
        Turn("user", "is the circle left of the square ?", pictures[3:4]),
    ]
    prompt = chat.prompt(turns)
    generation = chat.generate(prompt, max_new_tokens=6, forced={i: 20 + i for i in range(6)})
    list(generation)
    answered = Answered(prompt, tuple(generation.ids), generation.cache, generation.sequence)
    eager = copy.deepcopy(chat.model).requires_grad_()
    eager.set_attn_implementation("eager")
    return SimpleNamespace(chat=chat, turns=turns, answered=answered, pictures=pictures[1:4], eager=eager)


def plain(said, ids, images, **more):
    return said.eager(input_ids=ids, **images, attention_mask=torch.ones_like(ids), **more)


def image_columns(said):
    is_image = said.answered.prompt.input_ids[0] == said.chat.model.config.image_token_id
    return is_image.nonzero()[:, 0].numpy()


def test_single_heads_make_up_the_means_and_maxima_of_the_answers_attention(said):
    attention = llava_answers.attention(said.chat, said.answered, said.pictures)
    layers, heads, rows, _ = attention.shares.shape
    found = np.array([[probes.head_rows(said.chat, said.answered, i, j) for j in range(heads)] for i in range(layers)])
    assert found.shape == (layers, heads, rows, len(image_columns(said)))
    np.testing.assert_allclose(found.mean(axis=1), attention.mean, atol=1e-3)
    np.testing.assert_allclose(found.max(axis=1), attention.max, atol=1e-3)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 0.01


def test_gradients_of_two_tokens_equal_those_of_the_whole_graph(said):
    answered, tokens = said.answered, (len(said.answered.prompt) + 1, len(said.answered.prompt) + 3)
    expected = 0
    for token in tokens:
        output = plain(said, answered.sequence[None, :token], answered.prompt.images, output_attentions=True)
        value = output.logits[0, -1].float().log_softmax(dim=-1)[answered.sequence[token]]
        gradients = torch.autograd.grad(value, output.attentions)
        product = torch.stack(output.attentions) * torch.stack(gradients)
        rows = product[:, 0, :, -1].clamp(min=0).mean(dim=1).detach().numpy()
        expected = expected + rows[:, image_columns(said)]
    found = probes.gradient_rows(said.chat, answered, tokens)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.max() > 0.01


@pytest.mark.parametrize("neutral", ["is there a circle ?", "is the circle left", "is the circle left of the square ?"])
def test_the_neutral_row_is_that_of_a_prompt_of_its_own(said, neutral, monkeypatch):
    monkeypatch.setattr(probes, "NEUTRAL_QUESTIONS", ("zorg the picture", neutral, "a photo"))
    found = probes.neutral_rows(said.chat, said.answered, said.turns)
    prompt = said.chat.prompt([*said.turns[:-1], said.turns[-1]._replace(text=neutral)])
    with torch.no_grad():
        rows = plain(said, prompt.input_ids, prompt.images, output_attentions=True).attentions
    expected = torch.stack(rows)[:, 0, :, -1].mean(dim=1)[:, image_columns(said)]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.max() > 0.01


def test_a_model_without_the_neutral_words_gets_the_last_question(said, monkeypatch):
    expected = probes.neutral_rows(said.chat, said.answered, said.turns)
    monkeypatch.setattr(probes, "NEUTRAL_QUESTIONS", probes.NEUTRAL_QUESTIONS[-1:])
    assert np.array_equal(probes.neutral_rows(said.chat, said.answered, said.turns), expected)


def test_the_vision_towers_rows_are_its_own(said):
    answered, has_class_token = said.answered, said.chat.model.config.vision_config.model_type == "clip_vision_model"
    names, rows, shares = probes.vision_rows(said.chat, answered.prompt, 1)
    pixels = answered.prompt.images["pixel_values"][1]
    pixels = pixels if pixels.dim() == 3 else pixels[0]
    with torch.no_grad():
        output = said.eager.model.vision_tower(pixels[None], output_attentions=True, output_hidden_states=True)
    used = len(rows)
    assert used == (2 if has_class_token else 3)  # of three layers; these LLaVAs of CLIP take the last but one
    patches = slice(1, None) if has_class_token else slice(None)
    attention = torch.stack(output.attentions[:used])[:, 0].mean(dim=1)
    expected = [attention[:, 0, 1:]] if has_class_token else []
    expected.append(attention[:, patches, patches].mean(dim=1))
    norms = torch.stack(output.hidden_states[1 : used + 1])[:, 0, patches].norm(dim=-1)
    assert names == ("class token",) * has_class_token + ("average over patches", "norm above the smallest")
    np.testing.assert_allclose(rows, np.stack([*expected, norms - norms.amin(dim=1, keepdim=True)], axis=1), atol=1e-4)
    np.testing.assert_allclose(shares[:, :-1], rows[:, :-1].sum(axis=-1), atol=1e-5)
    assert np.isnan(shares[:, -1]).all()
    assert (shares[:, :-1] < 1).all() if has_class_token else np.allclose(shares[:, :-1], 1)


def test_the_lens_ends_with_what_the_model_would_say_next(said):
    layout, prompt = said.answered.prompt.layouts[1], said.answered.prompt
    positions = layout.positions[layout.kind == "base"]
    words, probabilities = probes.lens(said.chat, prompt, positions)
    with torch.no_grad():
        best = plain(said, prompt.input_ids, prompt.images).logits[0, positions].softmax(dim=-1).topk(5)
    tokenizer = said.chat._speller.tokenizer
    assert words.shape == probabilities.shape == (4, len(positions), 5)
    assert [tokenizer.convert_tokens_to_ids(row) for row in words[-1].tolist()] == best.indices.tolist()
    np.testing.assert_allclose(probabilities[-1], best.values, atol=1e-4)
