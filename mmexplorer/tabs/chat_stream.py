"""Follows an answer that a thread computes, and tells the page of it at most ten times a second.

The page only ever wants the newest event, so a slow connection never slows the model down. Knows nothing of chats.
"""

import contextvars
import threading
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TypeVar

from mmexplorer.tabs.background import PATIENCE, PERIOD, longer
from mmexplorer.tabs.workers import WORKERS

Event = TypeVar("Event")
PAUSE = 0.1  # seconds between two updates of the page


def newest(
    events: Callable[[threading.Event], Iterator[Event]], stop: threading.Event
) -> Generator[Event | None, None, Event | None]:
    """Iterates over events(stop) in a thread and yields the newest, at least every 0.3 s; returns the last one.

    While there is no first event it yields None, more and more seldom, so that the caller can say what it waits for.
    Raises what the iterator raises. Closing the generator sets `stop` and does not wait for the thread to end, because
    Gradio closes generators on its event loop; the iterator is closed by its own thread.
    """
    fresh, over = threading.Event(), threading.Event()
    last: list[Event | None] = [None]
    errors: list[BaseException] = []

    def run() -> None:
        try:
            for event in events(stop):
                last[0] = event
                # Nobody waits for this during a pause: waking a thread at each event would slow the iterator down.
                fresh.set()
        except BaseException as error:
            errors.append(error)
        finally:
            over.set()
            fresh.set()

    WORKERS.submit(partial(contextvars.copy_context().run, run))
    try:
        wait = PATIENCE
        while True:
            is_new = fresh.wait(wait)
            if over.is_set():
                break
            fresh.clear()
            yield last[0]  # also when there is none or no newer one: Gradio can close a generator only where it yields
            wait = longer(wait) if last[0] is None else PERIOD
            if is_new:
                over.wait(PAUSE)  # the pause ends early with the answer
    finally:
        if not over.is_set():
            stop.set()
    if errors:
        raise errors[0]
    return last[0]
