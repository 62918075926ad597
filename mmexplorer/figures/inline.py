"""Arrays and pictures as text inside the JSON that a browser component draws; exact, compact, nothing fetched.

The module does not know what the numbers mean or how they are drawn.
"""

import base64
import io
import json

import numpy as np
from PIL import Image


def float32_text(array: np.ndarray) -> dict:
    """Any array as {"shape", "float32"}: base64 of little-endian float32, so that the browser gets the same bits."""
    values = np.ascontiguousarray(array, dtype="<f4")
    return {"shape": list(values.shape), "float32": base64.b64encode(values.tobytes()).decode("ascii")}


def picture_uri(picture: Image.Image, longest: int | None = None) -> str:
    """A data URI: PNG of the picture as it is, or a JPEG whose longer side is reduced to `longest` pixels."""
    picture = picture.convert("RGB")
    shrink = longest is not None and max(picture.size) > longest
    if shrink:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    kind = "jpeg" if shrink else "png"
    return data_uri(picture, kind, **({"quality": 85} if shrink else {"optimize": True}))


def data_uri(picture: Image.Image, kind: str, **options) -> str:
    """A data URI of the picture as it is, written as "png", "jpeg" or "webp" with Pillow's options for that."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def payload_text(payload: dict) -> str:
    """Strict JSON without a literal "<", so that no label can be mistaken for markup on the way to the browser."""
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
