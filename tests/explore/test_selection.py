"""A choice of points as a table, in any form, and the classes counted in it."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from mmexplorer.explore.collection import Collection
from mmexplorer.explore.collection_files import Record
from mmexplorer.explore.selection import class_counts, selection_table, write_csv, write_parquet

PLACES = np.arange(15, dtype=np.float32).reshape(5, 3)


@pytest.fixture
def collection() -> Collection:
    """Three pictures; the first and the last have captions, points 3 and 4."""
    table = pa.table(
        {"name": ["a", "b", "c"], "caption": ["one", None, "two, and more"], "vector": [1, 2, 3], "size": [7, None, 9]}
    )
    record = Record("it", "toy-clip", table, ("file:a", "file:b", "file:c"))
    images, texts = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[::-1][:2]
    return Collection(record, (images, texts, np.array([0, 2])))


def test_captions_bring_the_row_of_their_picture(collection):
    table = selection_table(collection, [4, 1], PLACES, vectors=True)
    vectors = table["vector"].to_pylist()
    assert table.drop_columns("vector").to_pydict() == {
        "point": ["caption", "picture"],
        "name": ["c", "b"],
        "caption": ["two, and more", None],
        "size": [9, None],
        "map x": [12, 3],
        "map y": [13, 4],
        "map z": [14, 5],
    }
    assert vectors == [[0, 1, 0], [0, 1, 0]]


def test_flat_layouts_and_no_points(collection):
    table = selection_table(collection, [], PLACES[:, :2], vectors=True)
    assert table.num_rows == 0 and "map z" not in table.column_names and "map y" in table.column_names


def test_files_read_back(collection, tmp_path):
    table = selection_table(collection, [0, 4], PLACES, vectors=True)
    write_parquet(table, tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").equals(table)
    plain = selection_table(collection, [0, 4], PLACES, vectors=False)
    assert "vector" not in plain.column_names
    write_csv(plain, tmp_path / "a.csv")
    assert csv.read_csv(tmp_path / "a.csv").to_pydict() == plain.to_pydict()


def test_classes_are_counted_the_most_frequent_first():
    assert class_counts(["b", "", "a", "b"], [0, 1, 2, 3, 3]) == (("b", 3), ("a", 1), ("none", 1))
    assert class_counts(None, [0]) == () and class_counts(["a"], []) == ()
