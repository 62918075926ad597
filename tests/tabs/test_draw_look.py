"""Which word maps the drawing tab's viewer shows, for which steps, and with which it begins."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.drawings import Drawing, Step, WordMaps
from mmexplorer.errors import Refusal
from mmexplorer.explore.drawing_views import ALL_LAYERS, ALL_STEPS, STEP_RANGES, ground
from mmexplorer.tabs import draw_look as look
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.renderer import render

STEPS, SIDE = 3, 16


def drawing(prompt: str = "") -> Drawing:
    """A rendered pair as if a model had drawn it for the prompt, by default one that names both things."""
    scene = plain_scene(random.Random(3), "pair")
    prompt = prompt or " and ".join(f"a {thing.colour} {thing.shape}" for thing in scene.things)
    rng = np.random.default_rng(0)
    words = tuple(prompt.replace(",", "").split())
    maps = WordMaps(words, ("up 16 x 16",), (rng.random((STEPS, len(words), SIDE, SIDE)).astype(np.float16),), (1,))
    image = Image.fromarray(render([scene])[0])
    latent = np.zeros((4, SIDE, SIDE), np.float16)
    steps = tuple(Step(n, 1.0, 1.0, latent, latent, None, 0.1) for n in range(1, STEPS + 1))
    previews = tuple(Image.new("RGB", (SIDE, SIDE), (n, 0, 0)) for n in range(STEPS))
    made = Drawing(image, previews, None, {"prompt": prompt}, steps, maps, model="toy-clip")
    return replace(made, grounding=ground(made))


@pytest.fixture
def best(monkeypatch):
    """Says which layers and steps were measured to point best."""

    def say(layers: str, steps: str) -> None:
        monkeypatch.setattr(look, "best_view", lambda model: (layers, steps))

    say(ALL_LAYERS, ALL_STEPS)
    return say


def test_the_viewer_begins_with_a_thing_that_is_there_and_shows_all_layers_together(best):
    made = drawing()
    payload = json.loads(look.payload(made, first=True))
    assert payload["word"] == 2
    assert [bool(truth) for truth in payload["truth"]] == [False, True, True, False, False, True, True]
    assert payload["layers"] == ["up 16 x 16", "all layers"] and payload["layer"] == 1
    assert "word" not in json.loads(look.payload(made))  # the visitor's choice stays


def test_the_viewer_begins_with_the_layer_that_points_best(best):
    best("up 16 x 16", "last third")
    assert look.first_steps("toy-clip") == "last third"
    assert json.loads(look.payload(drawing()))["layer"] == 0
    best("down 8 x 8", ALL_STEPS)  # measured in a model of other layers
    assert json.loads(look.payload(drawing()))["layer"] == 1


def test_each_range_of_steps_is_offered_and_shown_with_what_was_measured(best, monkeypatch):
    monkeypatch.setattr(look, "pointing_sentences", lambda model: f"Measured on {model}.")
    assert [value for _, value in look.STEPS] == [*STEP_RANGES, look.ONE]
    made = drawing()
    for step, name in enumerate(STEP_RANGES[1:]):  # three steps, so that each third is one of them
        shown = json.loads(look.switched(name, None, Shelved(made)))
        peaks = made.word_maps.maps[0][step].max(axis=(1, 2)).astype(float)
        np.testing.assert_allclose(shown["peaks"][0], peaks, rtol=1e-3)
        assert "Measured on toy-clip." in shown["notes"]
    assert "Measured on toy-clip." not in json.loads(look.switched(look.ONE, 2, Shelved(made)))["notes"]
    assert look.switched(ALL_STEPS, None, None)["__type__"] == "update"


class Event:
    def __init__(self, number):
        self.number = number


def test_one_step_shows_that_steps_maps_over_its_own_prediction():
    made = drawing("a red circle")
    number, payload = look.stepped("one", Shelved(made), Event(2))
    shown = json.loads(payload)
    assert number == 2 and "Step 2 alone" in " ".join(shown["notes"])
    peaks = made.word_maps.maps[0][1].max(axis=(1, 2)).astype(float)
    np.testing.assert_allclose(shown["peaks"][0], peaks, rtol=1e-3)
    assert shown["picture"] != json.loads(look.payload(made))["picture"] and shown["width"] == made.image.width
    assert look.switched("one", None, Shelved(made)) == look.payload(made, look.ONE, STEPS)
    assert look.switched("all", 2, Shelved(made)) == look.payload(made)
    for wrong in (STEPS + 1, -1, "2", None):
        with pytest.raises(Refusal):
            look.stepped("one", Shelved(made), Event(wrong))
    with pytest.raises(Refusal):
        look.stepped("one", None, Event(1))


def test_without_maps_there_is_nothing_to_show():
    made = drawing("a red circle")
    assert look.payload(replace(made, word_maps=None, grounding=None)) is None
