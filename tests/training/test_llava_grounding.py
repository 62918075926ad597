"""The grounding report: which words count, scores and baselines by hand, and what the shipped model reaches."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.explore.chat_views import default_range
from mmexplorer.models import llava
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.results import Grounding
from mmexplorer.toyworld.questions import ask
from mmexplorer.toyworld.renderer import annotate
from mmexplorer.toyworld.scenes import rng_for
from mmexplorer.training import llava_grounding
from mmexplorer.training.llava_grounding import (
    ANSWER,
    BASELINES,
    SEVERAL,
    object_words,
    range_name,
    ranges,
    scenes,
    scores,
)

FOLDER = preset("toy-llava").path


@pytest.fixture(scope="module")
def chat():
    return llava.load(preset("toy-llava"), FOLDER, CPU)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def grounding(maps: np.ndarray) -> Grounding:
    """Maps (layers, h, w) of one word over a picture of 64 x 64 pixels."""
    names = tuple(f"layer {i + 1}" for i in range(len(maps)))
    return Grounding(
        Image.new("RGB", (64, 64)), ("it",), maps[:, None], names, np.zeros((len(maps), 1)), (0.0, 0.0, 64.0, 64.0)
    )


def test_scenes_have_one_to_three_visible_things_and_are_the_same_every_time():
    found = list(scenes(12))
    assert found == list(scenes(12)) and len({scene for scene, _ in found}) == 12
    assert {len(scene.things) for scene, _ in found} == {1, 2, 3}
    assert all(annotation.mask.any() for scene, _ in found for annotation in annotate(scene))


def test_a_range_is_the_mean_of_its_layers():
    found = ranges(grounding(np.arange(12, dtype=np.float32).reshape(3, 2, 2)))
    assert found.layers == ("layer 1", "layers 1-2", "layers 1-3", "layer 2", "layers 2-3", "layer 3")
    assert found.maps[2, 0].tolist() == [[4, 5], [6, 7]] and found.maps[4, 0].tolist() == [[6, 7], [8, 9]]


def test_scores_tell_a_hit_from_a_touch_and_from_a_miss():
    maps = np.zeros((3, 8, 8), np.float32)
    maps[0, 2, 2] = maps[1, 2, 1] = maps[2, 6, 6] = 1
    mask = np.zeros((64, 64), bool)
    mask[16:24, 14:24] = True  # the patch in row 2 and column 2, and two pixels of its left neighbour
    found = scores(grounding(maps), mask)
    assert found[:, :2].tolist() == [[1, 1], [1, 0], [0, 0]]
    assert found[0, 2] > found[1, 2] > found[2, 2] == 0


def test_words_of_right_answers_are_scored_against_the_things_they_mean(chat, random):
    scene, seed = next(scenes(1))
    words, _ = object_words(chat, scene, ask(scene, rng_for("test grounding", seed), "describe"), random)
    masks = [annotation.mask for annotation in annotate(scene)]
    assert words and all(any((word.mask & mask).any() for mask in masks) for word in words)
    assert {word.kind for word in words} == {"description: colour", "description: shape"}
    for word in words:
        assert all(len(view.words) == 1 and np.isfinite(view.maps).all() for view in word.views.values())
        assert word.views["gradient x attention"].maps.shape == word.views["attention"].maps.shape


def test_a_wrong_answer_names_nothing_and_its_question_still_does(chat, random):
    scene, _ = next(pair for pair in scenes(20) if len(pair[0].things) == 1 and pair[0].things[0].shape == "circle")
    question = next(q for i in range(9) if "circle" in (q := ask(scene, rng_for("test grounding", i), "colour")).text)
    words, nowhere = object_words(chat, scene, replace(question, answer="no colour"), random)
    assert nowhere == 1 and [word.kind for word in words] == ["question"]
    assert np.array_equal(words[0].mask, annotate(scene)[0].mask)


def test_baselines_know_the_picture_only(chat, random):
    scene, seed = next(pair for pair in scenes(20) if len(pair[0].things) == 1)
    question = ask(scene, rng_for("test grounding", seed), "describe")
    words, _ = object_words(chat, scene, question, random)
    view = words[0].views[BASELINES]
    maps = dict(zip(view.layers, view.maps[:, 0], strict=True))
    assert set(np.argwhere(maps["the centre"] == maps["the centre"].max()).ravel()) == {3, 4}
    assert np.ptp(maps["everywhere"]) == 0
    found = dict(zip(view.layers, scores(view, words[0].mask), strict=True))
    assert found["everywhere"][0] == 0  # no contrast points nowhere
    assert found["distance from the background's colour"][0] == 1


def test_the_report_is_written_and_read(chat, tmp_path, capsys):
    llava_grounding.main([str(FOLDER), "--scenes", "2", "--output", str(tmp_path / "grounding.json"), "--threads", "1"])
    result = json.loads((tmp_path / "grounding.json").read_text())
    printed = capsys.readouterr().out
    assert result["scenes"] == 2 and ANSWER in result["kinds"]
    words = {name: kind["words"] for name, kind in result["kinds"].items()}
    parts = sum(count for name, count in words.items() if "asked for" in name or "description" in name)
    assert words[ANSWER] == parts >= words.get(f"{ANSWER}, {SEVERAL}", 0)
    for view, found in result["kinds"][ANSWER]["views"].items():
        assert view in printed and found["best"] in found["figures"]
        assert max(f["pointing"] for f in found["figures"].values()) == found["figures"][found["best"]]["pointing"]


def test_the_shipped_models_default_range_is_near_its_best_and_beats_the_baselines():
    result = json.loads((FOLDER / "grounding.json").read_text())
    views = result["kinds"][ANSWER]["views"]
    figures = views["attention"]["figures"]
    default = figures[range_name(*default_range(result["layers"], "toy-llava"))]["pointing"]
    assert default > max(f["pointing"] for f in figures.values()) - 0.03
    assert default > max(f["pointing"] for f in views[BASELINES]["figures"].values())
    own = [views[name]["figures"].values() for name in ("attention", "minus mean", "gradient x attention")]
    assert max(figure["pointing"] for found in own for figure in found) >= 0.8  # the target of the project
