"""Tiles: which pixels and tokens a picture of any size gives, by hand, and that the app reads them alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mmexplorer.models import llava as chats
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.replies import Turn
from mmexplorer.training.llava_model import build_chat_processor, build_llava_next
from mmexplorer.training.llava_tiles import grid, packed, token_count, views

# (height, width), rows and columns of tile patches that are not padding
SIZES = [((128, 128), (16, 16)), ((64, 128), (8, 16)), ((96, 128), (12, 16)), ((192, 64), (24, 8)), ((64, 64), (8, 8))]


@pytest.mark.parametrize(("size", "expected"), SIZES)
def test_rows_and_columns_by_hand(size, expected):
    assert grid(*size) == expected
    assert token_count(*size) == 64 + expected[0] * (expected[1] + 1)


def test_views_are_the_squashed_picture_and_its_pieces_in_reading_order():
    picture = np.zeros((1, 128, 128, 3), np.uint8)
    picture[0, :64, 64:], picture[0, 64:, :64], picture[0, 64:, 64:] = 60, 120, 180
    base, *tiles = views(picture)[0]
    assert [int(tile.mean()) for tile in tiles] == [0, 60, 120, 180]
    assert [int(base[y, x, 0]) for y in (8, 56) for x in (8, 56)] == [0, 60, 120, 180]


def test_a_picture_that_does_not_fill_its_tiles_stands_in_their_middle():
    tiles = views(np.full((1, 96, 128, 3), 200, np.uint8))[0, 1:]
    assert (tiles[:2, :16] == 0).all() and (tiles[:2, 16:] == 200).all()
    assert (tiles[2:, 48:] == 0).all() and (tiles[2:, :48] == 200).all()


def test_pictures_that_would_be_resampled_are_refused():
    with pytest.raises(ValueError, match="256 x 256"):
        views(np.zeros((1, 256, 256, 3), np.uint8))


def test_image_tokens_by_hand():
    features = torch.cat([torch.zeros(64), torch.arange(128.0)]).view(1, 3, 64, 1)
    tokens = packed(features, torch.tensor([-1.0]), 64, 128)[0, :, 0].tolist()
    assert tokens[:64] == [0] * 64
    assert tokens[64:81] == [*range(8), *range(64, 72), -1]
    assert tokens[-17:] == [*range(56, 64), *range(120, 128), -1]


@pytest.mark.parametrize(("size", "expected"), SIZES)
def test_the_app_places_the_tokens_where_training_put_them(tmp_path, size, expected):
    torch.manual_seed(0)
    build_llava_next(preset("toy-clip").path).save_pretrained(tmp_path)
    build_chat_processor(tiled=True).save_pretrained(tmp_path)
    chat = chats.load(replace(preset("toy-llava"), label="Toy LLaVA-NeXT"), tmp_path, CPU)
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    prompt = chat.prompt([Turn("user", "What is it?", [Image.fromarray(noise)])])
    (layout,) = prompt.layouts
    assert layout.tile_grid == expected and prompt.image_tokens == token_count(*size)
    seen = np.stack([np.asarray(view) for view in layout.seen])
    assert (seen == views(noise[None])[0]).all()
    patch = layout.boxes[layout.kind == "tile"][expected[1] + 1]  # second row, second column
    assert patch.tolist() == pytest.approx([8, 8, 16, 16])
    assert len(list(chat.generate(prompt, max_new_tokens=2))) <= 2
