"""Work that reports by a callback, as a generator. Knows nothing of what is worked on."""

import contextvars
import queue
import threading
from collections.abc import Callable, Generator
from typing import Any

from mmexplorer import runtime


class Left(BaseException):
    """Raised within `report` when nobody waits for the rest; no `except Exception` on the way may keep it."""


def stepwise(work: Callable[[Callable[[Any], None]], Any]) -> Generator[Any, None, Any]:
    """Yields what work(report) reports and returns its result; it works only while the next report is waited for.

    A library's loop that calls back cannot be iterated over, so it runs in a thread of its own, in a copy of the
    caller's context, which stands still in `report` until the caller goes on. Closing the generator unwinds it there.
    """
    reports: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    go_on = threading.Semaphore(0)
    left = False

    def report(item: Any) -> None:
        reports.put(("item", item))
        go_on.acquire()
        if left:
            raise Left

    def run() -> None:
        try:
            reports.put(("result", work(report)))
        except BaseException as error:
            reports.put(("error", error))

    runtime.release_helpers()  # which would only slow down those of the thread
    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    try:
        while True:
            kind, value = reports.get()
            if kind == "result":
                return value
            if kind == "error":
                raise value
            yield value
            go_on.release()
    finally:
        left = True
        go_on.release()
        thread.join()
