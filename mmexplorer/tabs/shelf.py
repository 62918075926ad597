"""Keeps what visitors have made on the disk, and in memory only what was made or looked at last, whoever's it is.

What one visitor has seen may take megabytes, with large models gigabytes, and a page has many of them. Knows nothing of
what it keeps but that it can be pickled.
"""

import os
import pickle
import threading
import weakref
from collections import deque
from contextlib import suppress
from tempfile import mkstemp
from typing import Generic, TypeVar

Value = TypeVar("Value")

MEMORY_BYTES = 2**24  # of all values in memory together; the last one stays, however large


class Shelved(Generic[Value]):
    """A value on the disk, read again where it is not in memory; its file goes with the last reference to it.

    bytes is its size there. Raises OSError where the disk is full.
    """

    def __init__(self, value: Value):
        file, self._path = mkstemp(prefix="mmexplorer-")
        weakref.finalize(self, _discard, self._path, os.getpid())
        with os.fdopen(file, "wb") as stream:
            pickle.dump(value, stream, pickle.HIGHEST_PROTOCOL)
            self.bytes = stream.tell()
        _recent.keep(self._path, value, self.bytes)

    @property
    def value(self) -> Value:
        """The value; not to be changed, as others may be given the same object."""
        value = _recent.get(self._path)
        if value is None:
            with open(self._path, "rb") as stream:
                value = pickle.load(stream)
            _recent.keep(self._path, value, self.bytes)
        return value


class _Recent:
    """The values looked at last, by file, in MEMORY_BYTES."""

    def __init__(self):
        self._values: dict[str, tuple[object, int]] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        # Files are discarded wherever the garbage collector is at work, even while a thread has the lock.
        self.discarded: deque[str] = deque()

    def keep(self, path: str, value: object, size: int) -> None:
        with self._lock:
            while self.discarded:
                self._drop(self.discarded.popleft())
            self._drop(path)
            self._values[path] = value, size
            self._bytes += size
            while len(self._values) > 1 and self._bytes > MEMORY_BYTES:
                self._drop(next(iter(self._values)))

    def get(self, path: str) -> object | None:
        with self._lock:
            found = self._values.pop(path, None)
            if found is None:
                return None
            self._values[path] = found
            return found[0]

    def _drop(self, path: str) -> None:
        _, size = self._values.pop(path, (None, 0))
        self._bytes -= size


_recent = _Recent()


def _discard(path: str, process: int) -> None:
    if os.getpid() != process:  # a fork of it, such as ZeroGPU makes, in which the value is of no use any more
        return
    with suppress(FileNotFoundError):  # somebody has cleaned up
        os.unlink(path)
    _recent.discarded.append(path)
