"""A choice of a collection's points as a table, for other programs; and how many of each class are in it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmexplorer.explore.collection import Collection

ADDED = ("point", "map x", "map y", "map z", "vector")


def selection_table(collection: Collection, points: Sequence[int], coordinates: np.ndarray, *, vectors: bool):
    """A pyarrow.Table with one row per point: what it is, its picture's columns, coordinates, and its vector if wanted.

    points are points of the joint map, coordinates (n + m, 2 or 3) the layout of all of them. Columns of the picture
    that are called like one of the added ones give way.
    """
    import pyarrow as pa

    count = len(collection.images)
    points = np.asarray(points, dtype=np.int64)
    rows = np.where(points < count, points, 0)
    captions = points >= count
    if captions.any():
        rows[captions] = collection.text_rows[points[captions] - count]
    table = collection.table.take(pa.array(rows))
    table = table.drop_columns([name for name in ADDED if name in table.column_names])
    table = table.add_column(0, "point", pa.array(np.where(captions, "caption", "picture")))
    for axis, name in enumerate("xyz"[: coordinates.shape[1]]):
        table = table.append_column(f"map {name}", pa.array(coordinates[points, axis].astype(np.float32)))
    if vectors:
        chosen = np.ascontiguousarray(collection.vectors[points], dtype=np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(chosen.ravel()), chosen.shape[1])
        table = table.append_column("vector", column)
    return table


def write_csv(table, path: Path) -> None:
    """The table as UTF-8 CSV with a header."""
    from pyarrow import csv

    csv.write_csv(table, path)


def write_parquet(table, path: Path) -> None:
    """The table as Parquet."""
    from pyarrow import parquet

    parquet.write_table(table, path)


def class_counts(classes: Sequence[str] | None, rows: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """(class, how often) over rows of the collection, the most frequent first; empty without classes."""
    if classes is None:
        return ()
    counted = Counter(classes[row] or "none" for row in rows)
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
