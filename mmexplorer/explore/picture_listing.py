"""What a source of pictures holds: which pictures, lying where, called what, with which caption and metadata.

Brings names and columns into one form; how a source is read is the business of `picture_sources` and the modules under
it, and no picture is opened here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

MAX_PICTURES = 20_000
MAX_METADATA_COLUMNS = 40
CAPTION_COLUMNS = ("caption", "captions", "text", "description", "title")
MAX_CHARACTERS = 1_000  # of one caption or cell; far beyond any text model's context


@dataclass(frozen=True)
class Skipped:
    """A picture or row that is left out, and why: "cat.png", "there is no such file"."""

    name: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """n pictures, not opened yet.

    locations (n,) are what `picture_locations.read_location` takes. table has n rows: "name" (string, all different),
    "caption" (string, null where there is none), then metadata columns of strings, numbers or booleans. remarks are
    sentences about what was done otherwise than one might expect.
    """

    name: str
    locations: tuple[str, ...]
    table: "pa.Table"
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.locations)


def table_of(names: Sequence[str], columns: "pa.Table") -> tuple["pa.Table", tuple[str, ...]]:
    """The table of a Listing from n names and the n rows of other columns, and remarks on what was left out.

    The caption is the first text column called as CAPTION_COLUMNS says; of a list of texts it is the first. Dates
    become strings, decimals floats, dictionaries their values; columns of other types, empty ones and those beyond
    MAX_METADATA_COLUMNS are left out.
    """
    import pyarrow as pa

    columns = columns.rename_columns(distinct(columns.column_names))
    values = {name: plain(columns[name]) for name in columns.column_names}
    values = {name: column for name, column in values.items() if column is not None and column.null_count < len(names)}
    called = {name.strip().lower(): name for name in reversed(values) if values[name].type == pa.string()}
    caption = next((called[name] for name in CAPTION_COLUMNS if name in called), None)
    captions = values.pop(caption) if caption is not None else pa.nulls(len(names), pa.string())
    metadata = dict(list(values.items())[:MAX_METADATA_COLUMNS])
    headings = distinct(["name", "caption", *metadata])
    table = pa.table([pa.array(distinct(names), pa.string()), captions, *metadata.values()], headings)
    missing = [name for name in columns.column_names if name not in metadata and name != caption]
    return table, left_out(missing)


def left_out(columns: Sequence[str]) -> tuple[str, ...]:
    """The remark on columns that are not shown, if there are any."""
    if not columns:
        return ()
    named = f"{listed(columns)} {'was' if len(columns) == 1 else 'were'} left out"
    return (f"{named}: a column is shown if it holds texts or numbers and is among the first {MAX_METADATA_COLUMNS}.",)


def listed(names: Sequence[str], count: int = 5) -> str:
    """The names for a sentence, at most `count` of them: "a, b and 7 more"."""
    shown = [name[:40] for name in names[:count]]
    last = f"{len(names) - count:,} more" if len(names) > count else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last


def plain(column: "pa.ChunkedArray | pa.Array"):
    """The column as strings, int64, finite float64 or booleans, or None where its type is none of these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = pa.types
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kinds.is_list(column.type) and is_text(column.type.value_type):
        column = pc.list_element(pc.if_else(pc.greater(pc.list_value_length(column), 0), column, None), 0)
    if is_text(column.type) or kinds.is_date(column.type) or kinds.is_time(column.type):
        return _texts(column.cast(pa.string()))
    if kinds.is_timestamp(column.type):  # without its time zone, which this machine need not know
        return _texts(column.cast(pa.timestamp(column.type.unit)).cast(pa.string()))
    if kinds.is_boolean(column.type):
        return column
    if kinds.is_integer(column.type) and column.type != pa.uint64():
        return column.cast(pa.int64())
    if kinds.is_integer(column.type) or kinds.is_floating(column.type) or kinds.is_decimal(column.type):
        column = column.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_finite(column), column, None)  # pandas writes NaN where there is nothing
    return None


def distinct(names: Iterable[str]) -> list[str]:
    """The names in order, each repetition numbered: "a", "a (2)", "a (3)"."""
    taken, counts, result = set(), {}, []
    for name in names:
        unique = name
        while unique in taken:
            counts[name] = counts.get(name, 1) + 1
            unique = f"{name} ({counts[name]})"
        taken.add(unique)
        result.append(unique)
    return result


def is_text(kind: "pa.DataType") -> bool:
    """Whether a type is one of Arrow's strings."""
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _texts(column):
    """Strings without outer white space, cut to MAX_CHARACTERS, null where nothing is left."""
    import pyarrow.compute as pc

    trimmed = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(column), 0, MAX_CHARACTERS)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)
