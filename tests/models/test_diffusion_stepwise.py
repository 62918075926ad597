"""Work that calls back becomes an iterator: in turn with its reader, and gone when the reader leaves."""

import contextvars
import threading

import pytest

from mmexplorer import runtime
from mmexplorer.models.diffusion_stepwise import stepwise

COLOUR = contextvars.ContextVar("colour", default="none")


def counting(done):
    def work(report):
        for number in range(3):
            done.append(number)
            report(number)
        return "all"

    return work


def test_items_come_in_order_and_the_result_at_the_end():
    seen = []

    def reader():
        seen.append((yield from stepwise(counting([]))))

    assert list(reader()) == [0, 1, 2] and seen == ["all"]


def test_nothing_is_done_ahead_of_the_reader():
    done = []
    items = stepwise(counting(done))
    assert done == []
    next(items)
    next(items)
    assert done == [0, 1]
    items.close()
    assert done == [0, 1]


def test_the_readers_helpers_are_gone_before_the_work_begins(monkeypatch):
    done = []
    monkeypatch.setattr(runtime, "release_helpers", lambda: done.append(threading.current_thread()))
    assert list(stepwise(counting(done))) == [0, 1, 2]
    assert done == [threading.current_thread(), 0, 1, 2]


def test_leaving_unwinds_the_work_and_ends_its_thread():
    unwound, before = [], threading.active_count()

    def work(report):
        try:
            try:
                report(1)
            except Exception:
                unwound.append("swallowed")
        finally:
            unwound.append("finally")

    items = stepwise(work)
    next(items)
    assert threading.active_count() == before + 1
    items.close()
    assert unwound == ["finally"] and threading.active_count() == before


def test_an_error_reaches_the_reader():
    def work(report):
        report(1)
        raise KeyError("broken")

    items = stepwise(work)
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_the_work_runs_in_the_readers_context():
    token = COLOUR.set("red")
    try:
        assert list(stepwise(lambda report: report(COLOUR.get()))) == ["red"]
    finally:
        COLOUR.reset(token)
