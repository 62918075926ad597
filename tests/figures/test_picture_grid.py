"""Grids of pictures: payload, the one PNG with every picture at its place, and the GIF of a strip."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageFont

from mmexplorer.figures.picture_grid import BLANK, CELL_PIXELS, Cell, Grid, grid_payload, grid_png, strip_gif

COLOURS = {(0, 0): "red", (0, 1): "lime", (1, 0): "blue"}


def tile(colour, size=(64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


def grid(**fields) -> Grid:
    """Two by two, of which the last is not there yet."""
    cells = {place: Cell(tile(colour), {"guidance": 2.5, "seed": 7}, "score") for place, colour in COLOURS.items()}
    return Grid(**({"rows": ["5", "10"], "columns": ["1", "8"], "cells": cells, "size": (64, 64)} | fields))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def blocks(png: bytes, colour) -> tuple[int, int, int, int] | None:
    """The box around all pixels of a colour."""
    sheet = np.asarray(opened(png).convert("RGB"))
    rows, columns = np.nonzero((sheet == Image.new("RGB", (1, 1), colour).getpixel((0, 0))).all(axis=2))
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else None


def test_cells_are_where_they_belong_and_missing_ones_are_null():
    found = json.loads(grid_payload(grid(row_title="steps", column_title="guidance", note="A note.")))
    assert (found["rows"], found["columns"], found["size"]) == (["5", "10"], ["1", "8"], [64, 64])
    assert (found["row_title"], found["column_title"], found["note"]) == ("steps", "guidance", "A note.")
    assert found["cells"][1][1] is None and found["lined"]
    empty = json.loads(grid_payload(grid(cells={})))
    assert (empty["cells"], empty["lined"]) == ([[None, None]] * 2, False)
    assert json.loads(grid_payload(grid(cells={}, lined=True)))["lined"]
    for (row, column), colour in COLOURS.items():
        cell = found["cells"][row][column]
        assert cell["settings"] == [["guidance", "2.5"], ["seed", "7"]] and cell["line"] == "score"
        picture = opened(base64.b64decode(cell["picture"].split(",")[1]))
        assert picture.getpixel((63, 63)) == tile(colour).getpixel((0, 0)) and picture.size == (64, 64)


def test_large_pictures_are_reduced_and_encoded_once():
    cell = Cell(tile("red", (1000, 500)))
    assert opened(base64.b64decode(cell.uri.split(",")[1])).size == (CELL_PIXELS, CELL_PIXELS // 2)
    assert cell.uri is cell.uri and cell.picture.size == (1000, 500)


def test_no_markup_in_the_text():
    hostile = "<img src=x onerror=alert(1)>"
    cells = {(0, 0): Cell(tile("red"), {hostile: hostile}, hostile)}
    assert "<" not in grid_payload(Grid([hostile], [hostile], cells, (64, 64), hostile, hostile, hostile))


def test_the_png_has_every_picture_whole_and_in_order():
    png = grid_png(grid())
    boxes = {place: blocks(png, colour) for place, colour in COLOURS.items()}
    assert opened(png).format == "PNG"
    for left, top, right, bottom in boxes.values():
        assert (right - left, bottom - top) == (192, 192), "three times as large, to be seen"
    first, beside, below, empty = boxes[0, 0], boxes[0, 1], boxes[1, 0], blocks(png, BLANK)
    assert first[1] == beside[1] and first[2] < beside[0]
    assert first[0] == below[0] and first[3] < below[1]
    assert (empty[0], empty[1]) == (beside[0], below[1]) and empty[2] - empty[0] == 192


def ink(png: bytes, box) -> int:
    """How many pixels of a part of the picture are neither white nor of a cell."""
    part = np.asarray(opened(png).convert("RGB").crop(box)).reshape(-1, 3)
    return int((part.max(axis=1) < 128).sum())


def test_labels_stand_above_and_beside_their_pictures():
    png = grid_png(grid(row_title="steps", column_title="guidance"))
    bare = grid_png(grid(rows=["", ""], columns=["", ""]))
    first, beside, below = (blocks(png, colour) for colour in COLOURS.values())
    assert ink(png, (beside[0], 0, beside[2], beside[1])), "its column's label"
    assert ink(png, (0, below[1], below[0], below[3])), "its row's label"
    assert ink(png, (first[0], first[3], first[2], first[3] + 24)), "its second line"
    assert not ink(png, (first[2], first[1], beside[0], first[3])), "nothing between the pictures"
    assert opened(bare).width < opened(png).width and blocks(bare, "red")[1] < first[1]


def test_long_labels_are_broken_and_cut():
    long = "a large red circle to the left of a small blue square " * 200
    png = grid_png(grid(rows=[long, "x" * 20_000], columns=[long, "ö 図 \n z"]))
    assert opened(png).width < 2 * (192 + 12) + 192 + 3 * 12
    for colour in COLOURS.values():
        left, top, right, bottom = blocks(png, colour)
        assert (right - left, bottom - top) == (192, 192), "no label on a picture"


def test_what_all_pictures_share_stands_below_them():
    cells = {place: Cell(tile(colour), {"guidance": place[1], "seed": 7}) for place, colour in COLOURS.items()}
    shared, own = (
        grid_png(Grid(["1", "2"], ["1", "2"], some, (64, 64))) for some in (cells, {(0, 0): Cell(tile("red"))})
    )
    below = blocks(own, BLANK)[3]
    assert opened(shared).height > opened(own).height and ink(shared, (0, below, *opened(shared).size))
    alone = grid_png(Grid(["1", "2"], ["1", "2"], {**cells, (1, 1): Cell(tile("red"), {"seed": 8})}, (64, 64)))
    assert opened(alone).height == opened(own).height, "nothing is shared by all"


def test_pictures_of_another_shape_keep_it():
    cells = {(0, 0): Cell(tile("red", (64, 32)))}
    left, top, right, bottom = blocks(grid_png(Grid([""], [""], cells, (64, 64))), "red")
    assert (right - left, bottom - top) == (192, 96)


def test_many_large_pictures_make_a_sheet_of_bearable_size():
    labels = ["label"] * 10
    png = grid_png(Grid(labels, labels, {(9, 9): Cell(tile("red", (1024, 1024)))}, (1024, 1024)))
    assert max(opened(png).size) < 3600
    left, top, right, bottom = blocks(png, "red")
    assert (right - left, bottom - top) == (320, 320)


def test_without_dejavu_pillows_own_font_is_used(monkeypatch):
    def missing(*_):
        raise OSError

    monkeypatch.setattr(ImageFont, "truetype", missing)
    monkeypatch.setattr(ImageFont, "load_default", default := Default())
    png = grid_png(grid())
    assert default.asked and blocks(png, "red")


class Default:
    """Pillow's own font, and whether somebody asked for it."""

    asked = 0
    font = ImageFont.load_default(16)

    def __call__(self, size):
        self.asked += 1
        return self.font


def frames(gif: bytes) -> list[tuple[tuple[int, int, int], int]]:
    """The colour of each frame's first pixel and how long it is shown."""
    found = opened(gif)
    shown = []
    for number in range(found.n_frames):
        found.seek(number)
        shown.append((found.convert("RGB").getpixel((0, 0)), found.info["duration"]))
    return shown


def test_a_gif_runs_there_and_back_for_ever():
    pictures = [tile(colour) for colour in ("red", "lime", "blue")]
    red, lime, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    gif = strip_gif(pictures, milliseconds=80)
    assert frames(gif) == [(red, 80), (lime, 80), (blue, 80), (lime, 80)]
    assert opened(gif).info["loop"] == 0 and opened(gif).size == (256, 256)
    assert frames(strip_gif(pictures, milliseconds=50, back=False)) == [(red, 50), (lime, 50), (blue, 50)]
    assert len(frames(strip_gif(pictures[:1]))) == 1 and len(frames(strip_gif(pictures[:2]))) == 2
    with pytest.raises(ValueError, match="at least one"):
        strip_gif([])


def test_a_gif_of_large_pictures_is_reduced_and_small_ones_keep_their_pixels():
    assert opened(strip_gif([tile("red", (1024, 512))])).size == (512, 256)
    board = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)).convert("RGB")
    gif = np.asarray(opened(strip_gif([board])).convert("L"))
    assert np.array_equal(gif, np.kron(np.asarray(board.convert("L")), np.ones((4, 4), np.uint8)))
