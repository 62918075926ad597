"""Reads pictures out of a Parquet file's column, one row at a time and without holding the column in memory.

The column holds the bytes of picture files, or structs of {bytes, path} as the Hugging Face library writes them.
"""

import threading
from bisect import bisect_right
from collections import deque
from itertools import accumulate
from pathlib import Path

from mmexplorer.errors import Refusal

BATCH_ROWS = 16
BATCHES_KEPT = 3  # threads that read ahead ask for rows slightly out of order


class ParquetColumn:
    """A column read forward in small batches, which threads take turns at.

    The next row costs nothing extra; a row further back costs reading its row group from the start.
    """

    def __init__(self, path: str | Path, column: str):
        import pyarrow.parquet as pq

        self.name, self.column, self._lock = Path(path).name, column, threading.Lock()
        try:
            # Buffered, so that a row group of gigabytes is not fetched whole.
            self._file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
            groups = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        except Exception as error:  # ArrowInvalid, OSError ...
            raise self._damaged() from error
        self._starts = [0, *accumulate(groups)]
        self._batches, self._kept, self._group, self._next = iter(()), deque(maxlen=BATCHES_KEPT), -1, 0

    def read(self, row: int) -> bytes:
        """The bytes in a row counted from 0; Refusal where there are none or the file is damaged."""
        with self._lock:
            value = self._value(row)
        if isinstance(value, dict):
            value = value.get("bytes")
        if not isinstance(value, bytes):
            raise Refusal(f"Row {row + 1} of {self.name} holds no picture.")
        return value

    def _value(self, row: int):
        if not 0 <= row < self._starts[-1]:
            raise Refusal(f"{self.name} has no row {row + 1}.")
        while True:
            for start, values in self._kept:
                if start <= row < start + len(values):
                    return values[row - start].as_py()
            self._advance(row)

    def _advance(self, row: int) -> None:
        """Reads the next batch on the way to a row."""
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._next:
            self._group, self._next = group, self._starts[group]
            self._batches = self._file.iter_batches(
                batch_size=BATCH_ROWS, row_groups=[group], columns=[self.column], use_threads=False
            )
        try:
            values = next(self._batches).column(self.column)
        except Exception as error:  # ArrowInvalid, OSError, KeyError, StopIteration of a group cut short ...
            self._group = -1
            raise self._damaged() from error
        self._kept.append((self._next, values))
        self._next += len(values)

    def _damaged(self) -> Refusal:
        return Refusal(f"{self.name} is damaged or not a Parquet file; save it again.")
