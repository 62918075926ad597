"""Threads that do the slow work of all tabs: whoever worked last is asked first, so that few threads ever compute.

A toy model's answer takes four times as long in a new thread, so some stay. But each thread that has computed holds
megabytes until it ends, so many may not: the pools of concurrent.futures ask all their threads in turn, and end none.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from mmexplorer.turns import MOST_OF_ALL

Task = Callable[[], object]


class Workers:
    """At most that many threads, of which `kept` stay when there is nothing to do; more tasks wait for a free one."""

    def __init__(self, most: int, kept: int):
        self._most, self._kept, self._count = most, kept, 0
        self._idle: list[SimpleQueue[Task]] = []
        self._waiting: deque[Task] = deque()
        self._lock = threading.Lock()

    def submit(self, task: Task) -> None:
        """Runs the task in a thread; its result is dropped, and what it raises goes to the log."""
        with self._lock:
            if self._idle:
                self._idle.pop().put(task)
            elif self._count < self._most:
                self._count += 1
                mine: SimpleQueue[Task] = SimpleQueue()
                mine.put(task)
                threading.Thread(target=self._work, args=(mine,), name=f"work-{self._count}", daemon=True).start()
            else:
                self._waiting.append(task)

    def _work(self, mine: SimpleQueue[Task]) -> None:
        while True:
            task = mine.get()
            try:
                task()
            except Exception:
                logging.getLogger(__name__).exception("Work in the background failed")
            del task  # which may hold what it has made
            with self._lock:
                if self._waiting:
                    mine.put(self._waiting.popleft())
                elif len(self._idle) < self._kept:
                    self._idle.append(mine)
                else:
                    self._count -= 1
                    return


# All jobs that may stand in line for a device have a thread, and there are as many again for what needs none.
WORKERS = Workers(2 * MOST_OF_ALL, 6)
