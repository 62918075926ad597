"""Turns whatever a visitor hands over into an upright, opaque RGB picture, or says in one sentence why it cannot.

Knows file formats and pixel types, and nothing of models: no resizing, cropping or normalising happens here.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mmexplorer.errors import Refusal

MAX_PIXELS = 25_000_000  # phones take 12 or 24.5 million
MAX_ASPECT = 50  # models scale the shorter side up to their input, so a 1 x 10,000 strip would grow to gigabytes

# Raster formats that Pillow decodes itself; EPS and PDF would start an interpreter.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO", "AVIF")

# The limit for every decode in this process, Gradio's own included; the size check below is the stricter one.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

PictureSource = str | Path | bytes | np.ndarray | Image.Image


def open_picture(source: PictureSource, name: str = "") -> Image.Image:
    """The picture as upright, opaque 8-bit RGB.

    source is a path, the bytes of a file, an array (height, width[, 1, 3 or 4]) of uint8, uint16, bool or floats in
    0..1, or a PIL image. Transparency is laid on white, EXIF rotation applied, the first frame of an animation taken,
    16-bit and float values scaled to 8 bits. name is what an error calls the picture (default: the file's name).
    Raises Refusal for anything that is no picture, damaged, larger than MAX_PIXELS or longer than MAX_ASPECT times
    its width.
    """
    name = _shortened(name or (Path(source).name if isinstance(source, str | Path) else "")) or "The picture"
    if isinstance(source, Image.Image):
        image = source
    elif isinstance(source, np.ndarray):
        image = _from_array(source, name)
    elif isinstance(source, bytes | bytearray | memoryview):
        image = _from_file(BytesIO(source), len(source), name)
    elif isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise Refusal(f"There is no picture file at {name}.")
        image = _from_file(path, path.stat().st_size, name)
    else:
        raise Refusal(f"{name} is of type {type(source).__name__}, not a picture; pass a file, an array or an image.")
    _check_size(image, name)
    return _to_rgb(image, name)


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:40]}...{name[-15:]}"


def _from_file(file: Path | BytesIO, size: int, name: str) -> Image.Image:
    """The file's header as a lazy PIL image; the pixels are decoded only after the size was checked."""
    if size == 0:
        raise Refusal(f"{name} is an empty file; choose a picture such as a PNG or JPEG.")
    try:
        Image.init()  # a list of formats keeps Pillow from loading its plugins on demand
        return Image.open(file, formats=[kind for kind in FORMATS if kind in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refusal(f"{name} has more than {MAX_PIXELS:,} pixels, the limit; scale it down first.") from None
    except Exception as error:  # decoders fail with whatever their parser met: OSError, SyntaxError, struct.error ...
        raise Refusal(f"{name} is not a picture that can be read; use PNG, JPEG, WebP, GIF, BMP or TIFF.") from error


def _from_array(array: np.ndarray, name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        raise Refusal(f"{name} has shape {array.shape}; a picture has shape (height, width) or (height, width, 3).")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _too_large(name, array.shape[1], array.shape[0])
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    elif array.dtype == np.uint16:
        array = _eight_bits(array, 65535)
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise Refusal(f"{name} holds floats outside 0..1 or not finite; scale the array to 0..1 or pass uint8.")
        array = _eight_bits(array, 1.0)
    elif array.dtype != np.uint8:
        raise Refusal(f"{name} is an array of {array.dtype}; pass uint8 or floats in 0..1.")
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width == 0 or height == 0:
        raise Refusal(f"{name} has no pixels.")
    if width * height > MAX_PIXELS:
        raise _too_large(name, width, height)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Refusal(
            f"{name} is {width} x {height} pixels; crop it so that the longer side is at most {MAX_ASPECT} times the "
            "shorter."
        )


def _too_large(name: str, width: int, height: int) -> Refusal:
    return Refusal(
        f"{name} has {width:,} x {height:,} pixels; the limit is {MAX_PIXELS:,} in all, so scale it down first."
    )


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):
            image = _grey(np.asarray(image), image.mode)
        if image.has_transparency_data:
            image = image.convert("LA" if image.mode == "La" else image.mode).convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(white, image).convert("RGB")
        return image.convert("RGB")  # a copy even of RGB, so the caller may go on painting
    except MemoryError:
        raise
    except Exception as error:  # see _from_file
        raise Refusal(f"{name} is damaged or incomplete and cannot be decoded; save or send it again.") from error


def _grey(values: np.ndarray, mode: str) -> Image.Image:
    """Grey values of more than 8 bits as an 8-bit picture.

    "I;16" spans 16 bits; for 32-bit integers and floats no format says which value is white, so it is the smallest of
    1 (floats), 255 and 65,535 that covers them, else the largest value itself.
    """
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    whites = (65535.0,) if mode.startswith("I;16") else (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    largest = values.max()
    return Image.fromarray(_eight_bits(values, next((white for white in whites if white >= largest), largest)))


def _eight_bits(values: np.ndarray, full: float) -> np.ndarray:
    return np.round(np.clip(values / full, 0.0, 1.0) * 255.0).astype(np.uint8)
