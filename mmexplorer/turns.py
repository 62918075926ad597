"""Taking turns at a device: a lock that is first come first served, may be nested and can be left while waiting.

A turn belongs to the code that took it, known by its context and not by its thread: another thread may continue a
generator, and a thread of a pool may continue with another visitor. The module knows nothing of models: a kind of turn
is a name, and how long such turns took of late tells how long the wait will be.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from mmexplorer.errors import Refusal
from mmexplorer.hub import Stopped

# Between two looks at a stop flag, which cannot wake a waiting thread.
GLANCE_SECONDS = 0.1
# How much the newest turn counts for what the next one is expected to take.
NEWEST = 0.3
# Jobs that may use models or wait to: of one visitor, and of all visitors together.
MOST_OF_ONE = 3
MOST_OF_ALL = 64


@dataclass(frozen=True)
class Caller:
    """For whom the running code works: a visitor, and which of the things that they asked for."""

    visitor: str
    job: str


# Nobody in particular, such as a script, is not counted.
caller: ContextVar[Caller | None] = ContextVar("caller", default=None)

# Of every lock, the turns that the running code holds.
_held: ContextVar[tuple[object, ...]] = ContextVar("held", default=())


@dataclass(eq=False)
class _Turn:
    kind: str
    caller: Caller | None = field(default_factory=caller.get)
    began: float | None = None


class DeviceLock:
    """One device's lock; the clock is there for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._changed = threading.Condition()
        self._clock = clock
        self._line: list[_Turn] = []
        self._turn: _Turn | None = None
        self._depth = 0
        self._seconds: dict[str, float] = {}  # that a turn of each kind is expected to take

    @property
    def waiting(self) -> int:
        """How many stand in line, besides the one whose turn it is."""
        return len(self._line)

    @property
    def is_held(self) -> bool:
        """Whether the running code has its turn at the moment."""
        return self._turn is not None and self._turn in _held.get()

    def ahead(self) -> tuple[int, float | None]:
        """How many turns come before that of the running code's caller, and about how many seconds they will take.

        None comes before who is not in line. Seconds are None if there is no turn yet to go by.
        """
        mine = caller.get()
        with self._changed:
            turns = [self._turn, *self._line] if self._turn else self._line
            place = next((i for i, turn in enumerate(turns) if mine is not None and turn.caller == mine), 0)
            return place, sum(map(self._left, turns[:place])) if self._seconds else None

    @contextmanager
    def turn(self, stop: threading.Event | None = None, kind: str = "") -> Iterator[None]:
        """Wait for one's turn and keep it until the block ends; Stopped if `stop` is set while waiting."""
        outer = _held.get()
        with self._changed:
            if not self.is_held:
                turn = _Turn(kind)
                self._line.append(turn)
                try:
                    wait_until(self._changed, lambda: self._turn is None and self._line[0] is turn, stop)
                    self._turn, turn.began = turn, self._clock()
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
                    self._learn(self._turn)
                    self._turn = None
                    self._changed.notify_all()

    def _learn(self, turn: _Turn) -> None:
        took = self._clock() - turn.began
        self._seconds[turn.kind] = (1 - NEWEST) * self._seconds.get(turn.kind, took) + NEWEST * took

    def _left(self, turn: _Turn) -> float:
        """Seconds that a turn is expected to take from now on; one that is late, as long as it is late already."""
        usual = self._seconds.get(turn.kind, sum(self._seconds.values()) / len(self._seconds))
        return abs(usual - (self._clock() - turn.began)) if turn.began is not None else usual


class Places:
    """Counts the jobs of callers that use models or wait to, so that no visitor and no crowd asks for too much."""

    def __init__(self):
        self._lock = threading.Lock()
        self._taken: Counter[Caller] = Counter()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place until the block ends, one for all that a job does; Refusal if the visitor or all have too many."""
        mine = caller.get()
        if mine is None:
            yield
            return
        with self._lock:
            others = [one for one in self._taken if one != mine]
            if sum(one.visitor == mine.visitor for one in others) >= MOST_OF_ONE:
                raise Refusal(
                    f"{MOST_OF_ONE} of your jobs are running or in line already; stop one, or wait until one is done."
                )
            if len(others) >= MOST_OF_ALL:
                raise Refusal(f"{MOST_OF_ALL} jobs of other visitors are in line already; try again in a while.")
            self._taken[mine] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[mine] -= 1
                if not self._taken[mine]:
                    del self._taken[mine]


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
