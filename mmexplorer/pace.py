"""How far a long job is, how fast it goes and how long it will take, in words."""

import time


class Pace:
    """Counts `done` of `total` units of work; units that came for free, from a cache, do not count for the rate."""

    def __init__(self, doing: str, unit: str = "", clock=time.monotonic):
        self.doing, self.unit, self._clock = doing, unit, clock
        self._done = self._total = self._free = 0
        self._started: float | None = None

    def note(self, done: int, total: int, free: int = 0) -> None:
        """Says how much is done, and how much of that was free."""
        if self._started is None:
            self._started = self._clock()
        self._done, self._total, self._free = done, total, free

    def share(self, part: float) -> None:
        """The same for work that is only known as a share from 0 to 1."""
        self.note(round(100 * part), 100)

    def text(self) -> str:
        """A phrase for the status line; rate and remaining time appear once there is something to go by."""
        if not self._total:
            return f"{self.doing}."
        far = f"{self._done:,} of {self._total:,} {self.unit}" if self.unit else f"{self._done} %"
        seconds = self._clock() - self._started
        worked = self._done - self._free
        if worked < 1 or seconds < 1 or self._done >= self._total:
            return f"{self.doing}: {far}."
        rate = worked / seconds
        left = (self._total - self._done) / rate
        speed = f", {rate:,.0f} a second" if self.unit and rate >= 1 else ""
        return f"{self.doing}: {far}{speed}, {duration(left)} left."


def duration(seconds: float) -> str:
    """Seconds in the unit people would use: "33 s", "9 min", "1.6 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
