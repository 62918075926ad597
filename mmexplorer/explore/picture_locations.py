"""Where a picture lies, as one string, and reading it from there.

"file:<path>", "zip:<path>::<member>", "parquet:<path>::<row>::<column>" and "toy:<seed>", a scene of the toy world.
Archives are read in place, nothing is unpacked to the disk. Whether a visitor may name a location is decided where
locations are made, in `picture_sources`; here every location is trusted.
"""

import io
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore.parquet_column import ParquetColumn
from mmexplorer.explore.zip_archive import ZipArchive
from mmexplorer.pictures import open_picture
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Sampler, rng_for

MAX_BYTES = 100_000_000  # of one picture's file
SEPARATORS = {"file": 0, "zip": 1, "parquet": 2, "toy": 0}  # how often "::" divides the location


def zip_location(path: str | Path, member: str) -> str:
    """The location of an archive's member."""
    return f"zip:{_escaped(path)}::{member}"


def parquet_location(path: str | Path, row: int, column: str) -> str:
    """The location of a picture whose bytes a Parquet file holds, in the row counted from 0."""
    return f"parquet:{_escaped(path)}::{row}::{column}"


def location_name(location: str) -> str:
    """What to call the picture at a location: the name of its file, or its row."""
    kind, rest = _parts(location)
    if kind == "toy":
        return f"toy scene {rest[0]}"
    if kind == "parquet":
        return f"row {int(rest[1]) + 1} of {Path(rest[0]).name}"
    return Path(rest[-1]).name


def read_location(location: str) -> bytes:
    """The bytes of the picture's file; Refusal where it is missing, damaged or larger than MAX_BYTES."""
    kind, rest = _parts(location)
    if kind == "toy":
        return _toy_scene(int(rest[0]))
    try:
        status = Path(rest[0]).stat()
        if kind == "file":
            data = _read_file(Path(rest[0]), status.st_size)
        elif kind == "zip":
            data = _archive(rest[0], status.st_mtime_ns, status.st_size).read(rest[1], MAX_BYTES)
        else:
            data = _column(rest[0], status.st_mtime_ns, status.st_size, rest[2]).read(int(rest[1]))
    except OSError as error:
        reason = "is no longer there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise Refusal(f"{Path(rest[0]).name} {reason}.") from error
    if len(data) > MAX_BYTES:
        raise _too_large(location_name(location))
    return data


def open_location(location: str) -> Image.Image:
    """The picture as upright, opaque RGB; Refusal as `read_location` and `pictures.open_picture`."""
    return open_picture(read_location(location), location_name(location))


def _parts(location: str) -> tuple[str, list[str]]:
    kind, _, rest = location.partition(":")
    path, *inside = rest.split("::", SEPARATORS[kind]) if SEPARATORS.get(kind) else [rest]
    if len(inside) != SEPARATORS.get(kind):
        raise ValueError(f"no location of a picture: {location!r}")
    return kind, [unquote(path) if inside else path, *inside]


def _escaped(path: str | Path) -> str:
    return str(path).replace("%", "%25").replace("::", "%3A%3A")


def _read_file(path: Path, size: int) -> bytes:
    if size > MAX_BYTES:
        raise _too_large(path.name)
    return path.read_bytes()


def _too_large(name: str) -> Refusal:
    return Refusal(f"{name} has more than {MAX_BYTES // 1_000_000} MB; scale it down first.")


# Kept open from picture to picture; the times and sizes among the arguments let a changed file be opened anew.
@lru_cache(maxsize=8)
def _archive(path: str, *_) -> ZipArchive:
    return ZipArchive(path)


@lru_cache(maxsize=8)
def _column(path: str, _time: int, _size: int, column: str) -> ParquetColumn:
    return ParquetColumn(path, column)


def _toy_scene(seed: int) -> bytes:
    scene = Sampler(rng_for("collection", seed)).scene()
    file = io.BytesIO()
    Image.fromarray(render([scene])[0]).save(file, "PNG")
    return file.getvalue()
