"""The payload of what a model sees: boxes, grids and counts that follow from layouts by hand."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures.model_views import views_payload
from mmexplorer.replies import ImageLayout


def decoded(uri):
    kind, data = uri.split(",")
    return kind, Image.open(io.BytesIO(base64.b64decode(data)))


def layout(size, kinds, box, *, seen, base_grid, tile_grid=None, tiling=None, first=5):
    k = len(kinds)
    positions = np.arange(first, first + k)
    return ImageLayout(
        size, positions, np.zeros((k, 4), np.float32), np.array(kinds), base_grid, tile_grid, box, tiling, seen
    )


def picture(image, made):
    return json.loads(views_payload([image], [made], model="toy-llava"))["pictures"][0]


def test_a_cropped_picture_says_what_is_left():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    made = layout((200, 100), ["base"] * 4, (50, 0, 150, 100), seen=(Image.fromarray(noise),), base_grid=(2, 2))
    shown = picture(Image.new("RGB", (200, 100)), made)
    assert shown["box"] == [0.25, 0, 0.75, 1] and shown["seen"] == 0.5 and shown["size"] == [200, 100]
    assert shown["tokens"] == {"base": 4, "tile": 0, "newline": 0, "first": 5, "last": 8}
    assert shown["tiles"] is None
    assert (shown["base"]["size"], shown["base"]["patches"], shown["base"]["exact"]) == ([64, 64], [2, 2], True)
    # A small view arrives exactly as it was fed.
    np.testing.assert_array_equal(np.asarray(decoded(shown["base"]["uri"])[1]), noise)


def test_tiles_come_in_reading_order_with_their_own_grid():
    colours = ("white", "red", "lime")
    made = layout(
        (300, 100),
        ["base"] * 4 + ["tile", "tile", "newline"],
        (0, 0, 300, 100),
        seen=tuple(Image.new("RGB", (336, 336), colour) for colour in colours),
        base_grid=(2, 2),
        tile_grid=(1, 2),
        tiling=(1, 2),
    )
    shown = picture(Image.new("RGB", (300, 100)), made)
    assert shown["seen"] == 1 and shown["tokens"] == {"base": 4, "tile": 2, "newline": 1, "first": 5, "last": 11}
    tiles = shown["tiles"]
    assert (tiles["rows"], tiles["columns"], tiles["grid"]) == (1, 2, [1, 2])
    for view, expected in zip(tiles["views"], ((255, 0, 0), (0, 255, 0)), strict=True):
        kind, image = decoded(view["uri"])
        assert kind == "data:image/webp;base64" and image.size == (336, 336) and not view["exact"]
        assert image.convert("RGB").getpixel((100, 100)) == pytest.approx(expected, abs=4)


def test_large_pictures_are_sent_small_and_views_may_be_missing():
    made = layout((4000, 2000), ["base"], (0, 0, 4000, 2000), seen=(), base_grid=(1, 1))
    shown = picture(Image.new("RGB", (4000, 2000)), made)
    assert decoded(shown["uri"])[1].size == (512, 256)
    assert shown["base"] is None and shown["tiles"] is None


def test_several_pictures_keep_their_order_and_must_fit_their_layouts():
    made = [layout((8, 8), ["base"], (0, 0, 8, 8), seen=(), base_grid=(1, 1), first=i) for i in (3, 9)]
    images = [Image.new("RGB", (8, 8))] * 2
    assert [p["tokens"]["first"] for p in json.loads(views_payload(images, made))["pictures"]] == [3, 9]
    with pytest.raises(ValueError):
        views_payload(images[:1], made)
