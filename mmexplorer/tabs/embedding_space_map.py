"""The embedding map of what a visitor has open: its payload, its columns, and how points are called."""

from urllib.parse import quote

import numpy as np

from mmexplorer.explore.collection import Collection
from mmexplorer.figures.embedding_map import map_payload
from mmexplorer.presets import preset
from mmexplorer.tabs.embedding_space_session import Shown
from mmexplorer.toyworld.vocabulary import COLOUR_REFERENCES

CLASSES = 60  # a column with more values than this is no classification
OTHER_COLUMNS = ("name", "caption")
# A column of colour names is drawn in those colours.
REAL_COLOURS = {name: "#{:02x}{:02x}{:02x}".format(*references[1]) for name, references in COLOUR_REFERENCES.items()}
REAL_COLOURS["several"] = "#b9c0cc"


def drawn(shown: Shown) -> str:
    """The map's payload."""
    collection = shown.collection
    sheets = collection.sheets
    table = collection.table
    return map_payload(
        shown.projection,
        names=table["name"].to_pylist(),
        captions=table["caption"].to_pylist(),
        text_rows=collection.text_rows,
        columns=_columns(collection),
        clusters=shown.groups,
        cluster_names=shown.group_names,
        sheet_urls=[f"gradio_api/file={quote(str(path))}" for path in sheets.paths] if sheets else (),
        cell=sheets.cell if sheets else 64,
        title=f"{collection.name}, {preset(collection.model).label}",
        category_colours=REAL_COLOURS,
        colour_by=next(iter(class_columns(collection)), ""),
    )


def class_columns(collection: Collection) -> list[str]:
    """The columns that sort the pictures into a few classes, so that neighbours can agree or not."""
    names = [name for name in collection.table.column_names if name not in OTHER_COLUMNS]
    return [name for name in names if 2 <= len(collection.table[name].unique()) <= min(CLASSES, len(collection.table))]


def classes(collection: Collection, column: str | None) -> list[str] | None:
    """The class of every picture by a column, "" where it has none; None without a column."""
    if not column or column not in collection.table.column_names:
        return None
    return ["" if value is None else str(value) for value in collection.table[column].to_pylist()]


def row_of(collection: Collection, point: int) -> int:
    """The picture's row that a point belongs to."""
    count = len(collection.images)
    return point if point < count else int(collection.text_rows[point - count])


def is_caption(collection: Collection, point: int) -> bool:
    """Whether a point stands for a caption."""
    return point >= len(collection.images)


def _columns(collection: Collection) -> dict[str, list]:
    """Metadata, and how well each picture and its own caption agree."""
    columns = {name: collection.table[name].to_pylist() for name in collection.table.column_names}
    columns = {name: values for name, values in columns.items() if name not in OTHER_COLUMNS}
    if len(collection.texts):
        agreement = np.full(len(collection.images), np.nan)
        agreement[collection.text_rows] = np.einsum(
            "ij,ij->i", collection.images[collection.text_rows], collection.texts
        )
        columns["cosine with its caption"] = agreement.tolist()
    return columns
