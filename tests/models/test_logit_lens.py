"""The lens equals the model's own last step applied to the hidden states that transformers returns."""

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from mmexplorer.models import logit_lens as lens_module
from mmexplorer.models.logit_lens import logit_lens, nearest_words

LAYERS, IMAGE = 3, 60
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def model():
    text = LlamaConfig(**SMALL, vocab_size=61, num_hidden_layers=LAYERS)
    vision = CLIPVisionConfig(**SMALL, num_hidden_layers=2, image_size=32, patch_size=8)
    torch.manual_seed(0)
    built = LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision, image_token_index=IMAGE))
    with torch.no_grad():
        for parameter in built.parameters():
            # The final norm's weight as well: a lens that forgets the norm must differ.
            parameter.add_(torch.randn_like(parameter) * (parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.5))
    return built.eval()


@pytest.fixture(scope="module")
def inputs():
    ids = torch.tensor([[1, 2, *[IMAGE] * 16, 5, 6]])
    return {"input_ids": ids, "pixel_values": torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))}


@pytest.mark.parametrize("block", [64, 5])
def test_words_of_every_layer(model, inputs, monkeypatch, block):
    monkeypatch.setattr(lens_module, "POSITIONS_AT_ONCE", block)
    positions = (inputs["input_ids"][0] == IMAGE).nonzero()[:, 0]
    lens = logit_lens(model, inputs, positions)
    assert lens.ids.shape == lens.probabilities.shape == (LAYERS + 1, 16, 5)
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
        logits = [model.lm_head(model.model.language_model.norm(hidden)) for hidden in output.hidden_states[:-1]]
    for layer, expected in enumerate([*logits, output.logits]):  # the last hidden state is normed already
        best = expected[0, positions].softmax(dim=-1).topk(5)
        assert lens.ids[layer].tolist() == best.indices.tolist()
        np.testing.assert_allclose(lens.probabilities[layer], best.values, atol=1e-5)


def test_no_hook_is_left_even_after_an_error(model, inputs, monkeypatch):
    monkeypatch.setattr(lens_module, "nearest_words", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logit_lens(model, inputs, torch.tensor([3]))
    layers = model.model.language_model.layers
    assert not any(layer._forward_pre_hooks for layer in layers)
    monkeypatch.undo()
    logit_lens(model, inputs, torch.tensor([3]))
    lengths = [len(layer._forward_hooks) for layer in layers]
    logit_lens(model, inputs, torch.tensor([3]))
    assert [len(layer._forward_hooks) for layer in layers] == lengths


def test_words_come_best_first(model):
    ids, probabilities = nearest_words(model, torch.randn(7, 32), top=61)
    assert (probabilities.diff(dim=-1) <= 0).all()
    torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones(7))
    assert all(sorted(row) == list(range(61)) for row in ids.tolist())
