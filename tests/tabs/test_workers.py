"""The threads that do slow work: the one that worked last is asked first, and there are never more than allowed."""

import gc
import logging
import threading
import weakref

import pytest

from mmexplorer.tabs.workers import Workers

PATIENCE = 10.0


class Work:
    """A task that waits until it is let go, and says in which thread it was done."""

    def __init__(self):
        self.begun, self.go, self.done, self.thread = (*(threading.Event() for _ in range(3)), "")

    def __call__(self) -> None:
        self.thread = threading.current_thread().name
        self.begun.set()
        assert self.go.wait(PATIENCE)
        self.done.set()


def idle(workers: Workers, count: int) -> None:
    """Waits until so many of the threads have nothing to do."""
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if len(workers._idle) == count:
            return
        waited.wait(0.01)
    raise AssertionError(f"{len(workers._idle)} of {count} are idle")


def test_whoever_worked_last_is_asked_first():
    workers = Workers(8, 8)
    first, second = Work(), Work()
    for work in (first, second):
        workers.submit(work)
        assert work.begun.wait(PATIENCE)
    first.go.set()
    idle(workers, 1)
    second.go.set()
    idle(workers, 2)
    for _ in range(3):
        later = Work()
        later.go.set()
        workers.submit(later)
        assert later.done.wait(PATIENCE) and later.thread == second.thread != first.thread
        idle(workers, 2)


def test_what_is_too_much_waits_in_order():
    workers = Workers(2, 2)
    given = [Work() for _ in range(5)]
    for work in given:
        workers.submit(work)
    for number, work in enumerate(given):
        assert work.begun.wait(PATIENCE)
        assert not any(later.begun.is_set() for later in given[number + 2 :])
        work.go.set()
        assert work.done.wait(PATIENCE)
    assert len({work.thread for work in given}) == 2


def test_what_fails_is_in_the_log_and_the_thread_goes_on(caplog):
    workers = Workers(1, 1)
    with caplog.at_level(logging.ERROR):
        workers.submit(lambda: 1 / 0)
        idle(workers, 1)
    assert "ZeroDivisionError" in caplog.text
    again = Work()
    again.go.set()
    workers.submit(again)
    assert again.done.wait(PATIENCE) and workers._count == 1


def test_threads_beyond_those_kept_end_and_new_ones_may_come():
    workers = Workers(3, 1)
    for _ in range(2):
        given = [Work() for _ in range(3)]
        for work in given:
            workers.submit(work)
            assert work.begun.wait(PATIENCE)
        for work in given:
            work.go.set()
        ended = threading.Event()
        for _ in range(int(PATIENCE / 0.01)):
            if workers._count == len(workers._idle) == 1:
                break
            ended.wait(0.01)
        assert workers._count == len(workers._idle) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_an_idle_thread_holds_nothing_of_what_it_did(fails, monkeypatch):
    class Made:
        def __call__(self):
            assert not fails

    # pytest keeps what is logged, and with it the traceback.
    monkeypatch.setattr(logging.getLogger("mmexplorer.tabs.workers"), "disabled", True)
    workers, made = Workers(1, 1), Made()
    gone = weakref.ref(made)
    workers.submit(made)
    idle(workers, 1)
    del made
    gc.collect()
    assert gone() is None
