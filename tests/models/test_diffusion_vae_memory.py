"""Slices are the same pictures bit for bit, and tiles cut only what is larger than the model was trained on."""

import contextlib
import threading

import numpy as np
import pytest
import torch

from mmexplorer.models import diffusion_vae_memory
from mmexplorer.models.diffusion_batch import Batch, Wish, draw_batch
from mmexplorer.models.diffusion_vae_memory import spared

SIDE = 32  # of the pictures that the tiny autoencoder was made for
NEED = SIDE * SIDE * 2_000 * 4  # bytes for one of them in float32


@pytest.fixture
def painter(painters):
    return painters("sd")


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes are free."""

    def free(size):
        monkeypatch.setattr(diffusion_vae_memory, "free_memory", lambda device: size)

    return free


def latents(count, side):
    return np.random.default_rng(0).normal(size=(count, 4, side // 2, side // 2)).astype(np.float16)


def decoded(painter, *shape):
    return [np.asarray(picture) for picture in painter.decode(latents(*shape))]


def passes(painter):
    """A context with the shapes that go through the decoder."""

    @contextlib.contextmanager
    def watching():
        seen = []
        hook = painter.pipe.vae.decoder.register_forward_hook(lambda _, args, __: seen.append(tuple(args[0].shape)))
        yield seen
        hook.remove()

    return watching()


def test_pictures_one_after_another_are_the_same_bit_for_bit(painter, free):
    free(3 * NEED)
    with passes(painter) as together:
        expected = decoded(painter, 3, SIDE)
    free(3 * NEED - 1)
    with passes(painter) as apart:
        found = decoded(painter, 3, SIDE)
    assert [shape[0] for shape in together] == [3] and [shape[0] for shape in apart] == [1, 1, 1]
    assert np.array_equal(found, expected) and len({picture.tobytes() for picture in found}) == 3


def test_a_picture_of_the_trained_size_is_never_cut(painter, free):
    free(NEED)
    expected = decoded(painter, 1, SIDE)
    free(0)
    with passes(painter) as seen:
        assert np.array_equal(decoded(painter, 1, SIDE), expected)
    assert len(seen) == 1


def test_a_larger_one_is_cut_only_where_memory_is_short(painter, free):
    free(4 * NEED)
    with passes(painter) as whole:
        expected = decoded(painter, 1, 2 * SIDE)
    free(4 * NEED - 1)
    with passes(painter) as tiles:
        [found] = decoded(painter, 1, 2 * SIDE)
    assert len(whole) == 1 and len(tiles) > 1
    assert found.shape == (2 * SIDE, 2 * SIDE, 3)
    assert 0 < np.abs(found.astype(int) - expected[0]).mean() < 40


def test_drawings_and_batches_spare_memory_too(painter, free):
    settings = {"steps": 2, "guidance": 5.0, "seed": 3, "width": 2 * SIDE, "height": SIDE, "negative_prompt": ""}
    settings |= {"scheduler": painter.schedulers[0]}
    wishes = Wish("a red circle", 1, 5.0), Wish("a blue circle", 2, 5.0)
    batch = Batch(wishes, "", 2, painter.schedulers[0], SIDE, SIDE)
    free(0)
    with passes(painter) as seen:
        list(painter.draw("a red circle", settings))
        assert len(seen) > 1
        seen.clear()
        *_, last = draw_batch(painter, batch, {}, threading.Event())
        assert [shape[0] for shape in seen] == [1, 1]
    free(2 * NEED)
    *_, expected = draw_batch(painter, batch, {}, threading.Event())
    assert [np.array_equal(*pair) for pair in zip(last.pictures, expected.pictures, strict=True)] == [True, True]


def test_nothing_stays_switched_on(painter, free):
    vae = painter.pipe.vae
    free(0)
    with pytest.raises(KeyError), spared(vae, SIDE * SIDE, 2, 4):
        assert vae.use_slicing and vae.use_tiling
        raise KeyError
    assert not vae.use_slicing and not vae.use_tiling
    with spared(vae, SIDE * SIDE, 1, 4):
        assert vae.use_tiling and not vae.use_slicing


def test_free_memory_is_the_machines():
    assert 0 < diffusion_vae_memory.free_memory(torch.device("cpu")) < 2**50
