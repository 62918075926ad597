"""Pictures that somebody adds to a collection: where they lie, what the table says of them, and their thumbnails.

Nothing is embedded here.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore.embedding_cache import picture_key
from mmexplorer.explore.picture_listing import Listing, distinct, table_of
from mmexplorer.explore.thumbnails import Sheets, SheetWriter
from mmexplorer.pictures import PictureSource, open_picture


def listing_of(
    images: PictureSource | Sequence[PictureSource],
    captions: Sequence[str | None] | None,
    metadata: Mapping[str, Sequence] | None,
    folder: Path,
) -> Listing:
    """New pictures as a listing; those that are no files yet are written into `folder`.

    captions and each column of metadata have one entry per picture. Raises Refusal for another number of them, and for
    pictures that cannot be read.
    """
    import pyarrow as pa

    single = isinstance(images, str | Path | bytes | bytearray | memoryview | np.ndarray | Image.Image)
    sources = [images] if single else list(images)
    if not sources:
        raise Refusal("There is no picture to add.")
    columns = {"caption": captions, **(metadata or {})} if captions is not None else dict(metadata or {})
    for name, values in columns.items():
        if isinstance(values, str) or len(values) != len(sources):
            raise Refusal(f"{name!r} must have one entry for each of the {len(sources):,} pictures.")
    try:
        given = pa.table({name: pa.array(list(values)) for name, values in columns.items()})
    except pa.ArrowException as error:
        raise Refusal("The entries of a metadata column must all be texts, all numbers or all yes and no.") from error
    names, locations = [], []
    for number, source in enumerate(sources):
        if isinstance(source, str | Path):
            path = Path(source).absolute()
            names.append(path.name)
        else:
            path = _written(open_picture(source, f"Picture {number + 1}"), folder)
            names.append(f"picture {number + 1}")
        locations.append(f"file:{path}")
    table, remarks = table_of(names, given)
    return Listing("added", tuple(locations), table, (), remarks)


def joined(table, more):
    """A collection's table with the rows of another below it; columns that one of them lacks are null there."""
    import pyarrow as pa

    names = distinct([*table["name"].to_pylist(), *more["name"].to_pylist()])[table.num_rows :]
    more = more.set_column(more.column_names.index("name"), "name", pa.array(names, pa.string()))
    try:
        return pa.concat_tables([table, more], promote_options="permissive").combine_chunks()
    except pa.ArrowException as error:
        raise Refusal(
            "A metadata column of the new pictures holds another kind of value than it does so far."
        ) from error


def more_thumbnails(sheets: Sheets, count: int, pictures: Sequence[Image.Image], folder: Path) -> Sheets:
    """The first `count` thumbnails and those of more pictures, on new sheets in `folder`."""
    with SheetWriter(folder, sheets.cell) as writer:
        for number in range(count):
            writer.add(sheets.thumbnail(number))
        for picture in pictures:
            writer.add(picture)
    return writer.close()


def brought_along(locations: Sequence[str], temporary: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The locations after pictures that lie in temporary folders were copied into "pictures" in a folder."""
    result = []
    for location in locations:
        path = Path(location.removeprefix("file:"))
        if location.startswith("file:") and any(path.is_relative_to(parent) for parent in temporary):
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            kept = folder.absolute() / "pictures" / path.name
            shutil.copyfile(path, kept)
            location = f"file:{kept}"
        result.append(location)
    return tuple(result)


def _written(picture: Image.Image, folder: Path) -> Path:
    path = folder / f"{picture_key(picture.tobytes()).hex()}.png"
    if not path.exists():
        picture.save(path, compress_level=1)
    return path
