"""Sentences about how well a view points: figures from the file beside the weights, or that there are none."""

import json

import pytest

from mmexplorer.explore.chat_measured import default_reason
from mmexplorer.explore.chat_views import default_range


@pytest.fixture
def folder(tmp_path):
    figures = {"layer 3": {"pointing": 0.5}, "layers 4-5": {"pointing": 0.62}}
    without = {"a random patch": {"pointing": 0.1}, "the centre": {"pointing": 0.26}, "everywhere": {"pointing": 0.0}}
    views = {
        "attention": {"best": "layers 4-5", "figures": figures},
        "minus mean": {"best": "layer 3", "figures": {"layer 3": {"pointing": 0.9}}},
        "no model": {"best": "the centre", "figures": without},
    }
    (tmp_path / "seeing").mkdir()
    result = {"scenes": 300, "kinds": {"answer": {"words": 1234, "views": views}}}
    (tmp_path / "seeing" / "grounding.json").write_text(json.dumps(result))
    return tmp_path


def test_the_figures_of_the_default_layers_stand_beside_those_of_no_model(folder):
    assert default_range(8, "seeing") == (3, 4)  # layers 4-5
    said = default_reason("seeing", 8, "attention", folder)
    assert "300 other drawn scenes: in layers 4-5, the default," in said and "for 62% of 1,234 words." in said
    assert said.endswith("Without any model: a random patch 10%, the centre 26%.")


def test_better_layers_are_named(folder):
    figures = json.loads((folder / "seeing" / "grounding.json").read_text())
    figures["kinds"]["answer"]["views"]["attention"]["best"] = "layer 3"
    (folder / "better").mkdir()
    (folder / "better" / "grounding.json").write_text(json.dumps(figures))
    assert "words (layer 3: 50%)." in default_reason("better", 8, "attention", folder)


def test_a_view_without_figures_is_not_spoken_of(folder):
    assert default_reason("seeing", 8, "minus mean", folder) == ""  # measured in other layers
    assert default_reason("seeing", 8, "attention, tiles", folder) == ""


def test_a_model_that_was_not_measured_says_so(folder):
    said = default_reason("unknown", 32, "attention", folder)
    assert said.startswith("Layers 13-20, in the middle, are the default") and "not measured for this model" in said


def test_the_shipped_model_has_figures():
    assert "Without any model" in default_reason("toy-llava", 6, "attention")
