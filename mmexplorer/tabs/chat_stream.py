"""Follows an answer that a thread computes, and tells the page of it at most ten times a second.

The page only ever wants the newest event, so a slow connection never slows the model down. Knows nothing of chats.
"""

import contextvars
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from mmexplorer.tabs.background import PATIENCE, PERIOD, WORKERS

Event = TypeVar("Event")
PAUSE = 0.1  # seconds between two updates of the page


def newest(
    events: Callable[[threading.Event], Iterator[Event]], stop: threading.Event
) -> Generator[Event | None, None, Event | None]:
    """Iterates over events(stop) in a thread and yields the newest, at least every 0.3 s; returns the last one.

    While there is no first event it yields None, so that the caller can say what it is waiting for.
    Raises what the iterator raises. Closing the generator sets `stop` and does not wait for the thread to end, because
    Gradio closes generators on its event loop; the iterator is closed by its own thread.
    """
    changed, box = threading.Condition(), {"last": None, "seen": True, "over": False, "error": None}

    def run() -> None:
        try:
            for event in events(stop):
                with changed:
                    box["last"], box["seen"] = event, False
                    changed.notify()
        except BaseException as error:
            box["error"] = error
        finally:
            with changed:
                box["over"] = True
                changed.notify()

    WORKERS.submit(contextvars.copy_context().run, run)
    try:
        wait = PATIENCE
        while True:
            with changed:
                changed.wait_for(lambda: box["over"] or not box["seen"], wait)
                if box["over"]:
                    break
                event, fresh = box["last"], not box["seen"]
                box["seen"] = True
            yield event  # also when there is none or no newer one: Gradio can close a generator only where it yields
            wait = PERIOD
            if fresh:
                with changed:  # the pause ends early with the answer
                    changed.wait_for(lambda: box["over"], PAUSE)
    finally:
        if not box["over"]:
            stop.set()
    if box["error"] is not None:
        raise box["error"]
    return box["last"]
