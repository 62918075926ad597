"""Drawings are complete and can be drawn again, and the device is free whatever happens."""

import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmexplorer import presets
from mmexplorer.drawings import DrawEvent, Drawing
from mmexplorer.explore import drawing as module
from mmexplorer.explore.drawing import decode, draw
from mmexplorer.hub import Stopped

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_residency.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)


@pytest.fixture(scope="module")
def own_residency(tmp_path_factory):
    return tiny.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def lent(own_residency, monkeypatch):
    monkeypatch.setattr(module, "residency", own_residency)
    monkeypatch.setattr(presets, "_PRESETS", tiny.rows())
    yield own_residency
    tiny.assert_free(own_residency)  # whatever the test did


def drawn(prompt="a red circle", model="tiny", steps=2, **settings) -> Drawing:
    *_, last = draw(prompt, model=model, steps=steps, **settings)
    return last.drawing


def same(drawing, other):
    return np.array_equal(np.asarray(drawing.image), np.asarray(other.image))


# The drawing


def test_a_drawing_can_be_drawn_again_from_its_settings():
    drawing = drawn(seed=7, guidance=3.0, negative_prompt="blue", scheduler="euler", width=48, height=32)
    settings = dict(drawing.settings)
    assert settings.pop("revision") is None
    assert settings == {
        "prompt": "a red circle",
        "model": "tiny",
        "seed": 7,
        "steps": 2,
        "guidance": 3.0,
        "negative_prompt": "blue",
        "scheduler": "euler",
        "width": 48,
        "height": 32,
    }
    assert drawing.remarks == () and drawing.model == "tiny" and drawing.image.size == (48, 32)
    assert same(drawn(**settings), drawing) and not same(drawn(**settings | {"seed": 8}), drawing)


def test_defaults_are_the_models():
    events = draw("a red circle", model="tiny")
    assert next(events).total == 51  # fifty steps, and PNDM looks twice at one of them
    events.close()
    drawing = drawn(steps=1)
    assert drawing.settings["guidance"] == 7.5 and drawing.settings["scheduler"] == "pndm"
    assert drawing.settings["width"] == drawing.settings["height"] == 32


def test_maps_change_nothing_but_the_maps():
    with_maps, without = drawn(), drawn(maps=False)
    assert same(with_maps, without)
    assert without.grounding is None and without.word_maps is None
    grounding = with_maps.grounding
    assert grounding.words == ("a", "red", "circle") and grounding.layers[-1] == "all layers"
    assert grounding.maps.shape == (6, 3, 16, 16) and grounding.image is with_maps.image
    assert grounding.box == (0, 0, 32, 32) and np.isnan(grounding.image_share).all()


def test_previews_can_be_decoded():
    drawing = drawn(steps=3, scheduler="ddim")
    assert [preview.size for preview in drawing.previews] == [(16, 16)] * 3
    decoded = decode([step.clean for step in drawing.steps], "tiny")
    assert [preview.size for preview in decoded] == [(32, 32)] * 3
    assert np.abs(np.asarray(decoded[-1], int) - np.asarray(drawing.image, int)).max() <= 2  # kept in half precision


def test_events_carry_the_latent_that_their_preview_shows():
    first, *steps, last = draw("a red circle", model="tiny", steps=3)
    assert first.clean is None and last.clean is None
    assert all(np.array_equal(e.clean, s.clean) for e, s in zip(steps, last.drawing.steps, strict=True))


# The device


def test_closing_frees_the_device_at_once(lent):
    events = draw("a red circle", model="tiny", steps=9)
    next(events), next(events)
    assert not tiny.is_free(lent, within=0.2)
    events.close()
    assert tiny.is_free(lent)


def test_the_model_is_left_before_the_device_is_free(lent, monkeypatch):
    order = []

    @contextmanager
    def use(key, stop=None):
        with lent.use(key, stop) as painter:
            try:
                yield SimpleNamespace(**vars(painter), read=painter.read, draw=lambda *given, **more: watched())
            finally:
                order.append("free")

    def watched():
        try:
            yield DrawEvent(0, 1)
        finally:
            order.append("left")

    monkeypatch.setattr(module, "residency", SimpleNamespace(use=use))
    events = draw("a red circle", model="tiny")
    next(events)
    events.close()
    assert order == ["left", "free"]


def test_stop_keeps_what_is_there():
    stop, numbers = threading.Event(), []
    for event in draw("a red circle", model="tiny", steps=9, stop=stop):
        numbers.append(event.number)
        if event.number == 2:
            stop.set()
    assert numbers == [0, 1, 2, 2] and event.drawing.ended == "stopped"
    assert len(event.drawing.steps) == 2 and event.drawing.grounding is not None


def test_stop_while_waiting_for_the_device(lent):
    with lent.use("tiny"), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(draw("a red circle", model="tiny", stop=tiny.stopping(within=0.2))))
        with pytest.raises(Stopped):
            waiting.result(10)


def test_whoever_has_the_device_may_draw(lent):
    with lent.use("tiny"):
        assert drawn().ended == "end"


def test_two_at_once_get_what_each_alone_would(lent):
    asked = [{"seed": seed, "scheduler": name} for seed, name in enumerate(("euler a", "pndm", "dpm++ 2m", "ddim"))]
    alone = [drawn(steps=3, **settings) for settings in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda settings: drawn(steps=3, **settings), asked * 2))
    for drawing, other in zip(together, alone * 2, strict=True):
        assert same(drawing, other) and len(drawing.steps) == len(other.steps)
        assert all(np.array_equal(a, b) for a, b in zip(drawing.word_maps.maps, other.word_maps.maps, strict=True))


def test_a_fault_frees_the_device(lent, monkeypatch):
    with lent.use("tiny") as painter:
        unet = painter.pipe.unet
    monkeypatch.setattr(unet.conv_out, "forward", lambda tensor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        drawn()
    assert tiny.is_free(lent)
