"""Pictures along two axes as the payload of `components.picture_grid`, as one PNG with labels, and a strip as a GIF.

Knows how small pictures must be for a page; does not know what the axes mean, and nothing of how they are drawn.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mmexplorer.figures.inline import data_uri, payload_text

# Longest side of a cell's picture on the page; in the PNG at least what a label needs, and at most so many pixels that
# all of them together stay within a sheet that programs open without trouble.
CELL_PIXELS = 384
PNG_CELL, SHEET_PIXELS = (160, 512), 3200
# Up to this side a picture is sent exactly, and enlarged in whole pixels.
EXACT_SIDE = 128
FONT, MARGIN = "DejaVuSans.ttf", 12
INK, QUIET, PAPER, BLANK = "#1f2937", "#5b6472", "#ffffff", "#e5e7eb"
GIF_PIXELS = (256, 512)


@dataclass(frozen=True)
class Cell:
    """One picture with the settings that made it, by name, and a second line such as its score."""

    picture: Image.Image
    settings: Mapping[str, object] = field(default_factory=dict)
    line: str = ""

    @cached_property
    def uri(self) -> str:
        """The picture as a data URI; a cell that stays while others arrive is encoded once."""
        picture = self.picture.convert("RGB")
        if max(picture.size) <= EXACT_SIDE:
            return data_uri(picture, "png")
        picture.thumbnail((CELL_PIXELS, CELL_PIXELS), Image.Resampling.LANCZOS)
        return data_uri(picture, "webp", quality=85)


@dataclass(frozen=True)
class Grid:
    """Labels of rows and columns and, by (row, column), the cells that are there; size is a picture's (width, height).

    row_title and column_title say what the axes are. A strip has one row, whose label may be "". lined keeps room for
    second lines that come later.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Mapping[tuple[int, int], Cell]
    size: tuple[int, int]
    row_title: str = ""
    column_title: str = ""
    note: str = ""
    lined: bool = False


def grid_payload(grid: Grid) -> str:
    """JSON for `components.picture_grid`; cells that are not there yet are null and keep their place."""
    return payload_text(
        {
            "rows": list(grid.rows),
            "columns": list(grid.columns),
            "row_title": grid.row_title,
            "column_title": grid.column_title,
            "size": list(grid.size),
            "note": grid.note,
            "lined": grid.lined or any(cell.line for cell in grid.cells.values()),
            "cells": [
                [_cell(grid.cells.get((row, column))) for column in range(len(grid.columns))]
                for row in range(len(grid.rows))
            ],
        }
    )


def grid_png(grid: Grid) -> bytes:
    """The whole grid as one PNG on white: labels, titles, second lines, and below what all cells' settings agree in.

    Cells that are not there are grey.
    """
    least, most = PNG_CELL
    across = max(len(grid.rows), len(grid.columns), 1)
    width, height = _within(grid.size, least, max(least, min(most, SHEET_PIXELS // across)))
    font = _font(max(width, height) // 12)
    line = font.size * 3 // 2
    over = [_wrapped(label, font, width) for label in grid.columns]
    before = [_wrapped(f"{grid.row_title} {label}".strip(), font, width) for label in grid.rows]
    widest = max((font.getlength(text) for lines in before for text in lines), default=0)
    left = MARGIN + (int(widest) + MARGIN if widest else 0)
    top = MARGIN + line * (max(map(len, over), default=0) + bool(grid.column_title)) + MARGIN // 2
    step_x = width + MARGIN
    step_y = height + MARGIN + (line if any(cell.line for cell in grid.cells.values()) else 0)
    size = (max(left + step_x * len(grid.columns), left + MARGIN), top + step_y * len(grid.rows))
    agreed = _wrapped(_agreed(grid), font, size[0] - 2 * MARGIN)
    sheet = Image.new("RGB", (size[0], size[1] + (line * len(agreed) + MARGIN if agreed else 0)), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((left, MARGIN), _cut(grid.column_title, font, size[0] - left), QUIET, font)
    for column, lines in enumerate(over):
        place = (left + column * step_x + width / 2, top - MARGIN // 2 - line * len(lines))
        pen.multiline_text(place, "\n".join(lines), INK, font, anchor="ma", align="center", spacing=line - font.size)
    for row, lines in enumerate(before):
        place = (MARGIN, top + row * step_y + height / 2)
        pen.multiline_text(place, "\n".join(lines), INK, font, anchor="lm", spacing=line - font.size)
    for row, column in np.ndindex(len(grid.rows), len(grid.columns)):
        x, y = left + column * step_x, top + row * step_y
        cell = grid.cells.get((row, column))
        sheet.paste(_fitted(cell.picture, (width, height)) if cell else BLANK, (x, y, x + width, y + height))
        if cell and cell.line:
            pen.text((x + width / 2, y + height + 3), _cut(cell.line, font, width), QUIET, font, anchor="ma")
    pen.multiline_text((MARGIN, size[1]), "\n".join(agreed), QUIET, font, spacing=line - font.size)
    return _written(sheet, "png")


def strip_gif(pictures: Sequence[Image.Image], *, milliseconds: int = 120, back: bool = True) -> bytes:
    """The pictures as an endless GIF, each `milliseconds` long; back plays them backwards again, so that nothing jumps.

    All get the first one's size, small ones enlarged in whole pixels. Raises ValueError without a picture.
    """
    if not pictures:
        raise ValueError("A GIF needs at least one picture.")
    size = _within(pictures[0].size, *GIF_PIXELS)
    frames = [_fitted(picture, size) for picture in pictures]
    if back:
        frames += frames[-2:0:-1]
    return _written(frames[0], "gif", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)


def _cell(cell: Cell | None) -> dict | None:
    if cell is None:
        return None
    return {
        "picture": cell.uri,
        "settings": [[name, str(value)] for name, value in cell.settings.items()],
        "line": cell.line,
    }


def _agreed(grid: Grid) -> str:
    """The settings that are the same in all cells."""
    first, *others = (cell.settings for cell in grid.cells.values()) if grid.cells else ({},)
    agreed = ((name, value) for name, value in first.items() if all(other.get(name) == value for other in others))
    return " · ".join(f"{name} {value}" for name, value in agreed)


def _font(pixels: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans where the machine has it, for its many scripts; Pillow's own font otherwise."""
    try:
        return ImageFont.truetype(FONT, pixels)
    except OSError:
        return ImageFont.load_default(pixels)


def _within(size: tuple[int, int], least: int, most: int) -> tuple[int, int]:
    """The size enlarged by a whole factor until its longer side has `least` pixels, or reduced to `most`."""
    longest = max(size)
    if longest > most:
        return max(1, round(size[0] * most / longest)), max(1, round(size[1] * most / longest))
    factor = -(-least // longest)
    return size[0] * factor, size[1] * factor


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture as large as fits into the size, with grey margins where its shape is another."""
    exact = max(picture.size) <= EXACT_SIDE and size[0] % picture.width == 0
    method = Image.Resampling.NEAREST if exact else Image.Resampling.LANCZOS
    return ImageOps.pad(picture.convert("RGB"), size, method, BLANK)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int, most: int = 4) -> list[str]:
    """The text in at most `most` lines of that many pixels, broken between words; what is left over is cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
            break
    return [_cut(line, font, width) for line in lines]


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    text = text[: int(width)]  # no letter is narrower than a pixel
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _written(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
