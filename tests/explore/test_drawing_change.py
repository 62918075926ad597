"""One word changed: the prompt, the difference by hand, and both drawings with the same noise."""

import importlib.util
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmexplorer import presets
from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing as module
from mmexplorer.explore.drawing import draw
from mmexplorer.explore.drawing_change import changed, compare, difference
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
    yield
    tiny.assert_free(own_residency)


def drawn(prompt="a red circle"):
    *_, last = draw(prompt, model="tiny", steps=3, seed=5, guidance=4.0, negative_prompt="cir", width=48)
    return last.drawing


def test_only_the_word_differs():
    before, told = drawn(), []
    change = compare(before, "Red", "blue", progress=lambda done, total: told.append((done, total)))
    settings = dict(before.settings)
    assert change.before is before and dict(change.after.settings) == settings | {"prompt": "a blue circle"}
    assert np.array_equal(change.after.steps[0].latent, before.steps[0].latent)
    apart = np.abs(np.asarray(change.after.image, float) - np.asarray(before.image, float)).mean(axis=-1) / 255
    assert change.difference.shape == (32, 48) and np.allclose(change.difference, apart, atol=1e-6) and apart.max() > 0
    assert told[0][0] == 0 and told[-1][0] == told[-1][1] == len(before.steps)
    back = compare(change.after, "blue", "red")
    assert np.array_equal(np.asarray(back.after.image), np.asarray(before.image))


def test_the_difference_by_hand():
    a, b = Image.new("RGB", (2, 1), (0, 0, 0)), Image.new("RGB", (2, 1), (0, 0, 0))
    b.putpixel((1, 0), (255, 51, 0))
    drawings = [Drawing(image, (), None, {}, ()) for image in (a, b)]
    assert difference(*drawings) == pytest.approx(np.array([[0, (1 + 0.2) / 3]]))
    assert np.array_equal(difference(*drawings), difference(*drawings[::-1]))


@pytest.mark.parametrize(
    ("word", "other", "occurrence", "expected"),
    [
        ("red", "blue", 1, "a blue circle, a red-brown star and a RED moon"),
        ("red", "blue", 2, "a red circle, a red-brown star and a blue moon"),
        ("red", "", 1, "a circle, a red-brown star and a RED moon"),
        ("red-brown", "big (.*) \\1", 1, "a red circle, a big (.*) \\1 star and a RED moon"),
        ("MOON", "sun", 1, "a red circle, a red-brown star and a RED sun"),
    ],
)
def test_a_whole_word_is_changed(word, other, occurrence, expected):
    assert changed("a red circle, a red-brown star and a RED moon", word, other, occurrence) == expected


@pytest.mark.parametrize(
    ("word", "other", "occurrence", "said"),
    [
        ("square", "x", 1, "'square' is not in the prompt"),
        ("circ", "x", 1, "'circ' is not in the prompt"),
        ("", "x", 1, "is not in the prompt"),
        ("red", "x", 2, "'red' is not in the prompt"),
        ("red", "x", 0, "'red' is not in the prompt"),
        ("red", " Red ", 1, "the word that is there already"),
    ],
)
def test_changes_that_are_none(word, other, occurrence, said):
    with pytest.raises(Refusal, match=said):
        changed("a red circle", word, other, occurrence)


def test_the_only_word_cannot_go():
    with pytest.raises(Refusal, match="the prompt is empty"):
        changed("circle", "circle", "")


def test_stop_and_half_drawn_pictures():
    before, stop = drawn(), threading.Event()
    with pytest.raises(Stopped):
        compare(before, "red", "blue", progress=lambda done, total: done == 1 and stop.set(), stop=stop)
    with pytest.raises(Refusal, match="was stopped early"):
        compare(replace(before, ended="stopped"), "red", "blue")
