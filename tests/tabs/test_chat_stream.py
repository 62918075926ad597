import threading
from contextlib import closing

import pytest

from mmexplorer.tabs.chat_stream import newest


def drained(stream) -> tuple[list, object]:
    seen = []
    while True:
        try:
            seen.append(next(stream))
        except StopIteration as end:
            return seen, end.value


def test_the_last_event_is_returned_however_fast_they_come():
    seen, last = drained(newest(lambda stop: iter(range(10_000)), threading.Event()))
    assert last == 9_999
    assert seen == sorted(seen) and len(seen) < 10_000  # the page is spared most of them


def test_it_yields_while_there_is_nothing_new_so_that_it_can_be_closed():
    stop, ended = threading.Event(), threading.Event()

    def events(stop):
        yield 1
        stop.wait(30)
        ended.set()

    with closing(newest(events, stop)) as stream:
        assert [next(stream) for _ in range(3)] == [1, 1, 1]
    assert stop.is_set() and ended.wait(5)


def test_before_the_first_event_it_yields_none():
    go = threading.Event()

    def events(stop):
        go.wait(30)
        yield 1

    stream = newest(events, threading.Event())
    assert next(stream) is None
    go.set()
    assert drained(stream)[1] == 1


def test_errors_come_through_and_set_no_stop():
    stop = threading.Event()

    def events(stop):
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drained(newest(events, stop))
    assert not stop.is_set()
