"""What is said of how well word maps point, and the view to begin with: figures from beside the weights, or none."""

import json

import pytest

from mmexplorer.explore.drawing_views import ALL_LAYERS, ALL_STEPS
from mmexplorer.tabs.draw_measured import best_view, pointing_sentences


def kind(words: int, plain: float, last: float = 0.0) -> dict:
    """Figures of a kind of word: in all steps and layers, and in the last third of the steps in one layer."""
    views = {ALL_STEPS: {ALL_LAYERS: {"pointing": plain}}, "last third": {"up 4 x 4": {"pointing": last}}}
    return {"words": words, "views": views, "baselines": {"the centre": {"pointing": 0.25}}}


@pytest.fixture
def write(tmp_path):
    """Writes a model's figures, with a view that is best, and gives the folder that its folder is in."""

    def write(model: str, layers: str, steps: str):
        one = {"shape": kind(1200, 0.874, 0.93), "size": kind(40, 0.5, 0.6), "every word": kind(1240, 0.8, 0.9)}
        two = {"colour": kind(70, 0.7, 0.8), "every word": kind(70, 0.7, 0.8)}
        second = {"one thing": one, "two things": two}
        (tmp_path / model).mkdir()
        file = tmp_path / model / "grounding.json"
        file.write_text(json.dumps({"best": {"layers": layers, "steps": steps}, "second half": second}))
        return tmp_path

    return write


def test_a_model_that_was_not_measured_begins_with_everything_and_nothing_is_said(tmp_path):
    assert best_view("toy", tmp_path) == (ALL_LAYERS, ALL_STEPS)
    assert pointing_sentences("toy", tmp_path) == ""


def test_the_figures_of_the_first_view_are_said_beside_the_baselines(write):
    folder = write("plain", ALL_LAYERS, ALL_STEPS)
    said = pointing_sentences("plain", folder)
    assert "over all layers and all steps, with which the maps begin." in said
    one, two = said.split(" Where ")[1:]
    assert one.startswith("one thing was asked for") and "87% of 1,200 shape words, 50% of 40 size words" in one
    assert two.startswith("two things were asked for") and "70% of 70 colour words" in two and "shape" not in two
    assert all("the centre 25%" in part for part in (one, two))


def test_another_view_that_points_better_is_the_first_one(write):
    folder = write("other", "up 4 x 4", "last third")
    assert best_view("other", folder) == ("up 4 x 4", "last third")
    said = pointing_sentences("other", folder)
    assert "over up 4 x 4 and the last third of the steps" in said and "93% of 1,200 shape words" in said


def test_without_any_picture_of_two_things_nothing_is_said_of_them(write):
    folder = write("one", ALL_LAYERS, ALL_STEPS)
    file = folder / "one" / "grounding.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"second half": {"one thing": {}, "two things": {}}}))
    assert "Where" not in pointing_sentences("one", folder)
