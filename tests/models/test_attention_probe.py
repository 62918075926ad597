"""The probe's rows equal those of plain (eager) attention, and reading them disturbs nothing.

Tiny LLaVAs of transformers' own classes with random weights, large enough that attention is far from even.
"""

import copy
import gc
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    CLIPVisionConfig,
    DynamicCache,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    MistralConfig,
)

from mmexplorer.models import attention_probe
from mmexplorer.models.attention_probe import gradient_rows, head_rows, replay, vision_attention

LAYERS, HEADS, VOCABULARY, IMAGE, TOKENS = 3, 4, 61, 60, 9
WINDOW = 10
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 0,
}
VISION = CLIPVisionConfig(
    hidden_size=24, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=32, patch_size=8
)


def _model(kind: str):
    grouped = TEXT | {"num_key_value_heads": 2}
    shared = {"vision_config": VISION, "image_token_index": IMAGE}
    if kind == "multi-head":
        model = LlavaForConditionalGeneration(LlavaConfig(text_config=LlamaConfig(**TEXT), **shared))
    elif kind == "grouped queries":
        model = LlavaForConditionalGeneration(LlavaConfig(text_config=LlamaConfig(**grouped), **shared))
    else:
        text = MistralConfig(**grouped, sliding_window=WINDOW if kind == "sliding window" else None)
        pinpoints = [[32, 64], [64, 32], [64, 64]]
        config = LlavaNextConfig(text_config=text, image_grid_pinpoints=pinpoints, **shared)
        model = LlavaNextForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 2.0 * parameter[0].numel() ** -0.5, generator=generator)
            elif name.endswith(("class_embedding", "image_newline")):
                parameter.normal_(0.0, 0.2, generator=generator)
    return model.eval()


def _prompt(model, question: list[int], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if isinstance(model, LlavaNextForConditionalGeneration):
        pixels, sizes = torch.randn(1, 3, 3, 32, 32, generator=generator), torch.tensor([[30, 55]])
        count = len(model.get_image_features(pixels, sizes).pooler_output[0])
        pictures = {"pixel_values": pixels, "image_sizes": sizes}
    else:
        pictures, count = {"pixel_values": torch.randn(1, 3, 32, 32, generator=generator)}, 16
    ids = torch.tensor([[1, 2, *[IMAGE] * count, *question]])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pictures}


def _generate(model, inputs, **options):
    settings = {"max_new_tokens": TOKENS, "do_sample": False, "suppress_tokens": [IMAGE]}
    return model.generate(**inputs, **settings, return_dict_in_generate=True, **options)


def _eager_rows(model, inputs, sequence: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Ids and rows (layers, heads, T, K) by plain attention with all its weights, as transformers returns them."""
    model = copy.deepcopy(model)
    model.set_attn_implementation("eager")
    result = _generate(model, inputs, output_attentions=True)
    keys = result.sequences.shape[1] - 1
    rows = np.zeros((LAYERS, HEADS, len(result.attentions), keys), np.float32)
    for token, step in enumerate(result.attentions):
        for layer, weights in enumerate(step):
            row, end = weights[sequence, :, -1], keys - len(result.attentions) + 1 + token
            rows[layer, :, token, end - row.shape[-1] : end] = row.detach()  # shorter where a window cuts the cache
    return result.sequences[sequence], rows


@pytest.fixture(scope="module", params=["multi-head", "grouped queries", "next", "sliding window"])
def said(request):
    """A model, its prompt, and what it answered, with the cache that this left and the rows of plain attention."""
    model = _model(request.param)
    inputs = _prompt(model, [5, 17, 9, 23])
    cache = DynamicCache()
    ids = _generate(model, inputs, past_key_values=cache).sequences[0]
    eager_ids, rows = _eager_rows(model, inputs)
    assert ids.tolist() == eager_ids.tolist()
    return SimpleNamespace(
        model=model, inputs=inputs, cache=cache, ids=ids, prompt_length=inputs["input_ids"].shape[1], rows=rows
    )


@pytest.fixture(scope="module")
def plain():
    model = _model("grouped queries")
    inputs = _prompt(model, [5, 17, 9, 23])
    cache = DynamicCache()
    ids = _generate(model, inputs, past_key_values=cache).sequences[0]
    return SimpleNamespace(model=model, inputs=inputs, cache=cache, ids=ids, prompt_length=inputs["input_ids"].shape[1])


def test_rows_equal_plain_attention(said):
    rows = replay(said.model, said.cache, said.ids, said.prompt_length, keep="heads")
    assert rows.heads.shape == (LAYERS, HEADS, TOKENS, len(said.ids) - 1) and rows.mean is None and rows.max is None
    np.testing.assert_allclose(rows.heads, said.rows, atol=1e-4)
    np.testing.assert_allclose(rows.heads.sum(axis=-1), 1.0, atol=1e-5)
    assert rows.heads.max() > 0.5  # otherwise even rows would pass as well


def test_reduced_rows_and_shares(said):
    picture, rest = slice(2, said.prompt_length - 4), slice(said.prompt_length - 4, len(said.ids))
    rows = replay(said.model, said.cache, said.ids, said.prompt_length, spans=(picture, rest))
    assert rows.heads is None
    np.testing.assert_allclose(rows.mean, said.rows.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(rows.max, said.rows.max(axis=1), atol=1e-4)
    for i, span in enumerate((picture, rest)):
        np.testing.assert_allclose(rows.shares[..., i], said.rows[..., span].sum(axis=-1), atol=1e-4)


def test_columns_of_rows_in_half_precision(said):
    columns, keep = torch.tensor([5, 2, 3]), ("heads", "mean", "max")
    rows = replay(said.model, said.cache, said.ids, said.prompt_length, keep=keep, columns=columns, dtype=np.float16)
    chosen = said.rows[..., [5, 2, 3]]
    for found, expected in ((rows.heads, chosen), (rows.mean, chosen.mean(axis=1)), (rows.max, chosen.max(axis=1))):
        assert found.dtype == np.float16
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=2**-11)


def test_one_head(said):
    for layer, head in ((0, 0), (LAYERS - 1, HEADS - 2)):
        rows = head_rows(said.model, said.cache, said.ids, said.prompt_length, layer, head)
        np.testing.assert_allclose(rows, said.rows[layer, head], atol=1e-4)


def test_a_sliding_window_is_seen_in_the_rows():
    model = _model("sliding window")
    inputs = _prompt(model, [5, 17, 9, 23])
    cache = DynamicCache()
    ids = _generate(model, inputs, past_key_values=cache).sequences[0]
    prompt_length = inputs["input_ids"].shape[1]
    rows = replay(model, cache, ids, prompt_length).max[0]
    for token, row in enumerate(rows):
        query = prompt_length - 1 + token
        assert row.nonzero()[0].tolist() == list(range(query - WINDOW + 1, query + 1))


def test_rows_of_the_question(said):
    """Words of the prompt after the picture are replayed as well: row t is always the query before token t."""
    first = said.prompt_length - 3
    model = copy.deepcopy(said.model)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        eager = model(**said.inputs, output_attentions=True).attentions
    rows = replay(said.model, said.cache, said.ids, first, keep="heads").heads
    for layer in range(LAYERS):
        expected = eager[layer][0, :, first - 1 : said.prompt_length]
        np.testing.assert_allclose(rows[layer, :, :4, : said.prompt_length], expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["grouped queries", "sliding window"])
def test_rows_of_a_whole_conversation_without_pictures(kind):
    """Nothing need be cached before the first query: then no mask comes, and the rows are causal all the same."""
    model, ids = _model(kind), torch.tensor([4, 8, 15, 16, 23, 42])
    cache = DynamicCache()
    with torch.no_grad():
        model(input_ids=ids[None], past_key_values=cache)
        rows = replay(model, cache, ids, 1, keep="heads").heads
        model.set_attn_implementation("eager")
        eager = model(input_ids=ids[None], output_attentions=True).attentions
    np.testing.assert_allclose(rows, torch.cat(eager)[:, :, :-1, :-1], atol=1e-4)


def test_rows_of_a_left_padded_batch(plain):
    """Each sequence of a batch has the rows that it has alone, and none on its padding."""
    model, long = plain.model, _prompt(plain.model, [7, 8, 9, 10, 11, 12, 13], seed=4)
    padding = 3
    ids = torch.cat([torch.zeros(1, padding, dtype=torch.long), plain.inputs["input_ids"]], dim=1)
    batch = {
        "input_ids": torch.cat([long["input_ids"], ids]),
        "pixel_values": torch.cat([long["pixel_values"], plain.inputs["pixel_values"]]),
    }
    batch["attention_mask"] = (batch["input_ids"] != 0).long()
    cache = DynamicCache()
    sequences = _generate(model, batch, past_key_values=cache).sequences
    for sequence, pad in ((0, 0), (1, padding)):
        eager_ids, expected = _eager_rows(model, batch, sequence)
        assert sequences[sequence].tolist() == eager_ids.tolist()
        where = {"sequence": sequence, "padding": pad}
        rows = replay(model, cache, sequences[sequence], ids.shape[1], keep="heads", **where).heads
        np.testing.assert_allclose(rows, expected, atol=1e-4)
        assert (rows[..., :pad] == 0).all()
        one = head_rows(model, cache, sequences[sequence], ids.shape[1], 1, 2, **where)
        np.testing.assert_allclose(one, expected[1, 2], atol=1e-4)
    alone = replay(model, plain.cache, plain.ids, plain.prompt_length, keep="heads").heads
    np.testing.assert_allclose(rows[..., padding:], alone, atol=1e-4)


@pytest.mark.parametrize("tokens", [0, 1, 4])
def test_a_stopped_answer(plain, tokens):
    """The cache holds whatever was fed: the last token said need not have been."""
    model, length = plain.model, plain.prompt_length
    cache, ids = DynamicCache(), plain.inputs["input_ids"]
    with torch.inference_mode():
        logits = model(**plain.inputs, past_key_values=cache).logits
        for number in range(tokens):
            logits[..., IMAGE] = -torch.inf
            ids = torch.cat([ids, logits[:, -1:].argmax(dim=-1)], dim=1)
            if number < tokens - 1:
                logits = model(input_ids=ids[:, -1:], past_key_values=cache).logits
    assert ids[0].tolist() == plain.ids[: length + tokens].tolist()
    rows = replay(model, cache, ids[0], length, keep=("heads", "mean"))
    whole = replay(model, plain.cache, plain.ids, length, keep=("heads", "mean"))
    assert rows.mean.shape == (LAYERS, tokens, length + tokens - 1)
    np.testing.assert_allclose(rows.heads, whole.heads[:, :, :tokens, : length + tokens - 1], atol=1e-5)


def test_reading_in_the_middle_changes_no_token(said):
    """A replay or gradient between two steps leaves cache, attention and so the rest of the answer as they were."""
    cache, ids = DynamicCache(), said.inputs["input_ids"]
    with torch.no_grad():
        logits = said.model(**said.inputs, past_key_values=cache).logits
        for _ in range(TOKENS):
            logits[..., IMAGE] = -torch.inf
            ids = torch.cat([ids, logits[:, -1:].argmax(dim=-1)], dim=1)
            before = [(layer.keys, layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
            replay(said.model, cache, ids[0], said.prompt_length)
            gradient_rows(said.model, cache, ids[0], ids.shape[1] - 1)
            for layer, (keys, copied_keys, copied_values) in zip(cache.layers, before, strict=True):
                assert layer.keys is keys
                assert torch.equal(keys, copied_keys) and torch.equal(layer.values, copied_values)
            logits = said.model(input_ids=ids[:, -1:], past_key_values=cache).logits
    assert ids[0].tolist() == said.ids.tolist()
    assert all(p.grad is None for p in said.model.parameters())


def test_gradients_equal_those_of_the_whole_graph(said):
    position = said.prompt_length + 4
    model = copy.deepcopy(said.model)
    model.set_attn_implementation("eager")
    inputs = {**said.inputs, "input_ids": said.ids[None], "attention_mask": torch.ones_like(said.ids[None])}
    output = model(**inputs, output_attentions=True)
    log_probability = output.logits[0, position - 1].log_softmax(dim=-1)[said.ids[position]]
    whole = torch.autograd.grad(log_probability, output.attentions)
    found = gradient_rows(said.model, said.cache, said.ids, position)
    assert found.log_probability == pytest.approx(log_probability.item(), abs=1e-4)
    assert found.gradient.shape == (LAYERS, HEADS, position)
    for layer in range(LAYERS):
        row, gradient = (weights[layer][0, :, position - 1, :position] for weights in (output.attentions, whole))
        np.testing.assert_allclose(found.attention[layer], row.detach(), atol=1e-4)
        np.testing.assert_allclose(found.gradient[layer], gradient, atol=1e-4)
        assert gradient.abs().max() > 0.01


def test_gradients_after_a_pass_in_inference_mode_and_with_frozen_weights(plain):
    model = copy.deepcopy(plain.model).requires_grad_(False)
    cache = DynamicCache()
    with torch.inference_mode():
        model(**plain.inputs, past_key_values=cache)
        ids = plain.ids[: plain.prompt_length + 1].clone()
        inside = gradient_rows(model, cache, ids, plain.prompt_length)
    outside = gradient_rows(model, cache, ids, plain.prompt_length)
    expected = gradient_rows(plain.model, plain.cache, plain.ids, plain.prompt_length)
    for found in (inside, outside):
        np.testing.assert_allclose(found.gradient, expected.gradient, atol=1e-5)


def test_half_precision_rows_sum_to_one(plain):
    model = copy.deepcopy(plain.model).bfloat16()
    cache = DynamicCache()
    inputs = {**plain.inputs, "pixel_values": plain.inputs["pixel_values"].bfloat16()}
    ids = _generate(model, inputs, past_key_values=cache).sequences[0]
    rows = replay(model, cache, ids, plain.prompt_length, keep="heads").heads
    np.testing.assert_allclose(rows.sum(axis=-1), 1.0, atol=1e-5)
    assert np.isfinite(gradient_rows(model, cache, ids, len(ids) - 1).gradient).all()


def test_the_attention_implementation_is_put_back(plain, monkeypatch):
    text = plain.model.model.language_model.config
    for before in ("sdpa", "eager"):
        plain.model.set_attn_implementation(before)
        replay(plain.model, plain.cache, plain.ids, plain.prompt_length)
        assert text._attn_implementation == before
        with monkeypatch.context() as broken:
            broken.setattr(attention_probe, "_weights", lambda *arguments: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                replay(plain.model, plain.cache, plain.ids, plain.prompt_length)
            with pytest.raises(ZeroDivisionError):
                gradient_rows(plain.model, plain.cache, plain.ids, plain.prompt_length)
            with pytest.raises(ZeroDivisionError):
                vision_attention(plain.model, plain.inputs["pixel_values"])
        assert text._attn_implementation == plain.model.model.vision_tower.config._attn_implementation == before
        assert attention_probe._watcher.get() is None
    plain.model.set_attn_implementation("sdpa")


def test_threads_do_not_meet(plain):
    """Two visitors read rows while a third gets an answer, all from one model."""
    expected = replay(plain.model, plain.cache, plain.ids, plain.prompt_length, keep="heads").heads
    wrong = []

    def read():
        for _ in range(12):
            rows = replay(plain.model, plain.cache, plain.ids, plain.prompt_length, keep="heads").heads
            wrong.append(not np.allclose(rows, expected, atol=1e-6))

    def answer():
        for _ in range(3):
            wrong.append(_generate(plain.model, plain.inputs).sequences[0].tolist() != plain.ids.tolist())

    threads = [threading.Thread(target=target) for target in (read, read, answer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 27 and not any(wrong)
    assert plain.model.model.language_model.config._attn_implementation == "sdpa"


class _Counting(TorchDispatchMode):
    """The size of the largest tensor made that has one column for each of `keys` positions."""

    def __init__(self, keys: int):
        super().__init__()
        self.keys, self.most = keys, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            columns = isinstance(tensor, torch.Tensor) and tensor.dim() and tensor.shape[-1] == self.keys
            if columns and tensor.is_floating_point() and tensor.is_contiguous():  # no mask, no keys seen transposed
                self.most = max(self.most, tensor.numel())
        return result


def _tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def test_memory_stays_small(plain, monkeypatch):
    """Never more than a few queries' weights at once, the same rows, and no tensor left behind."""
    keys = len(plain.ids) - 1
    expected = replay(plain.model, plain.cache, plain.ids, plain.prompt_length, keep=("heads", "mean", "max"))
    monkeypatch.setattr(attention_probe, "WEIGHTS_AT_ONCE", 2 * HEADS * keys + 1)
    tensors = _tensors()
    with _Counting(keys) as counting:
        rows = replay(plain.model, plain.cache, plain.ids, plain.prompt_length, keep=("heads", "mean", "max"))
    assert _tensors() == tensors
    assert counting.most == 2 * HEADS * keys
    for name in ("heads", "mean", "max"):
        np.testing.assert_allclose(getattr(rows, name), getattr(expected, name), atol=1e-6)


def test_what_cannot_be_replayed_is_refused(plain):
    model = _model("sliding window")
    inputs = _prompt(model, [5, 17, 9, 23])
    ids = _generate(model, inputs, past_key_values=(cache := DynamicCache(config=model.config))).sequences[0]
    with pytest.raises(ValueError, match="sliding window"):
        replay(model, cache, ids, inputs["input_ids"].shape[1])
    short = {"input_ids": torch.tensor([[4, 8, 15, 16, 23]])}
    ids = _generate(model, short, past_key_values=(cache := DynamicCache(config=model.config))).sequences[0]
    with pytest.raises(ValueError, match=f"holds {WINDOW - 1} of 13"):
        replay(model, cache, ids, 5)
    with pytest.raises(ValueError, match="holds 0 of 0"):
        replay(plain.model, DynamicCache(config=plain.model.config), plain.ids, plain.prompt_length)
    with pytest.raises(ValueError, match="Picture tokens"):
        replay(plain.model, plain.cache, plain.ids, 5)


@pytest.mark.parametrize("feature_layer, used", [(-2, 3), (-1, 4), ([1, -3], 2)])
def test_vision_attention_equals_plain_attention(feature_layer, used):
    model = _model("next")
    model.config.vision_feature_layer = feature_layer
    tiles = torch.randn(1, 3, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    found = vision_attention(model, tiles)
    assert model.model.vision_tower.config._attn_implementation == "sdpa"
    model.model.vision_tower.set_attn_implementation("eager")
    with torch.no_grad():
        eager = model.model.vision_tower(tiles[0], output_attentions=True).attentions
    expected = torch.stack(eager[:used], dim=1).mean(dim=2)
    assert found.shape == expected.shape == (3, used, 17, 17)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(vision_attention(model, tiles, queries=[0, 4]), found[:, :, [0, 4]], atol=1e-6)
