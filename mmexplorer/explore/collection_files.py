"""A collection's folder on disk: what `Collection.save` writes and `Collection.open` reads.

collection.json (name, model, locations and so on), pictures.parquet (the table), vectors-<model>.npz for every model it
was saved with, and sheets of thumbnails. Nothing is pickled. Whether a model's vectors are still those that the model
would give is decided here, by its version.
"""

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore.embedding_cache import model_version
from mmexplorer.explore.nearest import unit_rows
from mmexplorer.explore.picture_listing import Skipped
from mmexplorer.explore.thumbnails import Sheets
from mmexplorer.presets import preset

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
FIELDS = {
    "name": str, "model": str, "models": dict, "complete": bool, "remarks": list, "skipped": list, "locations": list,
}  # fmt: skip
ABOUT, TABLE = "collection.json", "pictures.parquet"

Vectors = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Record:
    """All of a collection but its vectors and thumbnails; see `Collection` for what the fields mean."""

    name: str
    model: str
    table: "pa.Table"
    locations: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()
    complete: bool = True


def is_saved(folder: Path) -> bool:
    """Whether a folder holds a saved collection."""
    return os.path.isfile(folder / ABOUT)


def read(folder: Path) -> Record:
    """What lies in a folder that `write` filled; Refusal if it is damaged or of another version of the app."""
    import pyarrow as pa
    from pyarrow import parquet

    about = _about(folder)
    try:
        table = parquet.read_table(folder / TABLE)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(folder, TABLE) from error
    if table.column_names[:2] != ["name", "caption"] or table.num_rows != len(about["locations"]):
        raise _damaged(folder, TABLE)
    return Record(
        name=about["name"],
        model=about["model"],
        table=table,
        locations=tuple(about["locations"]),
        skipped=tuple(Skipped(*one) for one in about["skipped"]),
        remarks=tuple(about["remarks"]),
        complete=about["complete"],
    )


def holds(folder: Path, model: str, locations: Sequence[str]) -> bool:
    """Whether a folder was written with a model in its present version, for the pictures at `locations`."""
    if not is_saved(folder):
        return False
    about = _about(folder)
    version = about["models"].get(model)
    return version == model_version(preset(model)) and about["locations"] == list(locations)


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of an .npz file by their names; None where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def read_vectors(folder: Path, model: str, locations: Sequence[str]) -> Vectors | None:
    """The vectors (n, d) and (m, d) of the pictures at `locations` and their captions, and the captions' rows (m,).

    None where the folder holds none of that model, or those of another version of it or of other pictures.
    """
    saved = read_arrays(_vectors_file(folder, model)) if holds(folder, model, locations) else None
    if saved is None or not {"images", "texts", "text_rows"} <= saved.keys():
        return None
    images, texts, rows = saved["images"], saved["texts"], saved["text_rows"]
    if len(images) != len(locations) or len(texts) != len(rows):
        return None
    if images.dtype == np.float16:  # rounded, so no longer of length one
        images, texts = unit_rows(images), unit_rows(texts)
    return images, texts, rows


def write(folder: Path, record: Record, vectors: Vectors, sheets: Sheets | None, *, half: bool) -> None:
    """Writes a collection; vectors of other models stay if they lie in the folder and belong to the same pictures."""
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    models = {}
    if is_saved(folder):
        before = _about(folder)
        if before["locations"] == list(record.locations):
            models = before["models"]
        else:  # what was made of other pictures
            for path in (*folder.glob("vectors-*.npz"), *folder.glob("layouts-*.npz")):
                path.unlink()
    images, texts, rows = vectors
    kind = np.float16 if half else np.float32
    _replaced(
        _vectors_file(folder, record.model),
        lambda file: np.savez(file, images=images.astype(kind), texts=texts.astype(kind), text_rows=rows),
    )
    _replaced(folder / TABLE, lambda file: parquet.write_table(record.table, file))
    if sheets is not None and sheets.paths[0].parent.resolve() != folder.resolve():
        for old in folder.glob("thumbnails-*.webp"):
            old.unlink()
        for path in sheets.paths:
            shutil.copyfile(path, folder / path.name)
    about = {
        "format": FORMAT,
        "name": record.name,
        "model": record.model,
        "models": models | {record.model: model_version(preset(record.model))},
        "complete": record.complete,
        "remarks": record.remarks,
        "skipped": [(one.name, one.reason) for one in record.skipped],
        "locations": record.locations,
    }
    text = json.dumps(about, indent=1) + "\n"
    _replaced(folder / ABOUT, lambda file: file.write(text.encode()))


def _about(folder: Path) -> dict:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise Refusal(f"The collection in {folder.name} was saved by another version of this app; make it anew.")
        if not all(isinstance(about[name], kind) for name, kind in FIELDS.items()):
            raise ValueError(f"{ABOUT} holds another kind of value than was written.")
        return about
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, Refusal):
            raise
        raise _damaged(folder, ABOUT) from error


def _vectors_file(folder: Path, model: str) -> Path:
    return folder / f"vectors-{model}.npz"


def _damaged(folder: Path, name: str) -> Refusal:
    return Refusal(f"The collection in {folder.name} cannot be opened: {name} is missing or damaged.")


def _replaced(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file so that whoever reads meanwhile sees the old one or the new one whole."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as file:
        write(file)
    os.replace(draft, path)
