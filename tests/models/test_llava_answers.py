"""Kept and remade answers have the same rows as the library's eager attention; nothing is kept beyond its bounds."""

import gc
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import DynamicCache

from mmexplorer.models import llava_answers
from mmexplorer.models.llava import load
from mmexplorer.models.llava_answers import Answered, KeptAnswers, answered_again, first_query
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.replies import ROLES, Turn

PRESET = replace(preset("toy-clip"), label="Tiny")


@pytest.fixture(scope="session", params=["llava", "llava_next", "onevision"])
def chat(request):
    return load(PRESET, request.getfixturevalue(f"{request.param}_folder"), CPU)


@pytest.fixture(scope="session")
def turns(pictures):
    return (
        Turn("user", "is there a circle ?", tuple(pictures[:1])),
        Turn("assistant", "yes , red"),
        Turn("user", "left of the square ?", tuple(pictures[1:3])),
        Turn("assistant", "no"),
        Turn("user", "and a blue triangle ?"),
    )


def generated(chat, turns, **settings):
    prompt = chat.prompt(turns)
    generation = chat.generate(prompt, **({"max_new_tokens": 6, "temperature": 3.0, "seed": 2} | settings))
    list(generation)
    return prompt, generation


def images(turns):
    return [picture for turn in turns for picture in turn.pictures]


def eager(chat, prompt, sequence) -> np.ndarray:
    """The library's own attention weights (layers, heads, queries, keys) of the whole sequence."""
    language = chat.model.model.language_model
    language.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            output = chat.model(input_ids=sequence[None], **prompt.images, output_attentions=True)
    finally:
        language.set_attn_implementation("sdpa")
    return torch.cat(output.attentions).numpy()


def assert_same(one, other):
    """Two attentions agree, the rows to the half precision in which they are kept."""
    np.testing.assert_allclose(one.mean, other.mean, atol=5e-4)
    np.testing.assert_allclose(one.max, other.max, atol=5e-4)
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-4)
    assert one.words == other.words


@pytest.mark.parametrize("spoken", [1, 3, 5])
def test_rows_are_those_of_eager_attention(chat, turns, spoken):
    turns = turns[:spoken]
    prompt, generation = generated(chat, turns)
    attention = chat.attention(prompt, generation, images(turns))
    first = first_query(prompt)
    rows = eager(chat, prompt, generation.sequence)[:, :, first:-1]
    columns = np.concatenate([layout.positions for layout in prompt.layouts])
    np.testing.assert_allclose(attention.mean, rows.mean(axis=1)[..., columns], atol=5e-4)
    np.testing.assert_allclose(attention.max, rows.max(axis=1)[..., columns], atol=5e-4)
    assert attention.mean.dtype == attention.max.dtype == np.float16
    expected = np.zeros((*rows.shape[:-1], 4))
    roles = [s.role for s in prompt.segments for _ in range(s.start, s.stop)] + ["answer"] * len(generation.ids)
    for i, role in enumerate(roles):
        expected[..., ROLES.index(role)] += rows[..., i]
    np.testing.assert_allclose(attention.shares, expected, atol=1e-4)
    assert len(attention.images) == len(attention.layouts) == len(images(turns))


def test_words_have_the_rows_of_their_tokens(chat, turns):
    prompt, generation = generated(chat, turns[:3])
    attention, first = chat.attention(prompt, generation, images(turns[:3])), first_query(prompt)
    asked = [word for word in attention.words if word.role == "question"]
    assert [word.text for word in asked] == ["left", "of", "the", "square", "?"]
    assert [prompt.tokens[i] for word in asked for i in word.tokens] == ["left", "of", "the", "square", "?"]
    assert asked[0].rows == (0,) and all(i - r == first for w in asked for i, r in zip(w.tokens, w.rows, strict=True))
    said = [word for word in attention.words if word.role == "answer"]
    assert "".join(word.text for word in said) == "".join(chat.decode(generation.ids).split()) != ""
    for word in said:
        ids = [generation.sequence[i] for i in word.tokens]
        assert "".join(chat.decode(ids).split()) == word.text and word.tokens[0] >= len(prompt)
        # The query that produces a token stands one position before it.
        assert [i - 1 - first for i in word.tokens] == list(word.rows)
    assert max(row for word in attention.words for row in word.rows) < attention.mean.shape[1]


def test_a_question_before_its_picture_or_without_words_has_rows_of_the_answer_only(chat, pictures):
    turns = (Turn("user", "is there a circle ?"), Turn("assistant", "no"), Turn("user", "", tuple(pictures[:1])))
    prompt, generation = generated(chat, turns)
    attention = chat.attention(prompt, generation, images(turns))
    assert {word.role for word in attention.words} == {"answer"}
    assert first_query(prompt) == prompt.layouts[0].positions[-1] + 1


def test_a_conversation_without_pictures_has_no_maps(chat):
    assert chat.attention(*generated(chat, (Turn("user", "a circle ?"),)), []) is None


def test_a_long_question_has_rows_of_its_last_tokens(chat, pictures, monkeypatch):
    turns = (Turn("user", "red green blue circle square", tuple(pictures[:1])),)
    prompt, generation = generated(chat, turns)
    whole = chat.attention(prompt, generation, images(turns))
    monkeypatch.setattr(llava_answers, "QUESTION_TOKENS", 2)
    cut = chat.attention(prompt, generation, images(turns))
    assert [word.text for word in cut.words if word.role == "question"] == ["circle", "square"]
    np.testing.assert_allclose(cut.mean, whole.mean[:, 3:], atol=1e-4)
    assert cut.words[0].rows == (0,) and cut.mean.shape[1] == whole.mean.shape[1] - 3


@pytest.mark.parametrize("spoken", [1, 5])
def test_an_answer_made_anew_has_the_same_keys_and_rows(chat, turns, spoken):
    turns = turns[:spoken]
    prompt, generation = generated(chat, turns)
    kept = Answered.of(prompt, generation)
    again = chat.recall("gone", turns, generation.ids)
    assert again is not kept and torch.equal(again.sequence, kept.sequence) and again.ids == kept.ids
    for one, other in zip(kept.cache.layers, again.cache.layers, strict=True):
        assert one.keys.shape == other.keys.shape
        torch.testing.assert_close(one.keys, other.keys, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.values, other.values, atol=1e-4, rtol=1e-4)
    assert_same(*(llava_answers.attention(chat, answered, images(turns)) for answered in (kept, again)))


def test_recall_finds_what_was_kept_and_remakes_what_was_not(chat, turns):
    prompt, generation = generated(chat, turns[:1])
    handle = chat.keep(prompt, generation)
    kept = chat.recall(handle, turns[:1], generation.ids)
    assert kept.cache is generation.cache and chat.recall(handle, turns[:1], generation.ids) is kept
    other = chat.recall(handle, turns[:1], generation.ids[:-1])  # a handle does not vouch for other ids
    assert other is not kept and other.ids == tuple(generation.ids[:-1])
    chat.forget(handle)
    again = chat.recall(handle, turns[:1], generation.ids)
    assert again is not kept and chat.recall(handle, turns[:1], generation.ids) is again
    chat.forget()
    chat.recall("", turns[:1], generation.ids)  # what has no handle could not be found again
    assert len(chat._kept) == 0


def test_an_answer_stopped_before_its_first_token_can_be_recalled(chat, turns):
    prompt = chat.prompt(turns[:1])
    unread = chat.generate(prompt, max_new_tokens=3)
    assert chat.keep(prompt, unread) == "" and chat.attention(prompt, unread, images(turns[:1])) is None
    answered = answered_again(chat.model, prompt, ())
    attention = llava_answers.attention(chat, answered, images(turns[:1]))
    assert [word.text for word in attention.words] == ["is", "there", "a", "circle", "?"]
    full = chat.attention(*generated(chat, turns[:1]), images(turns[:1]))
    np.testing.assert_allclose(attention.mean, full.mean[:, : attention.mean.shape[1]], atol=1e-3)
    assert attention.mean.shape[1] >= 5


def test_gradients_can_flow_through_an_answer_made_anew(chat, turns):
    keys = chat.recall("", turns[:1], (10, 11)).cache.layers[0].keys
    weight = torch.ones((), requires_grad=True)
    (keys * weight).sum().backward()
    assert weight.grad.isfinite()


def answered(size: int) -> Answered:
    """An answer whose cache takes 8 * size bytes, of which the keys are half."""
    cache = DynamicCache()
    cache.update(torch.zeros(1, 1, size, 1), torch.zeros(1, 1, size, 1), 0)
    return Answered(SimpleNamespace(images={}), (), cache, torch.zeros(0))


def test_kept_answers_are_bounded_in_number_and_the_oldest_goes_first():
    kept = KeptAnswers(most=2)
    first, second = (kept.keep(answered(1)) for _ in range(2))
    assert first != second and kept.get(first) is not None  # which makes the second the oldest
    third = kept.keep(answered(1))
    assert len(kept) == 2 and kept.get(second) is None and kept.get(first) and kept.get(third)


def test_kept_answers_are_bounded_in_bytes():
    kept = KeptAnswers(most_bytes=8 * 100)
    assert answered(40).memory_bytes == 8 * 40
    handles = [kept.keep(answered(40)) for _ in range(3)]
    assert [kept.get(handle) is not None for handle in handles] == [False, True, True]
    huge = kept.keep(answered(101))
    assert kept.get(huge) is None and len(kept) == 0


def test_what_is_forgotten_is_out_of_memory(llava_folder, pictures):
    chat = load(PRESET, llava_folder, CPU)
    turns = (Turn("user", "a circle ?", (Image.new("RGB", (40, 40), "red"),)),)
    caches, handles = [], []
    for _ in range(3):
        prompt, generation = generated(chat, turns)
        chat.attention(prompt, generation, images(turns))
        handles.append(chat.keep(prompt, generation))
        caches.append(weakref.ref(generation.cache))
        generation.release()
    del prompt, generation
    gc.collect()
    assert all(cache() is not None for cache in caches)
    chat.forget(handles[1])
    gc.collect()
    assert [cache() is None for cache in caches] == [False, True, False]
    chat.close()
    gc.collect()
    assert all(cache() is None for cache in caches)
