"""Reads pictures out of a Parquet file's column, one row at a time and without holding the column in memory.

The column holds the bytes of picture files, or structs of {bytes, path} as the Hugging Face library writes them.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from pathlib import Path

from mmexplorer.errors import Refusal

# Threads that read ahead ask for rows slightly out of order.
ROWS_KEPT, BYTES_KEPT = 48, 64_000_000
# A page is unpacked in one piece. Pictures are compressed already, so what is larger than this and packed this tightly
# holds none.
GROUP_BYTES, PACKED = 256_000_000, 20


class ParquetColumn:
    """A column read forward row by row, which threads take turns at.

    The next row costs nothing extra; a row further back costs reading its row group from the start.
    """

    def __init__(self, path: str | Path, column: str):
        import pyarrow.parquet as pq

        self.name, self.column, self._lock = Path(path).name, column, threading.Lock()
        try:
            # Buffered, so that a row group of gigabytes is not fetched whole.
            self._file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
            groups = [self._file.metadata.row_group(i) for i in range(self._file.num_row_groups)]
        except Exception as error:  # ArrowInvalid, OSError ...
            raise self._damaged() from error
        for group in groups:
            for part in map(group.column, range(group.num_columns)):
                if part.path_in_schema in (column, f"{column}.bytes"):
                    size = part.total_uncompressed_size
                    if size > max(GROUP_BYTES, PACKED * part.total_compressed_size):
                        raise Refusal(f"{self.name} unpacks to far more than pictures do; save it again.")
        self._starts = [0, *accumulate(group.num_rows for group in groups)]
        self._batches, self._kept, self._group, self._next = iter(()), OrderedDict(), -1, 0

    def read(self, row: int) -> bytes:
        """The bytes in a row counted from 0; Refusal where there are none or the file is damaged."""
        with self._lock:
            value = self._value(row)
        if value is None:
            raise Refusal(f"Row {row + 1} of {self.name} holds no picture.")
        return value

    def _value(self, row: int) -> bytes | None:
        if not 0 <= row < self._starts[-1]:
            raise Refusal(f"{self.name} has no row {row + 1}.")
        while row not in self._kept:
            self._advance(row)
        return self._kept[row]

    def _advance(self, row: int) -> None:
        """Reads the next row on the way to one."""
        group = bisect_right(self._starts, row) - 1
        if group != self._group or row < self._next:
            self._group, self._next = group, self._starts[group]
            # Single rows, because a few bytes on the disk can stand for a hundred megabytes in each.
            self._batches = self._file.iter_batches(
                batch_size=1, row_groups=[group], columns=[self.column], use_threads=False
            )
        try:
            value = next(self._batches).column(self.column)[0].as_py()
        except Exception as error:  # ArrowInvalid, OSError, KeyError, StopIteration of a group cut short ...
            self._group = -1
            raise self._damaged() from error
        if isinstance(value, dict):
            value = value.get("bytes")
        self._kept[self._next] = value if isinstance(value, bytes) else None
        self._kept.move_to_end(self._next)
        self._next += 1
        while len(self._kept) > 1 and (len(self._kept) > ROWS_KEPT or self._kept_bytes() > BYTES_KEPT):
            self._kept.popitem(last=False)

    def _kept_bytes(self) -> int:
        return sum(len(value) for value in self._kept.values() if value is not None)

    def _damaged(self) -> Refusal:
        return Refusal(f"{self.name} is damaged or not a Parquet file; save it again.")
