"""Boxes lie where the real processors and models put the pixels: pictures whose colour says where they were."""

import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LlavaNextConfig, LlavaNextProcessor, LlavaOnevisionConfig, LlavaOnevisionProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel

from mmexplorer.models.clip_pictures import resized_size
from mmexplorer.models.llava_layout import single_view, tiled_view

SIDE, PATCH = 336, 14
PARTS = 5
SIZES = [
    *((336, 336), (640, 480), (480, 640), (1280, 720), (333, 517), (200, 900), (1001, 250), (97, 64), (672, 672)),
    *((720, 1277), (350, 349), (1500, 300)),
]
THIN = [(1, 1), (3, 2), (1, 90), (500, 1), (10_000, 40), (2, 5000)]
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
# Plain values 0 to 255 come out, and black where a picture is padded.
PLAIN = {"do_rescale": False, "do_normalize": False, "image_mean": [0.0, 0.0, 0.0]}
RIGHT_SIZE = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}


def coded(size):
    """Pictures whose red, on average, says how far right a pixel lies and whose green how far down; blue is full.

    One picture would distinguish 256 places only, and its levels would be wider than a twentieth of a patch.
    """
    for part in range(PARTS):
        across, down = (np.clip((np.arange(length) + 0.5) / length * PARTS - part, 0, 1) * 255 for length in size)
        pixels = np.full((size[1], size[0], 3), 255.0)
        pixels[..., 0], pixels[..., 1] = across, down[:, None]
        yield Image.fromarray(pixels.round().astype(np.uint8))


def views_of(size, processor, nested=False):
    """What a processor makes of the coded pictures, averaged: (views, 3, side, side)."""
    outputs = (processor([[p] if nested else p], return_tensors="np")["pixel_values"] for p in coded(size))
    views = sum(output.astype(float) for output in outputs) / PARTS
    return views[0] if views.ndim == 5 else views


def patch_means(views, patch=PATCH):
    """Mean colours (views, patches, 3) of prepared views (views, 3, side, side)."""
    views = torch.as_tensor(np.asarray(views), dtype=torch.float64)
    return torch.nn.functional.avg_pool2d(views, patch).flatten(2).transpose(1, 2)


def check(layout, means):
    """Every box has its centre where the colours say, and boxes are empty where there is nothing.

    Where a patch reaches over the border, the box is what the picture covers of it; where that is little, resizing has
    blurred the border too much to measure by it.
    """
    width, height = layout.size
    means = np.asarray(means)
    assert len(means) == len(layout.boxes) == len(layout.kind) == len(layout.positions)
    patches = layout.kind != "newline"
    assert np.isnan(means[~patches]).all() and not np.isnan(means[patches]).any()
    left, top, right, bottom = layout.boxes.T
    assert (left[~patches] == right[~patches]).all()
    coverage = means[:, 2] / 255
    area = (right - left) * (bottom - top)
    for kind in ("base", "tile"):
        here = (layout.kind == kind) & (coverage > 0.3)
        if not here.any():
            continue
        across, down = (right - left)[here].max(), (bottom - top)[here].max()
        x = means[here, 0] / means[here, 2] * width
        y = means[here, 1] / means[here, 2] * height
        assert np.abs((left + right)[here] / 2 - x).max() < 0.05 * across
        assert np.abs((top + bottom)[here] / 2 - y).max() < 0.05 * down
        np.testing.assert_allclose(area[here] / area[here].max(), coverage[here], atol=0.06)
        beside = (layout.kind == kind) & (coverage < 0.01)
        assert (area[beside] < 0.05 * area[here].max()).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_centre_crop(size):
    processor = CLIPImageProcessorPil(**(RIGHT_SIZE | PLAIN))
    layout = single_view(size, resized_size(processor, size), SIDE, PATCH)
    check(layout, patch_means(views_of(size, processor))[0])
    assert layout.base_grid == (24, 24) and layout.tile_grid is None
    # What is cut off is the longer side's ends, in equal parts.
    left, top, right, bottom = layout.box
    assert right - left == pytest.approx(min(size), rel=0.01) and bottom - top == pytest.approx(min(size), rel=0.01)
    assert (left + right) / 2 == pytest.approx(size[0] / 2, abs=0.01 * max(size))
    assert (top + bottom) / 2 == pytest.approx(size[1] / 2, abs=0.01 * max(size))


@pytest.mark.parametrize("size", SIZES)
def test_padding_to_a_square(size):
    processor = LlavaImageProcessorPil(do_pad=True, **(RIGHT_SIZE | PLAIN))
    layout = single_view(size, (SIDE, SIDE), SIDE, PATCH, padded=True)
    check(layout, patch_means(views_of(size, processor))[0])
    assert layout.box == pytest.approx((0, 0, *size))


def packed(model, config, features, size, **more):
    """Features (views, patches, 3) as the model's own code orders its image tokens, newlines as NaN."""
    nan = torch.full((3,), math.nan, dtype=features.dtype)
    sizes = torch.tensor([[size[1], size[0]]])
    return model.pack_image_features(SimpleNamespace(config=config), [features], sizes, image_newline=nan, **more)[0][0]


@pytest.mark.parametrize("size", SIZES)
def test_next_tiles(size):
    config = LlavaNextConfig(vision_config={"model_type": "clip_vision_model", "image_size": SIDE, "patch_size": PATCH})
    config.image_grid_pinpoints = PINPOINTS
    processor = LlavaNextImageProcessorPil(image_grid_pinpoints=PINPOINTS, **(RIGHT_SIZE | PLAIN))
    views = views_of(size, processor)
    means = packed(LlavaNextModel, config, patch_means(views), size, vision_feature_select_strategy="default")
    layout = tiled_view(size, PINPOINTS, SIDE, PATCH)
    check(layout, means)
    rows, columns = layout.tile_grid
    assert (layout.kind[:576] == "base").all() and layout.base_grid == (24, 24)
    tokens = layout.kind[576:].reshape(rows, columns + 1)
    assert (tokens[:, :-1] == "tile").all() and (tokens[:, -1] == "newline").all()
    assert layout.tiling[0] * layout.tiling[1] + 1 == len(views)


ONEVISION = [[384 * i, 384 * j] for i in range(1, 7) for j in range(1, 7)]


def onevision(size, most_tiles=9):
    config = LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14},
        image_grid_pinpoints=ONEVISION,
    )
    processor = LlavaOnevisionImageProcessorPil(image_grid_pinpoints=ONEVISION, **PLAIN)
    views = views_of(size, processor, nested=True)
    return packed(LlavaOnevisionModel, config, patch_means(views), size, vision_aspect_ratio=f"anyres_max_{most_tiles}")


@pytest.mark.parametrize("size", SIZES)
def test_onevision_tiles_with_a_margin_that_its_tower_leaves_unread(size):
    means = onevision(size)
    layout = tiled_view(size, ONEVISION, 384, 14, most_tiles=9)
    check(layout, means)
    assert layout.base_grid == (27, 27)
    assert layout.boxes[26, 2] == pytest.approx(size[0] * 378 / 384, rel=1e-5)


@pytest.mark.parametrize("size", [(1280, 720), (672, 672), (1001, 250)])
def test_onevision_resamples_too_many_tiles(size):
    layout = tiled_view(size, ONEVISION, 384, 14, most_tiles=1)
    full = tiled_view(size, ONEVISION, 384, 14)
    assert len(layout.boxes) < 0.7 * len(full.boxes)  # there is something to resample
    means = onevision(size, most_tiles=1)
    assert len(means) == len(layout.boxes)
    inner = (layout.kind == "tile") & (means[:, 2].numpy() > 254)
    x, y = (means[inner, i].numpy() / 255 * size[i] for i in (0, 1))
    boxes = layout.boxes[inner]
    assert np.abs((boxes[:, 0] + boxes[:, 2]) / 2 - x).max() < 0.05 * (boxes[:, 2] - boxes[:, 0]).max()
    assert np.abs((boxes[:, 1] + boxes[:, 3]) / 2 - y).max() < 0.05 * (boxes[:, 3] - boxes[:, 1]).max()


@pytest.mark.parametrize("size", [(640, 480), (333, 517)])
def test_onevision_pads_each_of_several_pictures(size):
    processor = LlavaOnevisionImageProcessorPil(image_grid_pinpoints=ONEVISION, **PLAIN)
    processor.image_mean = [0.0, 0.0, 0.0]
    pairs = (processor([[picture] * 2], return_tensors="np")["pixel_values"][1] for picture in coded(size))
    views = sum(pair.astype(float) for pair in pairs) / PARTS
    nan = np.full((1, 3), math.nan)
    layout = single_view(size, (384, 384), 384, 14, padded=True, newline=True)
    check(layout, np.concatenate([patch_means(views)[0], nan]))


def random_sizes(count):
    chance = random.Random(0)
    return [(chance.randint(20, 1600), chance.randint(20, 1600)) for _ in range(count)]


def test_as_many_tokens_as_the_processors_count():
    next_processor = SimpleNamespace(
        patch_size=PATCH, num_additional_image_tokens=0, image_processor=SimpleNamespace(image_grid_pinpoints=PINPOINTS)
    )
    next_processor._get_unpadded_features = LlavaNextProcessor._get_unpadded_features.__get__(next_processor)
    one_processor = SimpleNamespace(
        num_image_tokens=729,
        vision_aspect_ratio="anyres_max_9",
        image_processor=SimpleNamespace(image_grid_pinpoints=ONEVISION),
    )
    one_processor._get_unpadded_features = LlavaOnevisionProcessor._get_unpadded_features.__get__(one_processor)
    for width, height in [*random_sizes(300), *THIN]:
        counted = LlavaNextProcessor._get_number_of_features(next_processor, height, width, SIDE, SIDE)
        assert len(tiled_view((width, height), PINPOINTS, SIDE, PATCH).boxes) == counted
        counted = LlavaOnevisionProcessor._get_number_of_features(one_processor, height, width, 384, 384)
        assert len(tiled_view((width, height), ONEVISION, 384, 14, most_tiles=9).boxes) == counted


def test_an_example_by_hand():
    # 80 x 40 pixels in tiles of 32: one row of two tiles of 4 x 4 patches, 64 x 32 pixels, no padding.
    layout = tiled_view((80, 40), [[32, 64], [64, 32]], 32, 8)
    assert (layout.base_grid, layout.tile_grid, layout.tiling) == ((4, 4), (4, 8), (1, 2))
    assert layout.boxes[0].tolist() == [0, 0, 20, 10] and layout.boxes[16].tolist() == [0, 0, 10, 10]
    assert layout.boxes[24].tolist() == [80, 0, 80, 10] and layout.kind[24] == "newline"
    assert layout.boxes[25].tolist() == [0, 10, 10, 20] and len(layout.boxes) == 16 + 4 * 9
    # 32 x 64 pixels shown as they are: the middle square.
    layout = single_view((32, 64), (32, 64), 32, 8)
    assert layout.box == (0, 16, 32, 48) and layout.boxes[5].tolist() == [8, 24, 16, 32]


@pytest.mark.parametrize("size", THIN)
def test_odd_sizes_stay_within_the_picture(size):
    for layout in (
        single_view(size, (SIDE, SIDE), SIDE, PATCH, padded=True),
        single_view(size, tuple(int(SIDE * length / min(size)) for length in size), SIDE, PATCH),
        tiled_view(size, PINPOINTS, SIDE, PATCH),
    ):
        left, top, right, bottom = layout.boxes.T
        assert (left <= right).all() and (top <= bottom).all() and np.isfinite(layout.boxes).all()
        assert left.min() >= 0 and top.min() >= 0 and right.max() <= size[0] and bottom.max() <= size[1]
