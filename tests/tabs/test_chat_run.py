"""The chat's handlers without a page: what a visitor's next wish does to the one before, and what stays in memory."""

import dataclasses
import json
import threading
import time
from types import SimpleNamespace

import gradio as gr
import pytest

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore import chat
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.models.llava_generation import Generation
from mmexplorer.tabs import chat_look as look
from mmexplorer.tabs import chat_probe as probe
from mmexplorer.tabs import chat_run as run
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs import chat_show as show
from mmexplorer.tabs.shelf import Shelved

PAIR = str(ASSETS / "images" / "chat" / "red-circle-blue-square.png")
ANNA = SimpleNamespace(session_hash="anna")
SETTINGS = ("toy-llava", 0, 1, 8, 0)


def ask(talk=(), question="describe the picture", files=(PAIR,), settings=SETTINGS):
    return run.ask(question, [(file, None) for file in files], *settings, talk, {}, ANNA)


def last(updates, name: str, names=run.STREAMED):
    """The last value that updates gave to one of the named outputs."""
    values = [update[names.index(name)] for update in updates]
    return [value for value in values if value != gr.skip()][-1]


def kept() -> int:
    """How many answers the model keeps, known when the device is free."""
    with residency.use("toy-llava") as llava:
        return len(llava._kept)


def wait_for(true) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def nothing_kept():
    with residency.use("toy-llava") as llava:
        llava.forget()


@pytest.fixture
def gate(monkeypatch):
    """Answers write one token and wait then, until it is set or they are stopped."""
    opened, following = threading.Event(), Generation.__next__

    def patient(self):
        while self.ids and not opened.is_set() and not self._stop.is_set():
            time.sleep(0.01)
        return following(self)

    monkeypatch.setattr(Generation, "__next__", patient)
    yield opened
    opened.set()


def test_an_answer_that_nobody_waits_for_any_more_leaves_nothing(nothing_kept, gate):
    leaver = ask()
    for update in leaver:
        if "Answering" in str(update[0]):
            break
    leaver.close()
    wait_for(lambda: kept() == 0)
    gate.set()
    assert kept() == 0 and last(ask(), "talk")[-1].reply.tokens and kept() == 1


def test_answers_that_are_undone_asked_again_or_cleared_are_given_back(nothing_kept):
    talk = last(ask(), "talk")
    again = last(run.retry(*SETTINGS, talk, {}, ANNA), "talk")
    wait_for(lambda: kept() == 1)
    assert again[0].reply.handle != talk[0].reply.handle
    more = last(ask(again, "what is this?", ()), "talk")
    assert kept() == 2
    rest = last([run.undo(more, {}, ANNA)], "talk", run.OUTPUTS)
    wait_for(lambda: kept() == 1)
    run.clear(rest, ANNA)
    wait_for(lambda: kept() == 0)


def test_a_conversation_that_was_cleared_while_pictures_are_read_stays_cleared(monkeypatch):
    read, reading = threading.Event(), chat.conversation
    monkeypatch.setattr(chat, "conversation", lambda turns: (read.wait(30), reading(turns))[1])
    updates = ask()
    assert "Reading the pictures" in last([next(updates)], "status")
    run.clear((), ANNA)
    read.set()
    assert [update for update in updates if update[run.STREAMED.index("talk")] != gr.skip()] == []


def test_stop_ends_the_reading_of_pictures_too(monkeypatch):
    read, reading = threading.Event(), chat.conversation
    monkeypatch.setattr(chat, "conversation", lambda turns: (read.wait(30), reading(turns))[1])
    updates = ask()
    next(updates)
    session.JOBS.stop("anna")
    read.set()
    assert "Stopped" in last(updates, "status")


def test_a_question_whose_answer_never_came_does_not_stand_in_the_way():
    waiting = (session.new_exchange("what is this?", ()),)
    talk = last(ask(waiting), "talk")
    assert [exchange.question for exchange in talk] == ["describe the picture"] and talk[0].reply


def test_only_an_answer_that_has_just_been_written_is_shown(gate):
    gate.set()
    updates = list(ask())
    talk = last(updates, "talk")
    assert last(updates, "written") is True
    (views,) = run.show_written(True, talk, {}, ANNA)
    assert "answered in" in last([views], "status", run.SHOWN) and last([views], "tokens", run.SHOWN)
    assert last([views], "written", run.SHOWN) is False  # so that a question that is refused leaves its reason there
    for written, there in ((False, talk), (True, ()), (True, (session.new_exchange("what is this?", ()),))):
        assert list(run.show_written(written, there, {}, ANNA)) == [run.only(run.SHOWN)]


def test_texts_that_no_file_can_hold_are_answered():
    updates = list(ask(question="is there a \ud800 zebra?"))
    assert last(updates, "talk")[0].question == "is there a ? zebra?"
    views = list(run.show_written(True, last(updates, "talk"), {}, ANNA))
    shown = [last(updates, "chatbot"), *(last(views, name, run.SHOWN) for name in ("meta", "tokens", "code"))]
    json.dumps(shown, ensure_ascii=False).encode()
    refused = list(ask(question="a" * 60_000 + "\ud800"))
    json.dumps([update[0] for update in refused if isinstance(update[0], str)], ensure_ascii=False).encode()


def test_what_stays_in_a_session_is_plain():
    def kinds(value) -> set:
        if isinstance(value, Shelved):
            return kinds(value.value)
        if dataclasses.is_dataclass(value):
            return set().union(*(kinds(getattr(value, field.name)) for field in dataclasses.fields(value)))
        if isinstance(value, tuple | list):
            return set().union(*map(kinds, value))
        if isinstance(value, dict):
            return kinds([*value, *value.values()])
        return {type(value).__module__.split(".")[0]}

    assert kinds(last(ask(), "talk")) <= {"builtins", "numpy", "PIL"}


def test_an_answer_without_any_word_is_shown():
    with residency.use("toy-llava") as llava:
        end = next(iter(llava.end_ids))
    reply = chat.answer(PAIR, "", forced={0: end})
    assert reply.text == "" and reply.attention.words == ()
    exchange = session.new_exchange("", reply.attention.images)
    talk = session.answered((exchange,), reply)
    values = show.answer(talk, None, {})
    assert values["viewer"] is None and values["tokens"] and values["views"]
    given = (0, "gradient", "mean", 1, 1, "base", False, None)
    assert list(look.again(None, talk, {}, ANNA, *given)) == [(gr.skip(), gr.skip())]
    status, _ = list(probe.causal(None, 0, None, 4, False, talk, ANNA))[-1]
    assert "Choose a word of the answer" in status


def test_what_no_page_asks_is_refused_in_a_sentence():
    talk = last(ask(), "talk")
    event = gr.EventData(None, {"position": 0, "id": 10**12, "index": 7})
    with pytest.raises(Refusal, match="no answer yet"):
        next(run.force(None, (), {}, event, ANNA))
    assert "A forced token must be a whole number" in last(run.force(None, talk, {}, event, ANNA), "status")
    with pytest.raises(Refusal, match="not in the conversation"):
        next(run.edit(*SETTINGS, (), {}, event, ANNA))
    with pytest.raises(Refusal, match="not on the page"):
        next(run.force(None, talk, {}, gr.EventData(None, {"position": len(talk[0].reply.tokens), "id": 1}), ANNA))
    for view, picture, word, sentence in (
        ("gradient", 0, None, "Choose a word of the answer"),
        ("gradient", 0, 0, "Choose a word of the answer"),  # a word of the question
        ("gradient", 0, 10**9, "Choose a word of the answer"),
        ("attention", 1, None, "pictures 1 to 1"),
        ("relative", -1, None, "pictures 1 to 1"),
    ):
        given = (picture, view, "mean", 1, 1, "base", False, word)
        assert sentence in list(look.again(None, talk, {}, ANNA, *given))[-1][0]
    for layer, head in ((0, 1), (10**9, 1), (1, 10**9)):
        given = (0, "attention", "one", layer, head, "base", False, None)
        assert "This model has layers 1 to" in list(look.again(None, talk, {}, ANNA, *given))[-1][0]
    for patches in (10**9, -1):
        status, _ = list(probe.causal(None, 0, len(talk[0].maps.value.words) - 1, patches, False, talk, ANNA))[-1]
        assert "patches of this picture can be hidden" in status
