"""Work in a thread while its generator tells how it is going: results, errors, and what closing the generator does."""

import contextvars
import threading

import pytest

from mmexplorer.tabs import background
from mmexplorer.tabs.background import LONGEST_PERIOD, PERIOD, longer, with_status

visitor = contextvars.ContextVar("visitor")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(background, "PATIENCE", 0.01)
    monkeypatch.setattr(background, "PERIOD", 0.01)


def ended(job):
    """What the generator said, and what it returned."""
    said = []
    while True:
        try:
            said.append(next(job))
        except StopIteration as end:
            return said, end.value


def test_quick_work_needs_no_word(monkeypatch):
    monkeypatch.setattr(background, "PATIENCE", 60)
    assert ended(with_status(lambda stop: 7, lambda: "busy")) == ([], 7)


def test_slow_work_is_reported_until_it_is_done():
    said_twice = threading.Event()
    words = iter(["loading", "computing"])

    def status():
        word = next(words, "computing")
        if word == "computing":
            said_twice.set()
        return word

    said, result = ended(with_status(lambda stop: said_twice.wait(20) and "result", status))
    assert said[:2] == ["loading", "computing"]
    assert set(said[2:]) <= {"computing"}
    assert result == "result"


def test_an_error_of_the_work_comes_out_of_the_generator():
    def work(stop):
        raise ZeroDivisionError("of the work")

    with pytest.raises(ZeroDivisionError, match="of the work"):
        ended(with_status(work, str))


def test_closing_asks_the_work_to_stop_and_does_not_wait_for_it():
    asked_to_stop, may_end, over = threading.Event(), threading.Event(), threading.Event()

    def work(stop):
        if stop.wait(20):
            asked_to_stop.set()
        may_end.wait(20)
        over.set()

    job = with_status(work, lambda: "busy")
    assert next(job) == "busy"
    job.close()  # Gradio does this on its event loop, where waiting would halt every visitor
    assert not over.is_set()
    assert asked_to_stop.wait(20)
    may_end.set()
    assert over.wait(20)


def test_work_that_ends_by_itself_was_never_asked_to_stop():
    assert ended(with_status(lambda stop: stop.is_set(), str))[1] is False


def test_the_work_sees_the_context_of_its_visitor():
    visitor.set("Ada")
    assert ended(with_status(lambda stop: visitor.get(), str))[1] == "Ada"


def test_a_status_that_stays_the_same_is_told_more_and_more_seldom():
    periods = [PERIOD]
    while periods[-1] < LONGEST_PERIOD:
        periods.append(longer(periods[-1]))
    assert periods == [0.3, 0.6, 1.2] and longer(1.2) == 1.2
