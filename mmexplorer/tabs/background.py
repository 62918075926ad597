"""Runs slow work in a thread while the page hears how it is going, and stops the work when the visitor leaves.

Gradio ends a generator at once when a visitor cancels or disconnects, but never a running function: so the function
runs here, and the generator that waits for it passes the wish to stop on.
"""

import contextvars
import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar

from mmexplorer.tabs.workers import WORKERS

Result = TypeVar("Result")

PATIENCE = 0.25  # seconds of silence before the first word; what is quicker needs none
PERIOD = 0.3
LONGEST_PERIOD = 1.2  # of a status that stays the same: many may be waiting, and telling each costs time too


def with_status(
    work: Callable[[threading.Event], Result], status: Callable[[], str], stop: threading.Event | None = None
) -> Generator[str, None, Result]:
    """Runs work(stop) in a thread, yields status() while it lasts, and returns its result or raises its error.

    An event may be given as `stop` so that somebody else can end the work while its result is still waited for.

    Closing the generator sets `stop` and does not wait for the work to end: Gradio closes generators on its event
    loop, where waiting would halt the page for everybody. The device stays locked until the work lets go of it.
    """
    stop, done = stop or threading.Event(), threading.Event()
    outcome: dict = {}

    def run() -> None:
        try:
            outcome["result"] = work(stop)
        except BaseException as error:
            outcome["error"] = error
        finally:
            done.set()

    WORKERS.submit(partial(contextvars.copy_context().run, run))
    try:
        wait, last = PATIENCE, None
        while not done.wait(wait):
            said = status()
            wait, last = longer(wait) if said == last else PERIOD, said
            yield said
    finally:
        if not done.is_set():  # the generator was closed; what comes after finished work may use the same event
            stop.set()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def longer(period: float) -> float:
    """How long to wait after a period in which nothing new was to be said."""
    return min(2 * period, LONGEST_PERIOD)
