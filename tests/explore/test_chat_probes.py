"""Probes of an answer agree with its own attention and probabilities, on the toy LLaVA and on rows made by hand."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore import chat_probes as probes
from mmexplorer.explore.chat import chat
from mmexplorer.explore.truth import draw_scene
from mmexplorer.hub import Stopped
from mmexplorer.replies import Reply, Turn

MODEL, QUESTION, NEUTRAL = "toy-llava", "what colour is the shape?", "describe the picture"


def replied(turns: list[Turn]) -> Reply:
    """The toy LLaVA's greedy answer with its attention, as a chat gives it."""
    *_, last = chat(turns, model=MODEL, max_new_tokens=12)
    return last.reply


@pytest.fixture(scope="module")
def asked():
    """A question about the second of two pictures, its answer, and the number of the answer's first word."""
    turns = [
        Turn("user", NEUTRAL, [draw_scene(1)[0]]),
        Turn("assistant", "a red circle"),
        Turn("user", QUESTION, [draw_scene(2)[0]]),
    ]
    reply = replied(turns)
    word = [word.role for word in reply.attention.words].index("answer")
    return SimpleNamespace(turns=turns, reply=reply, word=word)


def check(asked, hide=4, **options):
    settings = {"word": asked.word, "hide": hide, "picture": 1, "draws": 3} | options
    return probes.causal_check(asked.turns, asked.reply, **settings)


def test_heads_make_up_the_mean_and_are_found_again_after_the_cache_is_gone(asked):
    attention = asked.reply.attention
    heads = attention.shares.shape[1]
    rows = [probes.head_maps(asked.turns, asked.reply, 2, head) for head in range(heads)]
    assert rows[0].dtype == np.float16 and rows[0].shape == attention.mean.shape[1:]
    np.testing.assert_allclose(np.mean(rows, axis=0, dtype=np.float32), attention.mean[2], atol=1e-3)
    with residency.use(MODEL) as llava:
        llava.forget()
    np.testing.assert_allclose(probes.head_maps(asked.turns, asked.reply, 2, 1), rows[1], atol=1e-3)


def test_gradients_of_an_answers_word(asked):
    found = probes.gradient_maps(asked.turns, asked.reply, asked.word)
    layers, _, columns = asked.reply.attention.mean.shape
    assert found.shape == (layers, columns) and found.min() >= 0 and found.max() > 0


def test_the_neutral_rows_are_the_answers_own_if_the_question_was_neutral():
    turns = [Turn("user", NEUTRAL, [draw_scene(1)[0]])]
    reply = replied(turns)
    row = next(word.rows[0] for word in reply.attention.words if word.role == "answer")
    np.testing.assert_allclose(probes.neutral_rows(turns, reply), reply.attention.mean[:, row], atol=1e-3)


def test_the_neutral_rows_do_not_depend_on_the_question(asked):
    turns = [*asked.turns[:-1], asked.turns[-1]._replace(text="is there a red circle or a blue square?")]
    found = [probes.neutral_rows(turns, replied(turns)), probes.neutral_rows(asked.turns, asked.reply)]
    assert found[0].shape == asked.reply.attention.mean[:, 0].shape
    np.testing.assert_allclose(*found, atol=1e-5)


def test_the_vision_tower_looks_at_each_picture_on_its_own(asked):
    found = [probes.vision_maps(asked.turns, asked.reply, picture) for picture in (0, 1)]
    alone = probes.vision_maps(turns := [Turn("user", QUESTION, asked.turns[2].pictures)], replied(turns), 0)
    assert found[1].words == ("class token", "average over patches", "norm above the smallest")
    assert found[1].maps.shape == (len(found[1].layers), 3, 8, 8) and found[1].image is asked.reply.attention.images[1]
    np.testing.assert_allclose(found[1].maps, alone.maps, atol=1e-5)
    assert np.abs(found[0].maps - found[1].maps).max() > 0.01
    np.testing.assert_allclose(found[1].maps[:, :2].sum(axis=(2, 3)), found[1].image_share[:, :2], atol=1e-5)
    assert np.isnan(found[1].image_share[:, 2]).all() and (found[1].maps[:, 2].min(axis=(1, 2)) == 0).all()


def test_the_lens_reads_every_patch_in_every_layer(asked):
    found = probes.lens(asked.turns, asked.reply, 1)
    layers = len(asked.reply.attention.mean)
    assert found.words.shape == found.probabilities.shape == (layers + 1, 64, 5) == (len(found.layers), 64, 5)
    assert found.grid == (8, 8) and found.box == (0, 0, 256, 256) and found.tokens.tolist() == list(range(64))
    assert (np.diff(found.probabilities, axis=-1) <= 0).all() and found.words.dtype.kind == "U"
    assert not np.array_equal(found.words, probes.lens(asked.turns, asked.reply, 0).words)


# The causal check


def test_the_most_attended_patches_of_the_range_of_layers_are_hidden(asked):
    attention = asked.reply.attention
    mean = np.zeros_like(attention.mean)
    row = attention.words[asked.word].rows[0]
    mean[1, row, 64 + np.array([9, 30])] = 0.2, 0.4
    mean[4, row, 64 + np.array([50, 2])] = 0.5, 0.1
    mean[:, row, 5] = 0.9  # of the other picture
    mean[:, row - 1, 64 + 60] = 0.9  # of another word
    by_hand = SimpleNamespace(**vars(asked) | {"reply": replace(asked.reply, attention=replace(attention, mean=mean))})
    assert check(by_hand, 4).hidden.tolist() == [50, 30, 9, 2]
    assert check(by_hand, 2, layers=(1, 1)).hidden.tolist() == [30, 9]
    assert check(by_hand, [7, 3, 7]).hidden.tolist() == [7, 3]


def test_hiding_nothing_changes_nothing_and_hiding_something_does(asked):
    first = asked.reply.attention.words[asked.word].tokens[0] - asked.reply.attention.words[asked.word].rows[0]
    assert first > 0  # rows count from the question's first position, tokens from the prompt's
    probability = asked.reply.tokens[0].probability
    none = check(asked, 0)
    assert none.k == 0 and none.answer_hidden == none.answer_random == asked.reply.text
    assert none.log_probability == pytest.approx(np.log(probability), abs=1e-4)
    assert none.log_probability_hidden == pytest.approx(none.log_probability, abs=1e-5)
    np.testing.assert_allclose(none.random_log_probabilities, none.log_probability, atol=1e-5)
    some = check(asked, 32)
    assert some.log_probability == pytest.approx(none.log_probability, abs=1e-5)
    assert abs(some.log_probability_hidden - some.log_probability) > 1e-3


@pytest.mark.parametrize("cover", [False, True])
def test_all_patches_are_the_same_set_however_drawn(asked, cover):
    found = check(asked, 64, cover=cover)
    assert sorted(found.hidden) == list(range(64)) and found.covered == cover
    np.testing.assert_allclose(found.random_log_probabilities, found.log_probability_hidden, atol=1e-5)
    assert found.answer_hidden == found.answer_random
    assert found.log_probability_hidden != pytest.approx(found.log_probability, abs=1e-3)


def test_covering_differs_from_hiding(asked):
    covered, hidden = check(asked, 12, cover=True), check(asked, 12)
    assert covered.hidden.tolist() == hidden.hidden.tolist()
    assert covered.log_probability == pytest.approx(hidden.log_probability, abs=1e-6)
    assert covered.log_probability_hidden != pytest.approx(hidden.log_probability_hidden, abs=1e-4)


def test_random_sets_depend_on_the_seed_alone_and_never_hold_newlines_or_padding(asked):
    attention = asked.reply.attention
    boxes = attention.layouts[1].boxes.copy()
    boxes[:40, 2] = boxes[:40, 0]
    layouts = (attention.layouts[0], replace(attention.layouts[1], boxes=boxes))
    bare = replace(asked.reply, attention=replace(attention, layouts=layouts))
    found = [
        probes.causal_check(asked.turns, bare, asked.word, 10, picture=1, draws=4, seed=seed) for seed in (0, 0, 1)
    ]
    assert found[0].random.shape == (4, 10) and found[0].random.min() >= 40 <= found[0].hidden.min()
    assert all(len(set(row)) == 10 for row in found[0].random.tolist())
    assert np.array_equal(found[0].random, found[1].random) and not np.array_equal(found[0].random, found[2].random)
    assert np.array_equal(found[0].random_log_probabilities, found[1].random_log_probabilities)
    for hide in (25, [39]):
        with pytest.raises(Refusal, match="can be hidden"):
            probes.causal_check(asked.turns, bare, asked.word, hide, picture=1)


def test_a_stop_ends_the_check_and_frees_the_device(asked):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        check(asked, 4, stop=stop)
    assert check(asked, 4).k == 4 and residency.status(MODEL).waiting == 0


# Mistakes


def test_pictures_may_be_files_and_turns_plain_tuples(asked, tmp_path):
    turns = [(role, text, list(pictures)) for role, text, pictures in asked.turns]
    asked.turns[2].pictures[0].save(tmp_path / "picture.png")
    turns[2][2][:] = [tmp_path / "picture.png"]
    found = probes.lens([turns[0], ("assistant", "a red circle"), turns[2]], asked.reply, 1)
    assert np.array_equal(found.words, probes.lens(asked.turns, asked.reply, 1).words)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda a: probes.head_maps(a.turns, a.reply, 999, 0), "layers 1 to"),
        (lambda a: probes.head_maps(a.turns, a.reply, 0, -1), "heads 1 to"),
        (lambda a: probes.gradient_maps(a.turns, a.reply, 0), "word of the answer"),
        (lambda a: probes.gradient_maps(a.turns, a.reply, 999), "word of the answer"),
        (lambda a: probes.vision_maps(a.turns, a.reply, 2), "pictures 1 to 2"),
        (lambda a: probes.lens(a.turns, a.reply, -1), "pictures 1 to 2"),
        (lambda a: check(a, 65), "Between 0 and 64"),
        (lambda a: check(a, -1), "Between 0 and 64"),
        (lambda a: check(a, layers=(3, 999)), "layers 1 to"),
        (lambda a: check(a, word=0), "word of the answer"),
        (lambda a: check(a, draws=0), "random draws"),
        (lambda a: check(a, draws=10**6), "random draws"),
        (lambda a: probes.neutral_rows(a.turns, replace(a.reply, attention=None)), "no picture"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(asked, call, sentence):
    with pytest.raises(Refusal, match=sentence):
        call(asked)
