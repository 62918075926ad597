"""Sheets of thumbnails: what is drawn where, in which size, and what is left after an interruption."""

import numpy as np
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore.thumbnails import ACROSS, DOWN, Sheets, SheetWriter

PER_SHEET = ACROSS * DOWN


def plain(size, colour="red") -> Image.Image:
    return Image.new("RGB", size, colour)


def written(folder, pictures, cell=96) -> Sheets:
    with SheetWriter(folder, cell) as writer:
        for picture in pictures:
            writer.add(picture)
    return Sheets.open(folder)


def test_sheets_that_are_not_whole(tmp_path):
    sheets = written(tmp_path, [plain((8, 8))] * (2 * PER_SHEET + 1), cell=8)
    assert len(sheets.paths) == 3
    data = sheets.paths[1].read_bytes()
    sheets.paths[1].write_bytes(data[: len(data) // 2])  # its header is left
    assert sheets.thumbnail(0).size == (8, 8)
    with pytest.raises(Refusal, match=r"thumbnails-001\.webp is missing or damaged"):
        sheets.thumbnail(PER_SHEET)
    sheets.paths[1].write_bytes(b"")
    assert Sheets.open(tmp_path) is None
    sheets.paths[1].unlink()  # the third would be taken for the second
    assert Sheets.open(tmp_path) is None


def test_a_disk_that_cannot_be_written_is_told(tmp_path):
    writer = SheetWriter(tmp_path, 8)
    writer.add(plain((8, 8)))
    (tmp_path / "thumbnails-000.part").mkdir()
    with pytest.raises(Refusal, match="Thumbnails cannot be written to the disk"):
        writer.close()


def box(thumbnail: Image.Image) -> tuple[int, int, int, int]:
    return thumbnail.getchannel("A").getbbox()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((96, 96), (0, 0, 96, 96)),
        ((200, 100), (0, 24, 96, 72)),
        ((100, 200), (24, 0, 72, 96)),
        ((97, 97), (0, 0, 96, 96)),
        ((64, 64), (16, 16, 80, 80)),  # not enlarged by half
        ((32, 16), (0, 24, 96, 72)),  # threefold
        ((1, 1), (0, 0, 96, 96)),
        ((5000, 100), (0, 47, 96, 49)),
        ((4800, 1), (0, 47, 96, 48)),
    ],
)
def test_the_whole_picture_is_centred_and_keeps_its_shape(tmp_path, size, expected):
    thumbnail = written(tmp_path, [plain(size)]).thumbnail(0)
    assert thumbnail.size == (96, 96) and thumbnail.mode == "RGBA"
    assert box(thumbnail) == expected
    middle = np.asarray(thumbnail)[48 if size[1] > 1 else 47, 48].astype(int)
    assert np.abs(middle - (255, 0, 0, 255)).max() < (8 if size[1] > 1 else 50)  # WebP blurs a line


def test_small_pictures_stay_sharp(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = pixels[1, 1] = 255
    thumbnail = np.asarray(written(tmp_path, [Image.fromarray(pixels)]).thumbnail(0))[:, :, 0].astype(int)
    assert np.unique(np.round(thumbnail / 255)).tolist() == [0, 1]
    assert thumbnail[:40, :40].min() > 240 and thumbnail[:40, 56:].max() < 15


def test_every_thumbnail_is_found_by_its_number(tmp_path):
    count = PER_SHEET + 20
    colours = [(i % 16 * 16, i // 16 * 12, 128) for i in range(count)]
    sheets = written(tmp_path, [plain((16, 16), colour) for colour in colours], cell=16)
    assert [path.name for path in sheets.paths] == ["thumbnails-000.webp", "thumbnails-001.webp"]
    assert sheets.cell == 16
    for i in (0, 1, 15, 16, 200, PER_SHEET - 1, PER_SHEET, count - 1):
        seen = np.asarray(sheets.thumbnail(i))[4:12, 4:12, :3].mean((0, 1))
        assert np.abs(seen - colours[i]).max() < 12, i
    with pytest.raises(IndexError):
        sheets.thumbnail(-1)
    with pytest.raises(IndexError):
        sheets.thumbnail(PER_SHEET + 2 * ACROSS)  # the second sheet ends after two rows
    with pytest.raises(IndexError):
        sheets.thumbnail(2 * PER_SHEET)


def test_what_was_added_before_an_interruption_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt), SheetWriter(tmp_path, 16) as writer:
        for i in range(PER_SHEET + 1):
            writer.add(plain((16, 16), "red" if i < PER_SHEET else "blue"))
        raise KeyboardInterrupt
    sheets = Sheets.open(tmp_path)
    assert len(sheets.paths) == 2
    red, blue = (sheets.thumbnail(i).getpixel((8, 8)) for i in (0, PER_SHEET))
    assert red[0] > 240 > 15 > red[2] and blue[2] > 240 > 15 > blue[0]


def test_a_full_sheet_is_on_the_disk_before_closing(tmp_path):
    writer = SheetWriter(tmp_path, 16)
    for _ in range(PER_SHEET):
        writer.add(plain((16, 16)))
    assert len(Sheets.open(tmp_path).paths) == 1
    assert writer.close() == writer.close() == Sheets.open(tmp_path)


def test_an_older_collection_leaves_nothing_behind(tmp_path):
    written(tmp_path, [plain((16, 16))] * (PER_SHEET + 1), cell=16)
    sheets = written(tmp_path, [plain((16, 16), "blue")], cell=16)
    assert len(sheets.paths) == 1
    assert sheets.thumbnail(0).getpixel((8, 8))[2] > 240  # and not the red one that was read before
    assert [path.name for path in tmp_path.iterdir()] == ["thumbnails-000.webp"]


def test_nothing_added_and_nothing_there(tmp_path):
    with SheetWriter(tmp_path / "new") as writer:
        assert writer.close().paths == ()
    assert Sheets.open(tmp_path / "new") is None
    assert Sheets.open(tmp_path / "nowhere") is None


def test_a_thumbnail_can_be_added_again(tmp_path):
    first = written(tmp_path / "a", [plain((100, 50))]).thumbnail(0)
    second = written(tmp_path / "b", [first]).thumbnail(0)
    assert box(second) == box(first) == (0, 24, 96, 72)
