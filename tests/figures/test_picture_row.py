"""The payload of a row of pictures: small ones exactly, large ones reduced, texts that cannot become markup."""

import base64
import io
import json

import numpy as np
from PIL import Image

from mmexplorer.figures.picture_row import picture_row_payload


def test_small_pictures_are_exact_and_large_ones_reduced():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    small, large = Image.fromarray(pixels), Image.new("RGB", (512, 256))
    shown = json.loads(picture_row_payload([(small, "one", "seed 1"), (large, "two", "")]))
    first, second = (Image.open(io.BytesIO(base64.b64decode(one["picture"].split(",")[1]))) for one in shown)
    assert np.array_equal(np.asarray(first), pixels) and second.size == (128, 64)
    assert [(one["alt"], one["caption"]) for one in shown] == [("one", "seed 1"), ("two", "")]


def test_no_text_can_be_markup():
    assert "<" not in picture_row_payload([(Image.new("RGB", (1, 1)), "<b>", "<script>")])
