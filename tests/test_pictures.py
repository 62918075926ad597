"""Every kind of file a visitor may send becomes the right RGB pixels or one sentence."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.pictures import MAX_PIXELS, open_picture

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def left_red_right_blue(size=(4, 2)) -> Image.Image:
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def png_header(width: int, height: int) -> bytes:
    """A valid PNG that claims any size and holds a few bytes of pixels: a decompression bomb's outside."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def assert_is_left_red_right_blue(picture: Image.Image) -> None:
    assert picture.mode == "RGB"
    pixels = np.asarray(picture)
    half = pixels.shape[1] // 2
    assert (pixels[:, :half] == RED).all() and (pixels[:, half:] == BLUE).all()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_lossless_formats_keep_their_pixels(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert_is_left_red_right_blue(open_picture(encode(left_red_right_blue(), kind, **options)))


def test_sources_of_every_type_give_the_same_picture(tmp_path):
    image = left_red_right_blue()
    path = tmp_path / "a.png"
    image.save(path)
    for source in (path, str(path), path.read_bytes(), np.asarray(image), np.asarray(image) / 255.0, image):
        assert_is_left_red_right_blue(open_picture(source))


def test_cmyk_jpeg():
    picture = open_picture(encode(left_red_right_blue((64, 32)).convert("CMYK"), "JPEG", quality=95))
    assert picture.mode == "RGB"
    assert np.abs(np.asarray(picture)[16, 8].astype(int) - RED).max() < 12
    assert np.abs(np.asarray(picture)[16, 56].astype(int) - BLUE).max() < 12


def test_the_two_picture_jpeg_of_telephones():
    data = encode(left_red_right_blue((64, 32)), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 32))])
    assert np.abs(np.asarray(open_picture(data))[16, 8].astype(int) - RED).max() < 12


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned 90 degrees clockwise
    picture = open_picture(encode(left_red_right_blue((64, 32)), "JPEG", exif=exif, quality=95))
    assert picture.size == (32, 64)
    assert np.asarray(picture)[8, 16, 0] > 240  # left becomes top
    assert np.asarray(picture)[56, 16, 2] > 240


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_transparency_is_laid_on_white(mode):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    picture = open_picture(image.convert("LA").convert("La") if mode == "La" else image.convert(mode))
    assert np.asarray(picture).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_half_transparent_red_is_pink():
    picture = open_picture(encode(Image.new("RGBA", (1, 1), (255, 0, 0, 128))))
    assert picture.getpixel((0, 0)) == (255, 127, 127)


def test_palette_with_and_without_transparency():
    image = left_red_right_blue().convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    assert_is_left_red_right_blue(open_picture(encode(image)))
    blue = image.getpixel((3, 0))
    picture = open_picture(encode(image, transparency=blue))
    assert picture.getpixel((0, 0)) == RED
    assert picture.getpixel((3, 0)) == WHITE


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (GREEN, RED, BLUE)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert open_picture(data).getpixel((4, 4)) == GREEN


def test_sixteen_bit_grey_is_scaled_not_clipped():
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    picture = open_picture(encode(Image.fromarray(values)))
    assert np.asarray(picture)[0, :, 0].tolist() == [0, 100, 255]
    assert np.asarray(open_picture(values))[0, :, 1].tolist() == [0, 100, 255]


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 1e6])
def test_float_tiff_is_scaled_by_its_range(white):
    values = np.array([[0.0, white * 0.4, white]], dtype=np.float32)
    picture = open_picture(encode(Image.fromarray(values), "TIFF"))
    assert np.asarray(picture)[0, :, 2].tolist() == [0, 102, 255]


def test_float_with_nan_is_black_there():
    values = np.array([[np.nan, 1.0]], dtype=np.float32)
    assert np.asarray(open_picture(Image.fromarray(values)))[0, :, 0].tolist() == [0, 255]


def test_thirty_two_bit_integers():
    values = np.array([[0, 100, 255]], dtype=np.int32)
    assert np.asarray(open_picture(Image.fromarray(values)))[0, :, 0].tolist() == [0, 100, 255]


def test_bilevel_and_grey():
    assert open_picture(Image.new("1", (2, 2), 1)).getpixel((0, 0)) == WHITE
    assert open_picture(Image.new("L", (2, 2), 7)).getpixel((0, 0)) == (7, 7, 7)
    assert open_picture(np.ones((2, 2), dtype=bool)).getpixel((1, 1)) == WHITE
    assert open_picture(np.full((2, 2, 1), 9, dtype=np.uint8)).getpixel((1, 1)) == (9, 9, 9)


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 3), (50, 1)])
def test_tiny_pictures_are_pictures(size):
    assert open_picture(encode(Image.new("RGB", size, GREEN))).size == size


def test_the_result_is_not_the_callers_image():
    image = Image.new("RGB", (2, 2), RED)
    picture = open_picture(image)
    image.paste(BLUE, (0, 0, 2, 2))
    assert picture.getpixel((0, 0)) == RED


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"hello, not a picture", "not a picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture that can be read"),
        (png_header(13_000, 13_000), "pixels"),
        (png_header(6_000, 6_000), "6,000 x 6,000"),
        (png_header(510, 10), "50 times"),
        (png_header(64, 64), "damaged or incomplete"),
    ],
    ids=["empty", "text", "postscript", "bomb", "too large", "strip", "short data"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_refused_in_a_sentence_that_names_them(data, words):
    with pytest.raises(Refusal) as refusal:
        open_picture(data, "holiday.png")
    sentence = str(refusal.value)
    assert words in sentence
    assert sentence.startswith("holiday.png")
    assert sentence.endswith(".") and "\n" not in sentence


def test_a_bomb_is_refused_also_when_warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Refusal, match="pixels"):
            open_picture(png_header(6_000, 6_000))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated_files_are_refused(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encode(noise, kind)
    with pytest.raises(Refusal):
        open_picture(data[: len(data) // 2], f"half.{kind.lower()}")


def test_pillow_itself_is_bounded_for_decodes_elsewhere():
    assert Image.MAX_IMAGE_PIXELS == MAX_PIXELS


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(Refusal, match=r"no picture file at gone\.png"):
        open_picture(tmp_path / "gone.png")
    with pytest.raises(Refusal):
        open_picture(tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        None,
        42,
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((4, 4, 2), dtype=np.uint8),
        np.zeros((2, 4, 4, 3), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.int64),
        np.full((4, 4, 3), 2.0),
        np.full((4, 4, 3), np.nan),
        Image.new("RGB", (0, 5)),
    ],
)
def test_objects_that_are_no_pictures_are_refused(source):
    with pytest.raises(Refusal):
        open_picture(source)


def test_long_names_are_shortened():
    with pytest.raises(Refusal) as refusal:
        open_picture(b"", "x" * 5000 + ".png")
    assert len(str(refusal.value)) < 200
