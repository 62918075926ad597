"""What is hidden has no influence at all, everything else stays in its place, and what is painted is painted only."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mmexplorer.models import llava_causal as causal
from mmexplorer.models.attention_probe import replay
from mmexplorer.models.llava import load
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.replies import Turn

PRESET = replace(preset("toy-llava"), label="Tiny")
QUESTION = "is there a red circle ?"


@pytest.fixture(scope="module", params=["llava", "llava_next", "onevision"])
def chat(request):
    return load(PRESET, request.getfixturevalue(f"{request.param}_folder"), CPU)


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8))


@pytest.fixture
def prompt(chat, picture):
    return chat.prompt([Turn("user", QUESTION, [picture])])


def written(chat, prompt, **settings):
    generation = chat.generate(prompt, **({"max_new_tokens": 6} | settings))
    return generation, list(generation)


def nothing():
    return np.array([], np.int64)


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.5, "seed": 3}, {"forced": {1: 20, 2: 25}}])
def test_log_probabilities_are_those_of_the_answers_own_tokens(chat, prompt, settings):
    generation, tokens = written(chat, prompt, **settings)
    for chosen in ([0], [2], [1, 2, 4]):
        expected = sum(np.log(tokens[i].probability) for i in chosen)
        assert causal.log_probability(chat, prompt, generation.ids, chosen) == pytest.approx(expected, abs=1e-4)


def test_hiding_nothing_changes_nothing(chat, prompt):
    generation, _ = written(chat, prompt)
    before = causal.log_probability(chat, prompt, generation.ids, [0, 3])
    with causal.hidden(chat.model, nothing()):
        assert causal.log_probability(chat, prompt, generation.ids, [0, 3]) == pytest.approx(before, abs=1e-5)
        assert causal.greedy_text(chat, prompt, 6) == chat.decode(generation.ids)


def test_hidden_tokens_get_no_attention(chat, prompt):
    positions = prompt.layouts[0].positions[[0, 3, 7, -1]]
    with causal.hidden(chat.model, positions):
        generation, _ = written(chat, prompt)
        rows = replay(chat.model, generation.cache, generation.sequence, len(prompt), keep="heads").heads
    assert (rows[..., positions] == 0).all()
    np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-5)
    rows = replay(chat.model, generation.cache, generation.sequence, len(prompt), keep="heads").heads
    assert (rows[..., positions] > 0).all()


def test_hiding_equals_the_librarys_own_mask_with_positions_unchanged(chat, prompt):
    generation, _ = written(chat, prompt)
    positions = prompt.layouts[0].positions[2:9]
    ids = generation.sequence[None, :-1]
    mask = torch.ones_like(ids)
    mask[0, positions] = 0
    with torch.no_grad():
        logits = chat.model(
            input_ids=ids, **prompt.images, attention_mask=mask, position_ids=torch.arange(ids.shape[1])[None]
        ).logits[0, -1]
    logits[list(chat.never_ids)] = -torch.inf
    expected = logits.log_softmax(dim=-1)[generation.ids[-1]].item()
    last = len(generation.ids) - 1
    with causal.hidden(chat.model, positions):
        found = causal.log_probability(chat, prompt, generation.ids, [last])
    assert found == pytest.approx(expected, abs=1e-5)
    assert found != pytest.approx(causal.log_probability(chat, prompt, generation.ids, [last]), abs=1e-3)


def test_what_is_hidden_has_no_influence(chat, prompt):
    """Noise in the embeddings of some image tokens changes the answer, but not once they are hidden."""
    generation, _ = written(chat, prompt)
    positions = prompt.layouts[0].positions[:10]
    width = chat.model.config.get_text_config().hidden_size
    noise = torch.randn(len(positions), width, generator=torch.Generator().manual_seed(0))

    def disturb(module, args, kwargs):
        if kwargs["inputs_embeds"].shape[1] > 1:
            kwargs["inputs_embeds"] = kwargs["inputs_embeds"].clone()
            kwargs["inputs_embeds"][0, positions] += 3 * noise
        return args, kwargs

    def asked():
        value = causal.log_probability(chat, prompt, generation.ids, [0, len(generation.ids) - 1])
        return value, causal.greedy_text(chat, prompt, 6)

    clear = asked()
    with causal.hidden(chat.model, positions):
        hidden = asked()
    hook = chat.model.model.language_model.register_forward_pre_hook(disturb, with_kwargs=True)
    try:
        assert abs(asked()[0] - clear[0]) > 0.1
        with causal.hidden(chat.model, positions):
            disturbed = asked()
    finally:
        hook.remove()
    assert disturbed[0] == pytest.approx(hidden[0], abs=1e-5) and disturbed[1] == hidden[1]


def test_others_see_everything_meanwhile_and_afterwards(chat, prompt):
    positions, seen = prompt.layouts[0].positions, []
    generation, _ = written(chat, prompt)
    before = causal.log_probability(chat, prompt, generation.ids, [0])

    def other():
        seen.append(causal.log_probability(chat, prompt, generation.ids, [0]))

    with pytest.raises(ZeroDivisionError), causal.hidden(chat.model, positions):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert causal.log_probability(chat, prompt, generation.ids, [0]) != pytest.approx(before, abs=1e-3)
        raise ZeroDivisionError
    other()
    assert seen == pytest.approx([before, before], abs=1e-6)


def test_an_answer_that_is_stopped_is_what_there_is(chat, prompt):
    stop = threading.Event()
    stop.set()
    assert causal.greedy_text(chat, prompt, 6, stop) == ""


# Painting over


def test_boxes_are_painted_in_the_mean_colour_of_their_picture_alone():
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 3:] = (200, 100, 40)
    pictures = [Image.new("RGB", (4, 4), "white"), Image.fromarray(pixels), Image.new("RGB", (2, 2), "red")]
    turns = [Turn("user", "a", pictures[:1]), Turn("assistant", "b"), Turn("user", "c", pictures[1:])]
    found = causal.covered(turns, 1, np.array([[0, 0, 2, 1], [4.5, 2, 6, 2.2]]))
    assert [turn[:2] for turn in found] == [("user", "a"), ("assistant", "b"), ("user", "c")]
    expected = pixels.copy()
    expected[0, :2] = expected[2, 4:] = (100, 50, 20)
    assert np.array_equal(np.asarray(found[2].pictures[0]), expected)
    assert np.array_equal(np.asarray(pictures[1]), pixels)
    assert found[0].pictures[0] is pictures[0] and found[2].pictures[1] is pictures[2]


def test_painting_asks_with_the_painted_picture_and_hiding_with_the_same(chat, prompt, picture):
    turns = [Turn("user", QUESTION, [picture])]
    layout = prompt.layouts[0]
    chosen = np.flatnonzero(layout.kind == "base")
    with causal.without(chat, turns, prompt, 0, chosen, cover=True) as changed:
        seen = np.asarray(changed.layouts[0].seen[0])
    assert torch.equal(changed.input_ids, prompt.input_ids)
    inside = seen[3:27, 3:27]  # SigLIP leaves a margin unread, and resizing blurs its border
    assert np.ptp(inside, axis=(0, 1)).max() <= 1 < np.ptp(np.asarray(layout.seen[0])[3:27, 3:27])
    with causal.without(chat, turns, prompt, 0, chosen, cover=False) as changed:
        assert changed is prompt
        value = causal.log_probability(chat, prompt, [20], [0])
    with causal.hidden(chat.model, layout.positions[chosen]):
        assert value == causal.log_probability(chat, prompt, [20], [0])
