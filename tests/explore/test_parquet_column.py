"""Pictures in a Parquet column: any row in any order, in bounded memory, and files that are damaged."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import parquet_column
from mmexplorer.explore.parquet_column import ParquetColumn


def picture(row: int) -> bytes:
    return f"picture {row}".encode()


@pytest.fixture
def structs(tmp_path):
    values = [{"bytes": picture(row), "path": None} for row in range(100)] + [None, {"bytes": None, "path": "x"}]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": values, "image.x": range(102)}), path, row_group_size=80)
    return path


@pytest.mark.parametrize("order", [range(100), range(99, -1, -1), np.random.default_rng(0).permutation(100).tolist()])
def test_any_order(structs, order):
    column = ParquetColumn(structs, "image")
    assert [column.read(row) for row in order] == [picture(row) for row in order]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_bytes(tmp_path, kind):
    pq.write_table(pa.table({"file": pa.array([b"a", b"b"], kind)}), tmp_path / "a.parquet")
    assert ParquetColumn(tmp_path / "a.parquet", "file").read(1) == b"b"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (100, "Row 101 of a.parquet holds no picture."),
        (101, "Row 102 of a.parquet holds no picture."),
        (102, "a.parquet has no row 103."),
        (-1, "a.parquet has no row 0."),
    ],
)
def test_rows_without_a_picture(structs, row, sentence):
    with pytest.raises(Refusal) as caught:
        ParquetColumn(structs, "image").read(row)
    assert str(caught.value) == sentence


def test_memory_does_not_grow_with_the_row_group(tmp_path):
    random = np.random.default_rng(0)
    table = pa.table({"image": [random.bytes(100_000) for _ in range(400)]})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False, write_batch_size=4)
    del table
    before = pa.total_allocated_bytes()
    column = ParquetColumn(tmp_path / "a.parquet", "image")
    for row in range(0, 400, 8):
        assert len(column.read(row)) == 100_000
        assert pa.total_allocated_bytes() - before < 15_000_000  # of 40


def test_a_file_that_is_not_parquet(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(Refusal, match=r"^a\.parquet is damaged or not a Parquet file; save it again\.$"):
        ParquetColumn(tmp_path / "a.parquet", "image")


def test_damage_in_the_middle_is_told_and_the_rest_is_read(structs):
    group = pq.ParquetFile(structs).metadata.row_group(0)  # of rows 0 to 79
    data = bytearray(structs.read_bytes())
    start = group.column(0).data_page_offset
    data[start : start + 30] = b"\xff" * 30
    structs.write_bytes(data)
    column = ParquetColumn(structs, "image")
    with pytest.raises(Refusal, match="is damaged"):
        column.read(50)
    assert column.read(95) == picture(95)
    with pytest.raises(Refusal, match="is damaged"):
        column.read(50)
    assert column.read(85) == picture(85)


def test_a_small_file_that_stands_for_much_memory(tmp_path, monkeypatch):
    table = pa.table({"image": pa.array([bytes(4_000_000)] * 64, pa.binary())})
    pq.write_table(table, tmp_path / "same.parquet", dictionary_pagesize_limit=10_000_000)  # written once
    pq.write_table(table, tmp_path / "packed.parquet", use_dictionary=False, compression="zstd")
    del table
    before = pa.total_allocated_bytes()
    column = ParquetColumn(tmp_path / "same.parquet", "image")
    for row in range(64):
        assert len(column.read(row)) == 4_000_000
        assert pa.total_allocated_bytes() - before < 25_000_000  # of 256
    assert sum(map(len, column._kept.values())) <= 64_000_000
    monkeypatch.setattr(parquet_column, "GROUP_BYTES", 100_000_000)
    with pytest.raises(Refusal, match=r"packed\.parquet unpacks to far more than pictures do"):
        ParquetColumn(tmp_path / "packed.parquet", "image")
