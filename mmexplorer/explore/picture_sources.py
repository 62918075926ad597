"""Lists the pictures of a source: uploads, a folder, a zip archive, a table that names pictures, a data set of the Hub.

Decides which files a visitor may name, and opens no picture: one that cannot be read is found by whoever opens it.
"""

import os
import threading
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from mmexplorer.errors import Refusal
from mmexplorer.explore import datasets_source, picture_tables
from mmexplorer.explore.picture_listing import MAX_PICTURES, Listing, Skipped, table_of
from mmexplorer.explore.picture_locations import (
    MAX_BYTES,
    open_location,
    parquet_location,
    read_location,
    zip_location,
)
from mmexplorer.explore.zip_archive import ZipArchive, unreadable
from mmexplorer.hub import Stopped

__all__ = ["MAX_PICTURES", "Listing", "Skipped", "list_pictures", "open_location", "read_location"]

PHOTOS = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".ico", ".tif", ".tiff")
SUFFIXES = frozenset((*PHOTOS, ".ppm", ".pgm", ".pbm", ".pnm"))
MAX_ARCHIVE_BYTES = 32_000_000_000  # of all pictures in one zip archive, unpacked
DEPTH = 8  # folders of an uploaded path that a table's names are compared with
FROM_WEB = "is a web address, and pictures are not fetched from the web"

Find = Callable[[str], tuple[str, str]]


def list_pictures(
    source: str | Path | Sequence[str | Path],
    *,
    local: bool,
    stop: threading.Event | None = None,
    limit: int = MAX_PICTURES,
) -> Listing:
    """The first `limit` pictures of a source, not opened yet.

    source is a list of uploaded files (pictures, zip archives and at most one table), or a folder with its sub-folders,
    a .zip, a .csv, .tsv or .parquet file whose rows name pictures beside it or hold them, or "hf:owner/name[:split]".
    Without `local` only uploads and data sets are taken, and a table may name nothing but what came with it.
    Raises Refusal where there is nothing to list, Stopped once `stop` is set.
    """
    stop = stop or threading.Event()
    if isinstance(source, str) and source.startswith("hf:"):
        return datasets_source.list_dataset(source.removeprefix("hf:"), local=local, stop=stop, limit=limit)
    if not isinstance(source, str | Path):
        return _uploads([Path(path) for path in source], stop, limit)
    if not local:
        raise Refusal("Files and folders where the app runs are not open to visitors; upload the pictures or a zip.")
    # os.path has no errors of its own for a name that is too long, or a home that does not exist.
    path = Path(os.path.abspath(os.path.expanduser(source)))
    if os.path.isdir(path):
        return _listing(path.name, _folder(path, stop), limit)
    if not os.path.isfile(path):
        raise Refusal(f"There is no file or folder at {_shortened(str(path))}.")
    if path.suffix.lower() in picture_tables.SUFFIXES:
        return _tabled(path, lambda reference: _beside(path.parent, reference), stop, limit)
    return _uploads([path], stop, limit)


@dataclass
class _Found:
    """Pictures by relative paths, in order, and the tables that lie among them."""

    names: list[str] = field(default_factory=list)
    locations: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, name: str, location: str) -> None:
        self.names.append(name)
        self.locations.append(location)


def _uploads(paths: list[Path], stop: threading.Event, limit: int) -> Listing:
    if not paths:
        raise Refusal("There are no pictures yet; choose some, or a zip archive of them.")
    found, tables = _Found(), []
    for path in paths:
        if path.suffix.lower() in picture_tables.SUFFIXES:
            tables.append(path)
        elif path.suffix.lower() == ".zip":
            _add_archive(found, path, stop)
        else:
            found.add(path.name, f"file:{path.absolute()}")
    if len(tables) > 1:
        raise Refusal(f"There are {len(tables)} tables; choose the one that lists the pictures.")
    if tables:
        among = _Among(found)
        listing = _tabled(tables[0], among.find, stop, limit)
        return replace(listing, remarks=listing.remarks + among.remarks(tables[0].name))
    return _listing(paths[0].stem if len(paths) == 1 else f"{len(paths):,} files", found, limit)


def _folder(folder: Path, stop: threading.Event) -> _Found:
    found = _Found()

    def closed(error: OSError) -> None:
        found.skipped.append(Skipped(os.path.relpath(error.filename, folder), f"cannot be opened ({error.strerror})"))

    for parent, folders, files in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for file in sorted(files):
            _check(stop)
            path = os.path.join(parent, file)
            name, suffix = os.path.relpath(path, folder).replace(os.sep, "/"), os.path.splitext(file)[1].lower()
            if suffix in picture_tables.SUFFIXES:
                found.tables.append(name)
            elif suffix in SUFFIXES and not _is_hidden(file):
                try:
                    path.encode()
                    found.add(name, f"file:{path}")
                except UnicodeEncodeError:
                    readable = name.encode(errors="replace").decode()
                    found.skipped.append(Skipped(readable, "has a name that is not Unicode; rename it"))
    return found


def _add_archive(found: _Found, path: Path, stop: threading.Event) -> None:
    total = 0
    for member, info in sorted(ZipArchive(path).members().items()):
        _check(stop)
        # The name is only shown and compared; still, nobody should read "../../etc" there.
        parts = [part for part in PurePosixPath(member.replace("\\", "/")).parts if part not in ("/", "..")]
        name, suffix = "/".join(parts), PurePosixPath(parts[-1] if parts else "").suffix.lower()
        if any(map(_is_hidden, parts)):
            continue
        if suffix in picture_tables.SUFFIXES:
            found.tables.append(name)
        elif suffix in SUFFIXES:
            if reason := unreadable(info, MAX_BYTES):
                found.skipped.append(Skipped(name, reason))
                continue
            total += info.file_size
            if total > MAX_ARCHIVE_BYTES:
                raise Refusal(f"{path.name} unpacks to more than {MAX_ARCHIVE_BYTES // 10**9} GB; pack fewer pictures.")
            found.add(name, zip_location(path.absolute(), member))


def _listing(name: str, found: _Found, limit: int) -> Listing:
    """The listing of pictures that no table describes: their folders are all that is known of them."""
    import pyarrow as pa

    if not found.names:
        reason = f"; {found.skipped[0].name} {found.skipped[0].reason}" if found.skipped else ""
        raise Refusal(f"There are no pictures in {name}{reason}.")
    remarks = []
    if len(found.names) > limit:
        remarks.append(f"Only the first {limit:,} of {len(found.names):,} pictures are listed.")
    if found.tables:
        remarks.append(f"{found.tables[0]} is not read; to use it, open it by itself or upload it beside the pictures.")
    names = found.names[:limit]
    folders = [PurePosixPath(name).parent for name in names]
    shared = os.path.commonpath(folders)  # says nothing about a picture, such as the one folder that was packed
    below = [str(folder.relative_to(shared)) for folder in folders]
    table, _ = table_of(names, pa.table({"folder": below} if len(set(below)) > 1 else {}))
    return Listing(name, tuple(found.locations[:limit]), table, tuple(found.skipped), tuple(remarks))


def _tabled(path: Path, find: Find, stop: threading.Event, limit: int) -> Listing:
    """The listing that a table gives: its rows, as far as `find` knows where their pictures lie."""
    import pyarrow as pa

    given = picture_tables.read_table(path, limit)
    rows, names, locations, skipped = [], [], [], list(given.skipped)
    for row, name in enumerate(given.names):
        _check(stop)
        if given.bytes_column:
            location, reason = parquet_location(path.absolute(), row, given.bytes_column), ""
        else:
            location, reason = find(name) if name else ("", "names no picture")
        if location:
            rows.append(row)
            names.append(name or f"row {row + 1}")
            locations.append(location)
        else:
            skipped.append(Skipped(name or f"row {row + 1}", reason))
    if not given.names and not skipped:
        raise Refusal(f"{path.name} has no rows; put one picture in each.")
    if not locations:
        raise Refusal(f"No row of {path.name} leads to a picture: {skipped[0].name} {skipped[0].reason}.")
    columns = given.columns.take(pa.array(rows, pa.int64())) if given.columns.num_columns else given.columns
    table, remarks = table_of(names, columns)
    if given.total > len(given.names):
        remarks = (*remarks, f"Only the first {len(given.names):,} of {given.total:,} rows of {path.name} are listed.")
    return Listing(path.stem, tuple(locations), table, tuple(skipped), (*given.remarks, *remarks))


def _beside(folder: Path, reference: str) -> tuple[str, str]:
    """The location of a picture that a table in a folder names, or why there is none."""
    if "://" in reference:
        return "", FROM_WEB
    for path in (folder / reference, folder / reference.replace("\\", "/")):
        if os.path.isfile(path):
            return f"file:{os.path.abspath(path)}", ""
    return "", "does not exist"


class _Among:
    """Finds the pictures that a table names among those that came with it, and never anywhere else."""

    def __init__(self, found: _Found):
        self.found, self.used = found, set()
        self.paths: dict[str, list[int]] = {}
        self.tails: dict[tuple[str, ...], list[int]] = {}
        for number, name in enumerate(map(_normal, found.names)):
            self.paths.setdefault(name, []).append(number)
            for tail in _tails(name):
                self.tails.setdefault(tail, []).append(number)

    def find(self, reference: str) -> tuple[str, str]:
        """The location of the picture whose path is the reference, else of that which ends most like it."""
        if "://" in reference:
            return "", FROM_WEB
        name = _normal(reference)
        candidates = (self.paths.get(name), *(self.tails.get(tail) for tail in _tails(name)))
        matches = next(filter(None, candidates), ())
        if len(matches) == 1:
            self.used.add(matches[0])
            return self.found.locations[matches[0]], ""
        return "", f"could be any of {len(matches)} pictures of that name" if matches else "did not come with the table"

    def remarks(self, table: str) -> tuple[str, ...]:
        """What to say about pictures that no row named."""
        unused = len(self.found.names) - len(self.used)
        return (f"Pictures left out because {table} does not name them: {unused:,}.",) if unused else ()


def _normal(path: str) -> str:
    """A path as names are compared: forward slashes, composed accents, without "./" and the like."""
    return str(PurePosixPath(unicodedata.normalize("NFC", path.replace("\\", "/"))))


def _tails(path: str) -> list[tuple[str, ...]]:
    """A path's last parts, the longest tail first; deeper folders than DEPTH do not count."""
    parts = PurePosixPath(path).parts[-DEPTH:]
    return [parts[start:] for start in range(len(parts))]


def _shortened(path: str) -> str:
    return path if len(path) <= 160 else f"{path[:40]}...{path[-100:]}"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped("Listing the pictures was stopped.")
