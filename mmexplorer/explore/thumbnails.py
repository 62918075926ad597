"""Thumbnails of a collection's pictures, many to a file: sheets of equal cells, as WebP.

Knows neither what a picture shows nor which row of a table it belongs to: thumbnails have numbers in the order in
which they were added.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

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
        """The sheets that a SheetWriter left in a folder, or None where there are none."""
        paths = tuple(sorted(Path(folder).glob("thumbnails-*.webp")))
        if not paths:
            return None
        with Image.open(paths[0]) as sheet:
            return cls(paths, sheet.width // ACROSS)

    def thumbnail(self, index: int) -> Image.Image:
        """Thumbnail `index` as RGBA, cell x cell pixels, transparent around the picture; IndexError beyond the last."""
        sheet, place = divmod(index, self.across * self.down)
        if index < 0:
            raise IndexError(index)
        path = self.paths[sheet]
        row, column = divmod(place, self.across)
        picture = _sheet(path, path.stat().st_mtime_ns)
        if (row + 1) * self.cell > picture.height:
            raise IndexError(index)
        left, top = column * self.cell, row * self.cell
        return picture.crop((left, top, left + self.cell, top + self.cell))


class SheetWriter:
    """Writes sheets "thumbnails-000.webp", ... into a folder, one in memory at a time; older ones there are removed.

    Usable as a context manager. What was added before an interruption is kept once `close` is called.
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
        path = self.folder / f"thumbnails-{len(self._paths):03d}.webp"
        rows = -(-self._used // ACROSS)
        draft = path.with_suffix(".part")
        self._sheet.crop((0, 0, self._sheet.width, rows * self.cell)).save(draft, "WEBP", quality=QUALITY, method=2)
        os.replace(draft, path)  # nobody sees half a sheet
        self._paths.append(path)
        self._sheet, self._used = self._blank(), 0


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


@lru_cache(maxsize=4)
def _sheet(path: Path, _changed: int) -> Image.Image:
    with Image.open(path) as sheet:
        return sheet.convert("RGBA")
