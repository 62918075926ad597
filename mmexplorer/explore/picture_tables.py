"""Reads a CSV, TSV or Parquet file that lists pictures: what each row calls its picture, and what else it says.

Knows no folders and no archives: what a name refers to is the business of `picture_sources`.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmexplorer.errors import Refusal
from mmexplorer.explore.picture_listing import Skipped, distinct, is_text, listed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet as pq

SUFFIXES = (".csv", ".tsv", ".parquet")
PICTURE_COLUMNS = ("image", "picture", "path", "file", "file_name", "filename")
ADDRESS_COLUMNS = ("url", "image_url")
MAX_CSV_BYTES = 200_000_000


@dataclass(frozen=True)
class PictureTable:
    """The first n rows of a table of pictures.

    names (n,) is what each row calls its picture, None where it says nothing. columns has n rows of everything else.
    bytes_column is the Parquet column that holds the pictures themselves, empty where there are names only. total
    counts the rows of the file, skipped lists those that cannot be read.
    """

    names: tuple[str | None, ...]
    columns: "pa.Table"
    total: int
    bytes_column: str = ""
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()


def read_table(path: str | Path, limit: int) -> PictureTable:
    """The first `limit` rows of a .csv, .tsv or .parquet file; Refusal where it is damaged or has no pictures."""
    path = Path(path)
    try:
        path.open("rb").close()
        return _read_parquet(path, limit) if path.suffix.lower() == ".parquet" else _read_csv(path, limit)
    except OSError as error:
        raise Refusal(f"{path.name} cannot be read ({error.strerror or type(error).__name__}).") from error


def _read_csv(path: Path, limit: int) -> PictureTable:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if path.stat().st_size > MAX_CSV_BYTES:
        raise Refusal(f"{path.name} is larger than {MAX_CSV_BYTES // 1_000_000} MB; save it as Parquet.")
    text, remarks = _decoded(path)
    text = text.lstrip("\r\n")
    if not text.strip():
        raise Refusal(f"{path.name} is empty; put one picture in each row.")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=text.split("\n", 1)[0].count)
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise Refusal(f"{path.name} cannot be read as CSV: {error}.") from error
    header = distinct(cell.strip() or f"column {i + 1}" for i, cell in enumerate(header))
    pictures = _picture_column(path.name, header, header)
    skipped = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        reason = f"has {row.actual_columns} fields, and the first row of the table has {row.expected_columns}"
        skipped.append(Skipped(f"line {row.number} of {path.name}", reason))
        return "skip"

    data = text.encode()
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            # One block, for a row that is longer than its block cannot be read.
            arrow_csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=header, skip_rows_after_names=1
            ),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
            arrow_csv.ConvertOptions(column_types={pictures: pa.string()}),
        )
    except pa.ArrowException as error:
        raise Refusal(f"{path.name} cannot be read as CSV; save it again, or as Parquet.") from error
    kept = table.slice(0, limit)
    names = tuple((name or "").strip() or None for name in kept[pictures].to_pylist())
    return PictureTable(names, kept.drop_columns(pictures), len(table), "", tuple(skipped), remarks)


def _decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    data = path.read_bytes()
    try:
        text, remarks = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"), ()
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
        remarks = (f"{path.name} is not UTF-8 and was read as Western European (Windows-1252) text.",)
    if "\0" in text:
        raise Refusal(f"{path.name} is not a text file; save the table as CSV in UTF-8 or as Parquet.")
    return text, remarks


def _picture_column(table: str, columns: Sequence[str], candidates: Sequence[str]) -> str:
    found = {name.strip().lower(): name for name in reversed(candidates)}
    for name in PICTURE_COLUMNS:
        if name in found:
            return found[name]
    if any(name in found for name in ADDRESS_COLUMNS):
        raise Refusal(
            f"{table} names its pictures by web addresses only, which are not fetched; download the pictures and name "
            "their files in a column called file_name."
        )
    raise Refusal(
        f"{table} has the columns {listed(columns, 12)}, and none of them names pictures; call that one "
        f"{', '.join(PICTURE_COLUMNS[:-1])} or {PICTURE_COLUMNS[-1]}."
    )


def _read_parquet(path: Path, limit: int) -> PictureTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            kinds = {field.name: field.type for field in file.schema_arrow}
            naming = [name for name, kind in kinds.items() if is_text(kind) or _has_path(kind)]
            bytes_column = _bytes_column(file, kinds, naming)
            pictures = bytes_column or _picture_column(path.name, [*kinds], naming)
            wanted = [name for name, kind in kinds.items() if not pa.types.is_nested(kind) or pa.types.is_list(kind)]
            # Of the column that holds the pictures only their names are read; their bytes may fill gigabytes.
            wanted = [name for name in wanted if name != bytes_column]
            if _has_path(kinds[pictures]):
                wanted.append(f"{pictures}.path")
            total = file.metadata.num_rows
            table = _first_rows(file, wanted, min(limit, total))
            labels = _class_names(file.schema_arrow.metadata or {})
    except (pa.ArrowException, OSError, KeyError) as error:
        raise Refusal(f"{path.name} is damaged or not a Parquet file; save it again.") from error
    names = _names(table, pictures, min(limit, total))
    columns = table.drop_columns(pictures) if pictures in table.column_names else table
    return PictureTable(names, _labelled(columns, labels), total, bytes_column)


def _has(kind: "pa.DataType", field: str) -> bool:
    import pyarrow as pa

    return pa.types.is_struct(kind) and kind.get_field_index(field) >= 0


def _has_path(kind: "pa.DataType") -> bool:
    return _has(kind, "path") and is_text(kind.field("path").type)


def _is_binary(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _bytes_column(file: "pq.ParquetFile", kinds: dict[str, "pa.DataType"], naming: Sequence[str]) -> str:
    """The column that holds the bytes of pictures, empty if there is none.

    It is one called as PICTURE_COLUMNS says, else a struct with bytes, else, unless another column names pictures, one
    of bytes.
    """
    inner = {name: kind.field("bytes").type for name, kind in kinds.items() if _has(kind, "bytes")}
    structs = [name for name, kind in inner.items() if _is_binary(kind)]
    binary = [name for name, kind in kinds.items() if _is_binary(kind)]
    leaves = {f"{name}.bytes": name for name in structs} | {name: name for name in binary}
    filled = {name for leaf, name in leaves.items() if not _is_null(file.metadata, leaf)}
    called = [name for name in kinds if name in filled and name.strip().lower() in PICTURE_COLUMNS]
    structs = [name for name in structs if name in filled]
    others = [] if any(name.strip().lower() in PICTURE_COLUMNS for name in naming) else sorted(filled)
    return next(iter([*called, *structs, *others]), "")


def _is_null(metadata: "pq.FileMetaData", leaf: str) -> bool:
    """Whether the file's statistics say that a leaf column holds nothing."""
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema == leaf and column.num_values:
                statistics = column.statistics
                if statistics is None or statistics.null_count is None or statistics.null_count < group.num_rows:
                    return False
    return True


def _first_rows(file: "pq.ParquetFile", columns: list[str], count: int) -> "pa.Table":
    import pyarrow as pa

    batches, rows = [], 0
    for batch in file.iter_batches(batch_size=4096, columns=columns) if columns and count else ():
        batches.append(batch)
        rows += len(batch)
        if rows >= count:
            break
    table = pa.Table.from_batches(batches).slice(0, count) if batches else pa.table({})
    table.validate(full=True)  # text that is not UTF-8 would fail later, in whoever reads it
    return table


def _names(table: "pa.Table", pictures: str, count: int) -> tuple[str | None, ...]:
    import pyarrow as pa

    if pictures not in table.column_names:
        return (None,) * count
    column = table[pictures]
    values = column.to_pylist()
    if pa.types.is_struct(column.type):
        values = [value and value["path"] for value in values]
    return tuple((value or "").strip() or None for value in values)


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """The names of class labels by column, as the Hugging Face library notes them in a file's schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {column: feature["names"] for column, feature in features.items() if feature["_type"] == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _labelled(table: "pa.Table", labels: dict[str, list[str]]) -> "pa.Table":
    """The table with the names of classes in place of their numbers."""
    import pyarrow as pa

    for column, names in labels.items():
        if column in table.column_names and pa.types.is_integer(table.schema.field(column).type):
            values = [named_class(number, names) for number in table[column].to_pylist()]
            table = table.set_column(table.column_names.index(column), column, pa.array(values, pa.string()))
    return table


def named_class(number: int | None, names: Sequence[str]) -> str | None:
    """The name of a class; None where the row has none, which data sets write as -1."""
    return names[number] if number is not None and 0 <= number < len(names) else None
