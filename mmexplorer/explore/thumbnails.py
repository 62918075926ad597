"""Thumbnails of a collection's pictures, many to a file: sheets of equal cells, as WebP.

Knows neither what a picture shows nor which row of a table it belongs to: thumbnails have numbers in the order in
which they were added.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from mmexplorer.errors import Refusal

ACROSS, DOWN = 16, 16
QUALITY = 85


@dataclass(frozen=True)
class Sheets:
    """Thumbnail i is cell i % (across * down), row by row, of sheet i // (across * down); cell is a side in pixels."""

    paths: tuple[Path, ...]
    cell: int
    across: int = ACROSS
    down: int = DOWN

    @classmethod
    def open(cls, folder: str | Path) -> "Sheets | None":
        """The sheets that a SheetWriter left in a folder, or None unless there are some and all can be opened."""
        count = len(list(Path(folder).glob("thumbnails-*.webp")))
        paths, widths = tuple(Path(folder) / _name(number) for number in range(count)), set()
        try:
            for path in paths:
                with Image.open(path) as sheet:  # its header alone
                    widths.add(sheet.width)
        except OSError:
            return None
        return cls(paths, widths.pop() // ACROSS) if len(widths) == 1 else None

    def thumbnail(self, index: int) -> Image.Image:
        """Thumbnail `index` as RGBA, cell x cell pixels, transparent around the picture.

        Raises IndexError beyond the last, Refusal where its sheet is missing or damaged.
        """
        sheet, place = divmod(index, self.across * self.down)
        if index < 0:
            raise IndexError(index)
        path = self.paths[sheet]
        row, column = divmod(place, self.across)
        try:
            picture = _sheet(path, path.stat().st_mtime_ns)
        except OSError as error:
            raise Refusal(f"{path.name} is missing or damaged; open the pictures again.") from error
        if (row + 1) * self.cell > picture.height:
            raise IndexError(index)
        left, top = column * self.cell, row * self.cell
        return picture.crop((left, top, left + self.cell, top + self.cell))


class SheetWriter:
    """Writes sheets "thumbnails-000.webp", ... into a folder, one in memory at a time; older ones there are removed.

    Usable as a context manager. What was added before an interruption is kept once `close` is called. `add` and
    `close` raise Refusal where a sheet cannot be written.
    """

    def __init__(self, folder: str | Path, cell: int = 96):
        self.folder, self.cell = Path(folder), cell
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("thumbnails-*.webp"):
            old.unlink()
        self._paths: list[Path] = []
        self._sheet, self._used = self._blank(), 0

    def add(self, picture: Image.Image) -> None:
        """Adds the next thumbnail: the whole picture, centred in its cell.

        A picture smaller than the cell is enlarged by a whole factor at most, so that pixels stay square and sharp.
        """
        row, column = divmod(self._used, ACROSS)
        small = _fitted(picture, self.cell)
        left = column * self.cell + (self.cell - small.width) // 2
        top = row * self.cell + (self.cell - small.height) // 2
        self._sheet.paste(small, (left, top))
        self._used += 1
        if self._used == ACROSS * DOWN:
            self._write()

    def close(self) -> Sheets:
        """Writes the last, unfinished sheet; the writer may be closed more than once."""
        if self._used:
            self._write()
        return Sheets(tuple(self._paths), self.cell)

    def __enter__(self) -> "SheetWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _blank(self) -> Image.Image:
        return Image.new("RGBA", (ACROSS * self.cell, DOWN * self.cell))

    def _write(self) -> None:
        path = self.folder / _name(len(self._paths))
        rows = -(-self._used // ACROSS)
        draft = path.with_suffix(".part")
        sheet = self._sheet.crop((0, 0, self._sheet.width, rows * self.cell))
        try:
            sheet.save(draft, "WEBP", quality=QUALITY, method=2)
            os.replace(draft, path)  # nobody sees half a sheet
        except OSError as error:
            raise Refusal(f"Thumbnails cannot be written to the disk ({error.strerror or error}).") from error
        self._paths.append(path)
        self._sheet, self._used = self._blank(), 0


def _name(number: int) -> str:
    return f"thumbnails-{number:03d}.webp"


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    if picture.mode not in ("RGB", "RGBA"):
        picture = picture.convert("RGBA")
    if max(picture.size) <= cell:
        factor = cell // max(picture.size)
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST).convert(
            "RGBA"
        )
    scale = cell / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).convert("RGBA")


@lru_cache(maxsize=12)  # the toy world's ten fit; 4 MB each, of larger cells 9
def _sheet(path: Path, _changed: int) -> Image.Image:
    with Image.open(path) as sheet:
        return sheet.convert("RGBA")
