"""The chat tab when things go wrong: Stop, visitors who leave, bad pictures, and texts that look like code."""

import asyncio
import sys
import threading
import time

import pytest
from gradio.queueing import Queue
from gradio.utils import LRUCache

import mmexplorer
from mmexplorer import residency
from mmexplorer.explore.chat import MAX_PICTURES
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.models.llava_generation import Generation

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

PAIR = ASSETS / "images" / "chat" / "red-circle-blue-square.png"
QUESTION = "describe the picture"


class Gate:
    """Lets answers write so many tokens, and then only those that are let through."""

    def __init__(self):
        self.free, self.open, self.ended = 3, threading.Event(), threading.Event()

    def wait(self, generation) -> None:
        while len(generation.ids) >= self.free and not self.open.is_set():
            if generation._stop.is_set():
                self.ended.set()
                return
            time.sleep(0.01)


@pytest.fixture
def gate(monkeypatch):
    held, following = Gate(), Generation.__next__

    def patient(self):
        held.wait(self)
        return following(self)

    monkeypatch.setattr(Generation, "__next__", patient)
    yield held
    held.open.set()


def begin(chat) -> None:
    """Asks, and waits until a part of the answer is on the page."""
    chat.upload(PAIR)
    chat.page.locator("#chat-question textarea").fill(QUESTION)
    chat.page.locator("#chat-ask").click()
    expect(chat.talk.locator("[data-testid=bot]")).not_to_have_count(0, timeout=90_000)


def free_again() -> bool:
    """Whether somebody else can have the device, and soon nobody waits for it to give back what was kept."""
    for _ in range(100):
        with residency.use("toy-llava", threading.Event()):
            if residency.status("toy-llava").waiting == 0:
                return True
        time.sleep(0.05)
    return False


def test_stop_keeps_what_was_written_with_its_maps_and_frees_the_device(chat, gate):
    begin(chat)
    with chat.finished():
        chat.page.locator("#chat-stop").click()
    assert gate.ended.wait(10)
    gate.open.set()
    whole = mmexplorer.answer(PAIR, QUESTION).text
    part = chat.said()[-1]
    assert part and whole.startswith(part) and part != whole
    expect(chat.status).to_contain_text("Stopped")
    expect(chat.viewer.locator(".chip")).not_to_have_count(0)
    assert free_again()
    assert chat.ask("how many shapes are there?")


def test_stop_before_the_first_token_gives_the_question_back(chat, gate):
    gate.free = 0
    chat.upload(PAIR)
    with chat.finished():
        chat.page.locator("#chat-question textarea").fill(QUESTION)
        chat.page.locator("#chat-ask").click()
        expect(chat.page.locator("#chat-question textarea")).to_have_value("")
        chat.page.locator("#chat-stop").click()
    expect(chat.status).to_contain_text("Stopped")
    expect(chat.page.locator("#chat-question textarea")).to_have_value(QUESTION)
    expect(chat.page.locator("#chat-strip button[aria-label^=Thumbnail]")).to_have_count(1)
    assert chat.said() == [] and free_again()


@pytest.mark.parametrize("noticed", [True, False])
def test_a_visitor_who_leaves_stops_the_computation(chat, gate, monkeypatch, noticed):
    """Also where Gradio does not notice that the stream of updates is broken."""
    clean = Queue.clean_events

    def cleans(self, **whom):
        return asyncio.sleep(0) if sys._getframe(1).f_code.co_name == "sse_stream" else clean(self, **whom)

    if not noticed:
        monkeypatch.setattr(Queue, "clean_events", cleans)
        monkeypatch.setattr(LRUCache, "__delitem__", lambda self, key: None)  # what is sent to nobody is kept
    begin(chat)
    chat.page.close()
    assert gate.ended.wait(30)
    assert free_again()


def test_another_question_instead_of_the_one_that_is_being_answered(chat, gate):
    begin(chat)
    gate.free = 99
    with chat.finished():
        chat.talk.get_by_role("button", name="Edit").click()
        chat.talk.locator("textarea").fill("how many shapes are there?")
        chat.talk.get_by_role("button", name="Submit").click()
    expected = mmexplorer.answer(PAIR, "how many shapes are there?").text
    expect(chat.talk.locator("[data-testid=bot]")).to_have_text(expected)
    assert chat.said() == ["how many shapes are there?", expected] and free_again()


def test_clearing_while_an_answer_is_written_ends_it(chat, gate):
    begin(chat)
    chat.talk.get_by_role("button", name="Clear").click()
    assert gate.ended.wait(10)
    expect(chat.talk).to_contain_text("Add a picture, then ask about it")
    gate.open.set()
    assert free_again()
    chat.page.wait_for_timeout(500)  # nothing of the old answer comes after
    assert chat.said() == []


def test_two_visitors_get_their_own_answers(chat, visit, address, chat_tab):
    other = chat_tab(visit(f"{address}/?tab=chat"))
    other.upload(ASSETS / "images" / "chat" / "three-yellow-stars.png")
    chat.upload(PAIR)
    other.page.locator("#chat-question textarea").fill(QUESTION)
    other.page.locator("#chat-ask").click()
    assert chat.ask(QUESTION) == mmexplorer.answer(PAIR, QUESTION).text
    expected = mmexplorer.answer(ASSETS / "images" / "chat" / "three-yellow-stars.png", QUESTION).text
    expect(other.talk.locator("[data-testid=bot]")).to_have_text(expected)


def test_bad_input_is_one_sentence_and_nothing_is_lost(chat, tmp_path):
    with chat.finished():
        chat.page.locator("#chat-ask").click()
    expect(chat.status).to_have_text("Type a question or add a picture first.")
    (tmp_path / "text.png").write_bytes(b"not a picture")
    chat.page.locator("#chat-strip input[type=file]").first.set_input_files(str(tmp_path / "text.png"))
    chat.page.locator("#chat-strip").get_by_role("button", name="Delete image").wait_for()
    with chat.finished():
        chat.page.locator("#chat-question textarea").fill(QUESTION)
        chat.page.locator("#chat-ask").click()
    expect(chat.status).to_contain_text("text.png is not a picture that can be read")
    assert "text.png is not a picture" in chat.toast()
    assert chat.typed() == QUESTION
    chat.page.locator("#chat-strip").get_by_role("button", name="Delete image").click()
    chat.upload(*[PAIR] * (MAX_PICTURES + 1))
    with chat.finished():
        chat.page.locator("#chat-ask").click()
    expect(chat.status).to_contain_text(f"at most {MAX_PICTURES} pictures")
    assert chat.typed() == QUESTION and chat.pictures() == MAX_PICTURES + 1
    chat.page.get_by_role("button", name="What each patch says").click()
    with chat.finished():
        chat.page.locator("#chat-read").click()
    expect(chat.status).to_contain_text("Ask something about a picture first")


def test_what_looks_like_code_stays_text(chat):
    hostile = "<image> <img src=x onerror=\"document.title='pwned'\"> &lt;b&gt; $$x$$ **bold** zebra"
    chat.upload(PAIR)
    chat.ask(hostile)
    assert chat.said()[0] == hostile
    assert chat.page.title() == "mmexplorer"
    meta = chat.page.locator("#chat-meta")
    expect(meta).to_contain_text("no token for")
    expect(meta).to_contain_text("read as plain text")


def test_a_question_without_a_picture_is_answered_without_maps(chat):
    assert chat.ask("what is this?")
    expect(chat.tokens.locator(".token")).not_to_have_count(0)
    expect(chat.viewer).to_contain_text("Ask about a picture")
