"""Keeps what visitors have made on the disk, and in memory only what was made or looked at last, whoever's it is.

What one visitor has seen may take megabytes, with large models gigabytes, and a page has many of them. Knows nothing of
what it keeps but that it can be pickled.
"""

import atexit
import logging
import os
import pickle
import shutil
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp, mkstemp
from typing import Generic, TypeVar

Value = TypeVar("Value")

MEMORY_BYTES = 2**24  # of all values in memory together; the last one stays, however large
PREFIX = "mmexplorer-visits-"
LEFT_SECONDS = 86_400  # what was killed left its folder; in one of a process that runs nothing is ever so old


class Shelved(Generic[Value]):
    """A value on the disk, read again where it is not in memory; its file goes with the last reference to it.

    bytes is its size there: 0 where the disk is full, so that it stays in memory.
    """

    def __init__(self, value: Value):
        self._held: Value | None = None
        try:
            self._path, self.bytes = _written(value)
        except OSError:
            logging.getLogger(__name__).exception("What a visitor made stays in memory")
            self._held, self.bytes = value, 0
            return
        weakref.finalize(self, _discard, self._path, os.getpid())
        _recent.keep(self._path, value, self.bytes)

    @property
    def value(self) -> Value:
        """The value; not to be changed, as others may be given the same object."""
        if self._held is not None:
            return self._held
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


class _Folder:
    """The folder of this process: made when it is first needed, and gone when the process ends."""

    def __init__(self):
        self._path: str | None = None
        self._lock = threading.Lock()

    def path(self) -> str:
        with self._lock:
            if self._path is None or not os.path.isdir(self._path):  # somebody may have cleaned up
                for left in Path(gettempdir()).glob(f"{PREFIX}*"):
                    with suppress(OSError):
                        if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                            shutil.rmtree(left)
                self._path = mkdtemp(prefix=PREFIX)
                atexit.register(self.clear, os.getpid())
            return self._path

    def clear(self, process: int) -> None:
        if self._path is not None and os.getpid() == process:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None


_recent = _Recent()
_folder = _Folder()


def clear() -> None:
    """Deletes everything, for when nobody will look at it again because the process ends."""
    _folder.clear(os.getpid())


def _written(value: object) -> tuple[str, int]:
    """The file with a value, and its size; no file if it cannot be written."""
    file, path = mkstemp(dir=_folder.path())
    try:
        with os.fdopen(file, "wb") as stream:
            pickle.dump(value, stream, pickle.HIGHEST_PROTOCOL)
            return path, stream.tell()
    except BaseException:
        os.unlink(path)
        raise


def _discard(path: str, process: int) -> None:
    if os.getpid() != process:  # a fork of it, such as ZeroGPU makes, in which the value is of no use any more
        return
    with suppress(FileNotFoundError):  # somebody has cleaned up
        os.unlink(path)
    _recent.discarded.append(path)
