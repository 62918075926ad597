"""Taking turns at a device: a lock that is first come first served, may be nested and can be left while waiting.

A turn belongs to the code that took it, known by its context and not by its thread: another thread may continue a
generator, and a thread of a pool may continue with another visitor. The module knows nothing of models.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mmexplorer.hub import Stopped

# Between two looks at a stop flag, which cannot wake a waiting thread.
GLANCE_SECONDS = 0.1

# Of every lock, the turns that the running code holds.
_held: ContextVar[tuple[object, ...]] = ContextVar("held", default=())


class DeviceLock:
    """One device's lock."""

    def __init__(self):
        self._changed = threading.Condition()
        self._line: list[object] = []
        self._turn: object | None = None
        self._depth = 0

    @property
    def waiting(self) -> int:
        """How many stand in line, besides the one whose turn it is."""
        return len(self._line)

    @property
    def is_held(self) -> bool:
        """Whether the running code has its turn at the moment."""
        return self._turn is not None and self._turn in _held.get()

    @contextmanager
    def turn(self, stop: threading.Event | None = None) -> Iterator[None]:
        """Wait for one's turn and keep it until the block ends; Stopped if `stop` is set while waiting."""
        outer = _held.get()
        with self._changed:
            if not self.is_held:
                turn = object()
                self._line.append(turn)
                try:
                    wait_until(self._changed, lambda: self._turn is None and self._line[0] is turn, stop)
                    self._turn = turn
                finally:
                    self._line.remove(turn)
                    self._changed.notify_all()
            self._depth += 1
        _held.set((*outer, self._turn))
        try:
            yield
        finally:
            # Not reset(token): the block may end in another context than it began in.
            _held.set(outer)
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._turn = None
                    self._changed.notify_all()


def wait_until(
    changed: threading.Condition,
    ready: Callable[[], bool],
    stop: threading.Event | None = None,
    patience: float | None = None,
) -> bool:
    """Wait on a condition whose lock is held until ready(), at most `patience` seconds; whether it is ready.

    Raises Stopped as soon as `stop` is set.
    """
    deadline = None if patience is None else time.monotonic() + patience
    while not ready():
        if stop is not None and stop.is_set():
            raise Stopped("Stopped while waiting.")
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        glance = GLANCE_SECONDS if stop is not None else None
        changed.wait(min((seconds for seconds in (left, glance) if seconds is not None), default=None))
    return True
