"""Prompts and settings are checked before a model loads, fitted to it, and what was changed is said."""

import importlib.util
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from mmexplorer import presets
from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing as module
from mmexplorer.explore.drawing import draw

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


def drawn(prompt="a red circle", model="tiny", steps=2, **settings) -> Drawing:
    *_, last = draw(prompt, model=model, steps=steps, **settings)
    return last.drawing


def same(drawing, other):
    return np.array_equal(np.asarray(drawing.image), np.asarray(other.image))


@pytest.mark.parametrize(
    ("asked", "taken", "said"),
    [
        ({"steps": 10**9}, {"steps": 150}, "steps must be from 1 to 150, so 150 was taken instead of 1,000,000,000."),
        ({"steps": -3}, {"steps": 1}, "steps must be from 1 to 150, so 1 was taken instead of -3."),
        ({"guidance": 1e6}, {"guidance": 30.0}, "guidance must be from 0 to 30, so 30 was taken instead of 1,000,000."),
        ({"guidance": -1}, {"guidance": 0.0}, "guidance must be from 0 to 30, so 0 was taken instead of -1."),
        ({"width": 100_000}, {"width": 64}, "width must be from 16 to 64, so 64 was taken instead of 100,000."),
        ({"height": 0}, {"height": 16}, "height must be from 16 to 64, so 16 was taken instead of 0."),
        ({"height": 39}, {"height": 32}, "height must be a multiple of 8 for Tiny tiny, so 32 was taken."),
        ({"steps": 2.0}, {"steps": 2}, None),
    ],
)
def test_numbers_are_brought_within_reason(asked, taken, said):
    stop = threading.Event()
    for event in draw("a red circle", model="tiny", **{"steps": 2} | asked, maps=False, stop=stop):
        if event.number:
            stop.set()  # a hundred and fifty steps prove no more than one
    drawing = event.drawing
    assert taken.items() <= drawing.settings.items()
    if said is None:
        assert drawing.remarks == ()
    else:
        [remark] = drawing.remarks
        assert re.fullmatch(said, remark), remark


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"prompt": ""}, "There is no prompt yet"),
        ({"prompt": " \n"}, "There is no prompt yet"),
        ({"prompt": None}, "The prompt must be a text"),
        ({"prompt": ["a"]}, "The prompt must be a text"),
        ({"prompt": "a" * 20_001}, "The prompt has 20,001 characters; at most 20,000 are taken"),
        ({"negative_prompt": 3}, "The negative prompt must be a text"),
        ({"steps": "many"}, "steps must be a number"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"steps": True}, "steps must be a number"),
        ({"guidance": float("nan")}, "guidance must be a number"),
        ({"guidance": float("inf")}, "guidance must be a number"),
        ({"seed": -1}, "seed must be a whole number from 0 to"),
        ({"seed": 2**63}, "seed must be a whole number from 0 to"),
        ({"seed": "x"}, "seed must be a whole number from 0 to"),
        ({"seed": None}, "seed must be a whole number from 0 to"),
        ({"width": [32]}, "width must be a number"),
        ({"scheduler": 3}, "scheduler must be a name"),
        ({"model": "toy-clip"}, "Tiny toy-clip does not draw; choose tiny or turbo or pixart"),
    ],
)
def test_nonsense_is_refused_before_a_model_loads(asked, sentence, monkeypatch):
    monkeypatch.setattr(module, "residency", None)
    with pytest.raises(Refusal, match=sentence):
        draw(**{"prompt": "a red circle", "model": "tiny"} | asked)


def test_a_scheduler_that_does_not_fit_is_refused():
    with pytest.raises(Refusal, match="'lcm' does not fit Tiny tiny; choose pndm or ddim or euler"):
        drawn(scheduler="lcm")


def test_words_without_a_token_are_named():
    drawing = drawn("a red 円", model="pixart")
    assert drawing.unknown_words == drawing.grounding.unknown_words == ("円",)
    assert drawing.remarks == ("Tiny pixart has no token for “円”, and reads a blank instead.",)


def test_a_long_prompt_is_cut_and_it_is_said():
    drawing = drawn("red " * 14 + "circle " * 1_420)
    [remark] = drawing.remarks
    assert remark.startswith("Tiny tiny reads 16 tokens; the last 9,939 characters of the prompt, “circle circle")
    assert same(drawing, drawn("red " * 14)) and drawing.grounding.words == ("red",) * 14


def test_a_model_without_guidance_says_so():
    drawing = drawn(model="turbo", guidance=7.0, negative_prompt="blue")
    assert drawing.settings["guidance"] == 0
    assert drawing.remarks == (
        "Tiny turbo was trained to draw without guidance, so there was none.",
        "Without guidance the negative prompt has no effect.",
    )
    assert drawn(model="turbo").remarks == ()


def test_a_model_that_takes_no_negative_prompt_says_so():
    drawing = drawn(model="lcm", guidance=7.0, negative_prompt="blue")
    assert drawing.remarks == ("Tiny lcm takes no negative prompt, so it has no effect.",)
    assert drawing.settings["guidance"] == 7.0 and same(drawing, drawn(model="lcm", guidance=7.0))
