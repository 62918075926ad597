"""Answers are the library's, whatever happens on the way: stops, closed iterators, faults, full memory."""

import gc
import math
import re
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import mmexplorer
from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore import chat as chats
from mmexplorer.explore.chat import answer, chat, conversation, forget
from mmexplorer.explore.truth import draw_scene
from mmexplorer.replies import ChatEvent, Reply, Turn

KEY = "toy-llava"
DESCRIBE = "describe the picture"


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(seed)[0] for seed in range(3)]


@pytest.fixture(scope="module")
def long():
    """Settings that make an answer of twelve tokens, whatever the model would say."""
    with residency.use(KEY) as llava:
        red = llava.prompt([Turn("user", "red")])
        return {"forced": dict.fromkeys(range(12), int(red.input_ids[0, red.words[0].start])), "max_new_tokens": 12}


@pytest.fixture
def caches(monkeypatch):
    """Weak references to the caches of all answers that are begun."""
    with residency.use(KEY) as llava:
        generate, found = type(llava).generate, []
        llava.forget()

    def watched(self, *args, **settings):
        generation = generate(self, *args, **settings)
        found.append(weakref.ref(generation.cache))
        return generation

    monkeypatch.setattr(type(llava), "generate", watched)
    return found


def alive(caches) -> list[bool]:
    gc.collect()
    return [cache() is not None for cache in caches]


def is_free() -> bool:
    """Whether another visitor gets the device."""
    with ThreadPoolExecutor(1) as pool:
        stop = threading.Event()

        def use() -> bool:
            with residency.use(KEY, stop):
                return True

        visit = pool.submit(use)
        try:
            return visit.result(20) and residency.status(KEY).waiting == 0
        except TimeoutError:
            stop.set()
            return False


def library_answer(picture, question: str, count: int) -> tuple[int, ...]:
    """The ids of the library's own greedy answer."""
    import torch

    with residency.use(KEY) as llava:
        prompt = llava.prompt([Turn("user", question, [picture])])
        output = llava.model.generate(
            input_ids=prompt.input_ids,
            attention_mask=torch.ones_like(prompt.input_ids),
            **prompt.images,
            do_sample=False,
            max_new_tokens=count,
            suppress_tokens=sorted(llava.never_ids),
        )
        return tuple(output[0, len(prompt) :].tolist())


# Answers


@pytest.mark.parametrize("question", [DESCRIBE, "how many shapes are there?"])
def test_a_greedy_reply_is_the_librarys(scenes, question):
    for scene in scenes:
        assert answer(scene, question, max_new_tokens=40).ids == library_answer(scene, question, 40)


def test_events_tell_the_answer_as_it_grows(scenes):
    first, *tokens, last = chat([("user", DESCRIBE, scenes[0])])
    assert first == ChatEvent(text_tokens=first.text_tokens, image_tokens=64) and first.text_tokens > 3
    reply = last.reply
    assert [event.token for event in tokens] == list(reply.tokens) and len(tokens) > 3
    assert tokens[-1].text == last.text == reply.text == "".join(token.text for token in reply.tokens) != ""
    assert all(event.reply is None and event.text_tokens == reply.text_tokens for event in (first, *tokens))
    assert reply.ended == "end" and reply.remarks == () and reply.model == KEY and reply.handle
    assert reply.settings == {"max_new_tokens": 128, "temperature": 0, "top_p": 1, "seed": 0, "forced": {}}
    assert (reply.text_tokens, reply.image_tokens) == (first.text_tokens, 64)
    assert reply.tokens_per_second > 0 and reply.attention_seconds > 0


def test_a_reply_says_what_each_word_looked_at(scenes):
    reply = answer(scenes[1], DESCRIBE)
    words = reply.attention.words
    assert [word.text for word in words if word.role == "question"] == DESCRIBE.split()
    assert [word.text for word in words if word.role == "answer"] == re.findall(r"\w+|[^\w\s]", reply.text)
    assert reply.grounding.words == tuple(word.text for word in words)
    assert reply.grounding.maps.shape[1] == len(words) and reply.grounding.model == reply.attention.model == KEY
    np.testing.assert_array_equal(np.asarray(reply.attention.images[0]), np.asarray(scenes[1]))
    np.testing.assert_allclose(reply.attention.shares.sum(axis=-1), 1, atol=1e-4)


def test_pictures_come_in_every_form_and_number(scenes, tmp_path):
    path = tmp_path / "scene.png"
    scenes[0].save(path)
    expected = answer(scenes[0], DESCRIBE)
    for form in (path, str(path), bytearray(path.read_bytes()), np.asarray(scenes[0]), [scenes[0]]):
        assert answer(form, DESCRIBE).ids == expected.ids
    several = answer(scenes, DESCRIBE)
    assert several.image_tokens == 3 * 64 and len(several.attention.images) == 3


def test_a_question_needs_no_picture():
    reply = answer(None, "is there a circle?", max_new_tokens=3)
    assert reply.tokens and reply.image_tokens == 0 and reply.attention is None and reply.grounding is None
    assert chat([("user", "is there a circle?", None)]) and chat([Turn("user", "is there a circle?")])


def test_earlier_turns_are_read_again(scenes):
    turns = [("user", "what is this?", scenes[0]), ("assistant", "a red circle"), ("user", DESCRIBE, [scenes[1]])]
    *_, last = chat(turns)
    assert last.image_tokens == 128 and len(last.reply.attention.layouts) == 2
    assert [word.text for word in last.reply.attention.words if word.role == "question"] == DESCRIBE.split()


def test_drawn_answers_are_the_same_for_the_same_seed(scenes):
    replies = [answer(scenes[0], DESCRIBE, temperature=3, seed=seed, max_new_tokens=8).ids for seed in (1, 1, 2, 3)]
    assert replies[0] == replies[1] and len(set(replies)) > 1
    assert answer(scenes[0], DESCRIBE, temperature=9, top_p=1e-9).ids == answer(scenes[0], DESCRIBE).ids


def test_numbers_may_be_of_any_kind(scenes):
    reply = answer(scenes[0], DESCRIBE, max_new_tokens=np.int64(3), seed=4.0, temperature=np.float32(1), top_p=1)
    assert len(reply.ids) <= 3 and reply.settings["seed"] == 4 and isinstance(reply.settings["seed"], int)


def test_the_package_offers_chat_and_answer():
    assert mmexplorer.chat is chat and mmexplorer.answer is answer


# What is remarked on


def test_a_forced_token_stands_and_one_beyond_the_end_is_remarked_on(scenes):
    free = answer(scenes[0], DESCRIBE)
    other = next(id for id, _, _ in free.tokens[1].alternatives if id != free.ids[1])
    reply = answer(scenes[0], DESCRIBE, forced={1: other})
    assert reply.ids[:2] == (free.ids[0], other) and reply.settings["forced"] == {1: other} and not reply.remarks
    late = answer(scenes[0], DESCRIBE, forced={len(free.ids) + 3: other})
    assert late.ids == free.ids
    assert late.remarks == (
        f"The answer ended after {len(free.ids)} tokens, before position {len(free.ids) + 3}, where one was to be "
        "forced.",
    )


def test_words_without_a_token_and_control_tokens_are_remarked_on(scenes):
    reply = answer(scenes[0], "is there a zorg floop?")
    assert reply.remarks == ("Toy LLaVA has no token for “zorg”, “floop”, and reads a blank instead.",)
    reply = answer(scenes[0], "is there a <image> circle?")
    assert "“<image>” would steer the model, and was read as plain text." in reply.remarks
    assert reply.image_tokens == 64 and reply.tokens


def test_a_long_question_is_answered_and_says_which_words_have_maps(scenes):
    reply = answer(scenes[0], "is there a red circle ? " * 60, max_new_tokens=2)
    assert reply.remarks == ("The question is long; of its words the last 256 have maps.",)


# Stops


@pytest.mark.parametrize("after", [0, 1, 2, 11])
def test_a_stop_after_any_token_leaves_a_reply_of_what_was_there(scenes, long, after):
    stop, full, seen = threading.Event(), answer(scenes[0], DESCRIBE, **long), []
    for event in chat([("user", DESCRIBE, scenes[0])], stop=stop, **long):
        seen += [event.token] * (event.token is not None)
        if len(seen) == after:
            stop.set()
    reply = event.reply
    # The first token came with the reading of the prompt.
    assert reply.ended == "stopped" and reply.tokens == tuple(seen) == full.tokens[: max(after, 1)]
    answered = [word.text for word in reply.attention.words if word.role == "answer"]
    assert reply.text.split() == answered == ["red"] * len(seen) and reply.grounding is not None
    assert is_free() and answer(scenes[0], DESCRIBE, **long).ids == full.ids


def test_a_stop_before_anything_is_a_reply_without_tokens(scenes):
    stop = threading.Event()
    stop.set()
    *_, last = chat([("user", DESCRIBE, scenes[0])], stop=stop)
    assert (last.reply.ended, last.reply.tokens, last.reply.text, last.reply.handle) == ("stopped", (), "", "")
    assert last.reply.attention is None and last.reply.grounding is None and is_free()


def test_a_stop_while_standing_in_line_is_a_reply_without_tokens(scenes):
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with residency.use(KEY):
            visit = pool.submit(lambda: list(chat([("user", DESCRIBE, scenes[0])], stop=stop)))
            while residency.status(KEY).waiting == 0:
                assert not visit.done()
            stop.set()
            (last,) = visit.result(20)
        assert last.reply.ended == "stopped" and not last.reply.tokens and is_free()


def test_a_stop_while_the_prompt_is_read_leaves_the_questions_maps(scenes):
    stop = threading.Event()
    with residency.use(KEY) as llava:
        hook = llava.model.lm_head.register_forward_hook(lambda *_: stop.set())
    try:
        *_, last = chat([("user", DESCRIBE, scenes[0])], stop=stop)
    finally:
        hook.remove()
    assert last.reply.ended == "stopped" and last.reply.tokens == ()
    assert [word.text for word in last.reply.attention.words] == DESCRIBE.split() and is_free()


# Closed iterators and faults


@pytest.mark.parametrize("events", [0, 1, 2, 12])
def test_closing_the_iterator_gives_the_device_and_the_cache_back(scenes, caches, long, events):
    iterator = chat([("user", DESCRIBE, scenes[0])], **long)
    for _ in range(events):
        next(iterator)
    iterator.close()
    assert is_free() and alive(caches) == [False] * bool(events)
    assert list(iterator) == []


def test_the_device_is_free_when_the_last_event_is_there(scenes):
    iterator = chat([("user", DESCRIBE, scenes[0])])
    while next(iterator).reply is None:
        assert residency.loaded()[-1].in_use
    assert is_free() and not any(model.in_use for model in residency.loaded())


def test_an_error_of_the_model_reaches_the_caller_and_leaves_nothing_locked(scenes, caches):
    with residency.use(KEY) as llava:
        hook = llava.model.lm_head.register_forward_hook(lambda *_: 1 / 0)
    try:
        with pytest.raises(ZeroDivisionError):
            answer(scenes[0], DESCRIBE)
    finally:
        hook.remove()
    assert is_free() and alive(caches) == [False] and answer(scenes[0], DESCRIBE).tokens


def test_an_error_of_the_caller_leaves_nothing_locked(scenes, caches):
    def careless() -> None:
        for event in chat([("user", DESCRIBE, scenes[0])]):
            raise KeyError(event.text)

    with pytest.raises(KeyError):
        careless()
    assert is_free() and alive(caches) == [False]


def test_without_memory_for_an_answer_earlier_ones_are_let_go_and_it_is_said(scenes, caches):
    earlier = answer(scenes[0], DESCRIBE)
    with residency.use(KEY) as llava:

        def fail(*_):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

        hook = llava.model.lm_head.register_forward_hook(fail)
    del llava
    try:
        with pytest.raises(Refusal, match="Toy LLaVA ran out of memory while working"):
            answer(scenes[1], DESCRIBE)
    finally:
        hook.remove()
    assert alive(caches) == [False, False] and is_free()
    assert answer(scenes[0], DESCRIBE).ids == earlier.ids


def test_without_memory_for_maps_the_answer_stays(scenes, monkeypatch):
    from mmexplorer.models import llava_answers

    expected = answer(scenes[0], DESCRIBE)

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(llava_answers, "replay", fail)
    reply = answer(scenes[0], DESCRIBE)
    assert reply.ids == expected.ids and reply.attention is None and reply.grounding is None
    assert reply.remarks == ("There was not enough memory for the maps of this answer.",) and is_free()


# What stays of an answer


def test_what_is_kept_goes_with_the_conversation_or_the_model(scenes, caches):
    replies = [answer(scene, DESCRIBE) for scene in scenes]
    assert alive(caches) == [True] * 3
    forget(replies[0])
    assert alive(caches) == [False, True, True]
    residency.evict(KEY)
    assert alive(caches) == [False] * 3
    forget(replies[1])  # which loads nothing
    assert KEY not in [model.key for model in residency.loaded()]


def test_an_answer_is_recalled_with_the_same_rows_after_the_model_was_away(scenes):
    turns = [("user", DESCRIBE, scenes[:2]), ("assistant", "a red circle"), ("user", "what colour is the circle?")]
    *_, last = chat(turns)
    reply = last.reply
    residency.evict(KEY)
    from mmexplorer.models.llava_answers import attention

    opened = conversation(turns)
    with residency.use(KEY) as llava:
        again = attention(llava, llava.recall(reply.handle, opened, reply.ids), opened[0].pictures)
    np.testing.assert_allclose(again.mean, reply.attention.mean, atol=5e-4)
    np.testing.assert_allclose(again.shares, reply.attention.shares, atol=1e-4)
    assert again.words == reply.attention.words


# What is refused, before any model is touched


@pytest.fixture
def no_model(monkeypatch):
    def refuse(*_):
        raise AssertionError("A model was asked for.")

    monkeypatch.setattr(chats.residency, "use", refuse)


ORDER = "A conversation goes user, assistant, user and so on, and ends with the user."
SHAPE = 'A turn is a role and a text, such as ("user", "what is this?"), and pictures if there are any.'


@pytest.mark.parametrize(
    ("turns", "sentence"),
    [
        ([], ORDER),
        (None, ORDER),
        ("what is this?", ORDER),
        (7, ORDER),
        ([("assistant", "a circle")], ORDER),
        ([("user", "what?"), ("assistant", "a circle")], ORDER),
        ([("user", "what?"), ("user", "what?")], ORDER),
        ([("system", "be brief")], ORDER),
        (["what is this?"], SHAPE),
        ([("user",)], SHAPE),
        ([{"role": "user"}], SHAPE),
        ([("user", "what?", None, None)], SHAPE),
        ([("user", 5)], "The role and the text of a turn must be texts."),
        ([(None, "what?")], "The role and the text of a turn must be texts."),
        ([("user", " \n\t ")], "Type a question or add a picture first."),
        ([("user", "", [])], "Type a question or add a picture first."),
        ([("user", "what?", "nowhere.png")], "There is no picture file at nowhere.png."),
        ([("user", "what?", [b""])], "Picture 1 is an empty file; choose a picture such as a PNG or JPEG."),
        ([("user", "what?", 5)], "Picture 1 is of type int, not a picture; pass a file, an array or an image."),
        (
            [("user", "what?", Image.new("RGB", (4, 4))), ("assistant", "a"), ("user", "and?", [b"notes"])],
            "Picture 2 is not a picture that can be read; use PNG, JPEG, WebP, GIF, BMP or TIFF.",
        ),
        (
            [("user", "what?", [Image.new("RGB", (4, 4))] * 50)],
            "A conversation has at most 16 pictures, and this one has 50; shorten it.",
        ),
        (
            [("user", "a"), ("assistant", "b")] * 100 + [("user", "a")],
            "A conversation has at most 200 turns, and this one has 201; shorten it.",
        ),
        (
            [("user", "x" * 60_000)],
            "A conversation has at most 50,000 characters, and this one has 60,000; shorten it.",
        ),
    ],
)
def test_what_is_no_conversation_is_refused(no_model, turns, sentence):
    with pytest.raises(Refusal) as caught:
        chat(turns)
    assert str(caught.value) == sentence


TEMPERATURE = "temperature must be 0, for the likeliest token, or from 0.01 to 10."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        *(
            ({"max_new_tokens": value}, "max_new_tokens must be a whole number from 1 to 1,024.")
            for value in (0, -1, 1025, 10**30, 2.5, math.nan, math.inf, None, "12", True)
        ),
        *(({"temperature": value}, TEMPERATURE) for value in (-1, 1e-320, 11, 1e308)),
        *(
            ({"temperature": value}, "temperature must be a number.")
            for value in (math.nan, math.inf, None, "1", True, [1], 10**400)
        ),
        *(({"top_p": value}, "top_p must be above 0 and at most 1.") for value in (0, -0.5, 1.01)),
        ({"top_p": math.nan}, "top_p must be a number."),
        *(
            ({"seed": value}, "seed must be a whole number from 0 to 9,223,372,036,854,775,807.")
            for value in (-1, 2**63, 0.5, None)
        ),
        ({"forced": [1, 2]}, "forced must give a token id for each position, such as {2: 17}."),
        ({"forced": {-1: 5}}, "A forced position must be a whole number from 0 to 1,023."),
        ({"forced": {"0": 5}}, "A forced position must be a whole number from 0 to 1,023."),
        ({"forced": {0: "red"}}, "A forced token must be a whole number from 0 to 2,147,483,648."),
        ({"model": "toy-clip"}, "Toy CLIP, full coverage does not chat; choose toy-llava"),
        ({"model": "no-such"}, "There is no model called 'no-such'; try "),
    ],
)
def test_settings_without_sense_are_refused(no_model, settings, sentence):
    with pytest.raises(Refusal) as caught:
        chat([("user", "what is this?")], **settings)
    assert str(caught.value).startswith(sentence) and str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("turns", "settings", "said"),
    [
        ([("user", "a " * 5_000)], {}, r"has 5,0\d\d tokens, and Toy LLaVA reads 1,024 at most"),
        ([("user", "what?", [Image.new("RGB", (4, 4))] * 16)], {}, r"1,?024 of them for 16 pictures, and Toy LLaVA"),
        ([("user", "what?")], {"forced": {0: 10_000}}, "Token 10000 cannot stand in an answer."),
    ],
)
def test_what_the_model_cannot_take_is_refused_and_leaves_nothing_locked(turns, settings, said):
    with pytest.raises(Refusal, match=said):
        list(chat(turns, **settings))
    assert is_free()


def test_characters_that_are_no_unicode_are_read_as_question_marks(scenes):
    assert conversation([("user", "is it \ud800 ?")])[0].text == "is it ? ?"
    assert isinstance(answer(scenes[0], "is there a circle \udcff?", max_new_tokens=2), Reply)
