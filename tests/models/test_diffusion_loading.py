"""Whose parts wait in main memory draws the same pictures, and puts every part back; sixteen bits come near."""

import contextlib
import gc
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.hooks import CpuOffload

from mmexplorer.hub import Stopped
from mmexplorer.models.diffusion import load
from mmexplorer.models.diffusion_batch import Batch, Wish, draw_batch
from mmexplorer.placement import CPU, OFFLOAD, Placement
from mmexplorer.presets import preset

PRESET = replace(preset("toy-clip"), label="Tiny", tier="cpu", abilities=frozenset({"draws"}))
OFFLOADED, HALF = Placement("cpu", spread=OFFLOAD), Placement("cpu", 16)
PROMPT = "a red circle"


@pytest.fixture(params=["sd", "lcm", "sdxl", "pixart", "sd3"])
def name(request):
    return request.param


@pytest.fixture
def on_device(monkeypatch):
    """The parts of pipelines that hooks have moved to the device and not moved back."""
    there, forth, back = [], CpuOffload.pre_forward, CpuOffload.init_hook

    def pre_forward(self, module, *args, **kwargs):
        there.append(module)
        return forth(self, module, *args, **kwargs)

    def init_hook(self, module):
        there[:] = [other for other in there if other is not module]
        return back(self, module)

    monkeypatch.setattr(CpuOffload, "pre_forward", pre_forward)
    monkeypatch.setattr(CpuOffload, "init_hook", init_hook)
    return there


def events(painter, stop=None, **changes):
    settings = {"steps": 3, "guidance": 5.0, "seed": 3, "width": 32, "height": 48, "negative_prompt": ""}
    settings |= {"scheduler": painter.schedulers[0]}
    return painter.draw(PROMPT, settings | changes, stop=stop)


def drawn(painter, **changes):
    return list(events(painter, **changes))[-1].drawing


def batch(painter):
    wishes = Wish(PROMPT, 1, 5.0), Wish("a blue circle", 2, 5.0)
    return draw_batch(painter, Batch(wishes, "", 3, painter.schedulers[0], 32, 48), {}, threading.Event())


def same(image, other):
    return np.array_equal(np.asarray(image), np.asarray(other))


def test_parts_that_wait_in_main_memory_draw_the_same(name, pipeline_folder, on_device):
    plain, offloaded = (load(PRESET, pipeline_folder(name), placement) for placement in (CPU, OFFLOADED))
    plain.pipe.to("cpu:0")  # copied too: how operations round depends on where in memory the weights begin
    assert on_device == []  # the decoder was asked for its colours
    expected = drawn(plain)
    for scheduler in offloaded.schedulers[:2]:  # twice, since hooks are made anew in between
        drawing = drawn(offloaded, scheduler=scheduler)
        assert on_device == [] and same(drawing.image, drawn(plain, scheduler=scheduler).image)
    drawing = drawn(offloaded)
    assert all(np.array_equal(*pair) for pair in zip(drawing.word_maps.maps, expected.word_maps.maps, strict=True))
    assert all(same(*pair) for pair in zip(drawing.previews, expected.previews, strict=True))
    clean = [step.clean for step in drawing.steps]
    assert all(same(*pair) for pair in zip(offloaded.decode(clean), plain.decode(clean), strict=True))
    assert on_device == []
    *_, last = batch(offloaded)
    *_, other = batch(plain)
    assert all(same(*pair) for pair in zip(last.pictures, other.pictures, strict=True)) and on_device == []


def farness(drawing, other):
    """Mean difference of two pictures' colours."""
    return np.abs(np.asarray(drawing.image).astype(int) - np.asarray(other.image)).mean()


def test_whatever_ends_a_drawing_every_part_goes_back(pipeline_folder, on_device):
    painter = load(PRESET, pipeline_folder("sd"), OFFLOADED)
    for ends in (1, 0):  # after a step, with its picture, or before the first
        stop = threading.Event()
        with contextlib.suppress(Stopped):
            for event in events(painter, stop):
                assert on_device or event.drawing
                if event.number == ends:
                    stop.set()
        assert on_device == []
    for work in (events(painter), batch(painter)):
        next(work), next(work)
        assert painter.pipe.unet in on_device
        work.close()
        assert on_device == []


def test_the_largest_part_counts_where_parts_take_turns(pipeline_folder):
    plain, offloaded = (load(PRESET, pipeline_folder("sd"), placement) for placement in (CPU, OFFLOADED))
    sizes = [
        sum(4 * weight.numel() for weight in model.parameters())
        for model in (plain.pipe.unet, plain.pipe.vae, plain.pipe.text_encoder)
    ]
    assert plain.memory_bytes == pytest.approx(sum(sizes), rel=0.01)
    assert offloaded.memory_bytes == pytest.approx(max(sizes), rel=0.01) and max(sizes) < 0.9 * sum(sizes)


def test_sixteen_bits_on_a_processor_come_near(name, pipeline_folder):
    plain, half = (load(PRESET, pipeline_folder(name), placement) for placement in (CPU, HALF))
    parts = [part for part in half.pipe.components.values() if isinstance(part, torch.nn.Module)]
    assert {weight.dtype for part in parts for weight in part.parameters()} == {torch.bfloat16}
    assert half.memory_bytes == pytest.approx(plain.memory_bytes / 2, rel=0.05)
    settings = {"steps": plain.steps_range[0], "scheduler": plain.schedulers[0]}
    found, expected = drawn(half, **settings), drawn(plain, **settings)
    assert farness(found, expected) < 0.2 * farness(drawn(plain, seed=4, **settings), expected)
    for one, other in zip(found.word_maps.maps, expected.word_maps.maps, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
    *_, last = batch(half)
    assert len(last.pictures) == 2


@pytest.mark.parametrize("placement", [CPU, OFFLOADED])
def test_a_dropped_pipeline_is_garbage(pipeline_folder, placement):
    painter = load(PRESET, pipeline_folder("sd"), placement)
    drawn(painter)
    left = [weakref.ref(thing) for thing in (painter, painter.pipe, painter.pipe.unet, painter.pipe.vae)]
    del painter
    gc.collect()
    assert [thing() for thing in left] == [None] * 4
