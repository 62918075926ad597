"""One form for what sources say about their pictures: names that differ, one caption, columns that can be shown."""

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from mmexplorer.explore.picture_listing import MAX_CHARACTERS, MAX_METADATA_COLUMNS, distinct, listed, table_of

SHOWN = f"a column is shown if it holds texts or numbers and is among the first {MAX_METADATA_COLUMNS}."


def test_repeated_names_are_kept_apart():
    assert distinct(["a", "b", "a", "a (2)", "a", "a"]) == ["a", "b", "a (2)", "a (2) (2)", "a (3)", "a (4)"]
    many = distinct(["a"] * 20_000)
    assert len(set(many)) == 20_000 and many[-1] == "a (20000)"


@pytest.mark.parametrize(
    ("names", "said"),
    [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcdefg", "a, b, c, d, e and 2 more")],
)
def test_names_in_a_sentence(names, said):
    assert listed(list(names)) == said


def test_columns_become_strings_numbers_and_booleans():
    columns = {
        "text": pa.array([" a ", "", None]),
        "large": pa.array(["x", "y", None], pa.large_string()),
        "dictionary": pa.array(["u", "v", "u"]).dictionary_encode(),
        "small": pa.array([1, 2, None], pa.int8()),
        "unsigned": pa.array([2**64 - 1, 0, 0], pa.uint64()),
        "half": pa.array([0.5, float("nan"), float("inf")], pa.float32()),
        "decimal": pa.array([Decimal("1.25"), None, None]),
        "flag": pa.array([True, None, False]),
        "day": pa.array([date(2024, 1, 31), None, None]),
        "moment": pa.array([datetime(2024, 1, 31, 12), None, None], pa.timestamp("s")),
        "zoned": pa.array([0, None, None], pa.timestamp("s", "Nowhere/At_all")),
        "list": pa.array([[1], [2], [3]]),
        "bytes": pa.array([b"a", b"b", b"c"]),
        "struct": pa.array([{"a": 1}] * 3),
        "span": pa.array([1, 2, 3], pa.duration("s")),
        "nothing": pa.nulls(3),
        "blank": pa.array(["", " ", None]),
    }
    table, remarks = table_of(["p", "q", "p"], pa.table(columns))
    assert table.to_pydict() == {
        "name": ["p", "q", "p (2)"],
        "caption": ["a", None, None],
        "large": ["x", "y", None],
        "dictionary": ["u", "v", "u"],
        "small": [1, 2, None],
        "unsigned": [2.0**64, 0.0, 0.0],
        "half": [0.5, None, None],
        "decimal": [1.25, None, None],
        "flag": [True, None, False],
        "day": ["2024-01-31", None, None],
        "moment": ["2024-01-31 12:00:00", None, None],
        "zoned": ["1970-01-01 00:00:00", None, None],
    }
    assert {str(kind) for kind in table.schema.types} == {"string", "int64", "double", "bool"}
    assert remarks == (f"list, bytes, struct, span, nothing and 1 more were left out: {SHOWN}",)


@pytest.mark.parametrize(
    ("columns", "captions", "others"),
    [
        ({"text": ["t"], "Caption ": ["c"]}, ["c"], ["text"]),
        ({"title": ["t"], "n": [1]}, ["t"], ["n"]),
        ({"caption": [7], "description": ["d"]}, ["d"], ["caption (2)"]),
        ({"captions": [["first", "second"]]}, ["first"], []),
        ({"caption": [[]], "text": ["t"]}, ["t"], []),
        ({"label": ["cat"]}, [None], ["label"]),
        ({}, [None], []),
    ],
)
def test_the_caption_is_the_best_named_text(columns, captions, others):
    table, _ = table_of(["p"], pa.table(columns))
    assert table["caption"].to_pylist() == captions
    assert table.schema.field("caption").type == pa.string()
    assert table.column_names == ["name", "caption", *others]


def test_columns_may_be_called_anything():
    names = ["name", "caption", "x", "x", ""]
    table, _ = table_of(["p"], pa.table([[1], [2], [3], [4], [5]], names))
    assert table.column_names == ["name", "caption", "name (2)", "caption (2)", "x", "x (2)", ""]
    assert table.slice(0, 1).to_pylist()[0]["x (2)"] == 4


def test_too_many_columns_are_left_out_with_a_remark():
    table, remarks = table_of(["p"], pa.table({f"c{i}": [i] for i in range(50)}))
    assert table.column_names[2:] == [f"c{i}" for i in range(40)]
    assert remarks == (f"c40, c41, c42, c43, c44 and 5 more were left out: {SHOWN}",)


def test_endless_texts_are_cut():
    table, _ = table_of(["p"], pa.table({"caption": ["ä" * 5000], "note": ["b" * 5000]}))
    assert table["caption"].to_pylist() == ["ä" * MAX_CHARACTERS]
    assert table["note"].to_pylist() == ["b" * MAX_CHARACTERS]
