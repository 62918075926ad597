"""Runs slow work in a thread while the page hears how it is going, and stops the work when the visitor leaves.

Gradio ends a generator at once when a visitor cancels or disconnects, but never a running function: so the function
runs here, and the generator that waits for it passes the wish to stop on.
"""

import contextvars
import threading
from collections.abc import Callable, Generator
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE = 0.25  # seconds of silence before the first word; what is quicker needs none
PERIOD = 0.3


def with_status(work: Callable[[threading.Event], Result], status: Callable[[], str]) -> Generator[str, None, Result]:
    """Runs work(stop) in a thread, yields status() while it lasts, and returns its result or raises its error.

    Closing the generator sets `stop` and does not wait for the work to end: Gradio closes generators on its event
    loop, where waiting would halt the page for everybody. The device stays locked until the work lets go of it.
    """
    stop, done = threading.Event(), threading.Event()
    outcome: dict = {}

    def run() -> None:
        try:
            outcome["result"] = work(stop)
        except BaseException as error:
            outcome["error"] = error
        finally:
            done.set()

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
    try:
        wait = PATIENCE
        while not done.wait(wait):
            wait = PERIOD
            yield status()
    finally:
        stop.set()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]
