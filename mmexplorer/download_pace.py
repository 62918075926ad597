"""How far a download is, how fast it goes and how long it will take, in words."""

import time
from collections import deque

from mmexplorer.pace import duration
from mmexplorer.runtime import size_text

# The rate is that of the last seconds, since networks change their mind; after so much silence it is named.
WINDOW_SECONDS = 10.0
SILENCE_SECONDS = 3.0


class DownloadPace:
    """Counts bytes; those that were there at the first count do not count for the rate."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._total, self._moved = 0, 0.0
        self._counts: deque[tuple[float, int]] = deque()  # (second, bytes done)

    def note(self, done: int, total: int) -> None:
        """Says how many bytes are there of how many; total 0 where that is not known yet."""
        now = self._clock()
        if self._counts and (done < self._counts[-1][1] or total != self._total):
            self._counts.clear()  # something began anew
        if not self._counts or done != self._counts[-1][1]:
            self._moved = now
        self._total = total
        self._counts.append((now, done))
        while len(self._counts) > 2 and self._counts[1][0] <= now - WINDOW_SECONDS:
            self._counts.popleft()

    def text(self) -> str:
        """A phrase such as "downloading 210 of 605 MB, 12 MB a second, 33 s left"."""
        if not self._total:
            return "asking the Hub what there is to download"
        (first, before), (last, done) = self._counts[0], self._counts[-1]
        if done >= self._total:
            return f"checking the {size_text(done)} that arrived"
        far = f"downloading {_of(done, self._total)}"
        if last - self._moved >= SILENCE_SECONDS:
            return f"{far}, nothing has come for {duration(last - self._moved)}"
        if last - first < 1 or done == before:
            return far
        rate = (done - before) / (last - first)
        return f"{far}, {size_text(int(rate))} a second, {duration((self._total - done) / rate)} left"


def _of(done: int, total: int) -> str:
    """ "210 of 605 MB", in the unit of the whole."""
    number, unit = size_text(total).split()
    scale, digits = {"GB": (10**9, 1), "MB": (10**6, 0), "kB": (10**3, 0)}[unit]
    return f"{done / scale:.{digits}f} of {number} {unit}"
