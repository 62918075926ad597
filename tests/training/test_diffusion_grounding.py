"""The report on word maps: which words count, scores and baselines by hand, and what is chosen and written."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.drawings import DrawEvent, Drawing, WordMaps
from mmexplorer.explore.drawing import draw
from mmexplorer.explore.drawing_views import ALL_LAYERS, ALL_STEPS, STEP_RANGES
from mmexplorer.models import diffusion
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.renderer import annotate, render
from mmexplorer.training import diffusion_grounding as report
from mmexplorer.training.diffusion_grounding import BASELINES, EVERY, FORMS, ScoredWord, best, drawn, measure, score

SIDE, STEPS = 16, 3
LAYERS = ("down 16 x 16", "up 16 x 16", ALL_LAYERS)
FOLDER = preset("toy-diffusion").path


class Painter:
    """Draws what its own prompts ask for, or nothing at all where it is `empty`.

    Its upper layer reads every word where its thing is, but only in the last step; before that, and in its lower
    layer, every word is read in the upper left corner, where nothing is.
    """

    steps, guidance, schedulers, size = STEPS, 4.0, ("own",), (64, 64)

    def __init__(self, empty: bool = False):
        self.scenes, self.empty = {}, empty

    def prompts(self, form: str, count: int) -> list[str]:
        scenes = [plain_scene(random.Random(i), {"two": "pair", "relation": "pair"}.get(form)) for i in range(99)]
        scenes = [scene for scene in scenes if len(scene.things) == (2 if form in FORMS["two things"] else 1)][:count]
        texts = [" and ".join(f"a {thing.colour} {thing.shape}" for thing in scene.things) for scene in scenes]
        self.scenes |= dict(zip(texts, scenes, strict=True))
        return texts

    def draw(self, prompt: str, settings: dict):
        scene, words = self.scenes[prompt], prompt.split()
        corner = np.zeros((STEPS, len(words), SIDE, SIDE), np.float16)
        corner[..., 0, 0] = 1
        upper = corner.copy()
        for number, annotation in enumerate(annotate(scene)):
            cells = annotation.mask.reshape(SIDE, 4, SIDE, 4).mean(axis=(1, 3))
            upper[-1, 4 * number + 1 : 4 * number + 3] = cells
        image = Image.new("RGB", (64, 64)) if self.empty else Image.fromarray(render([scene])[0])
        maps = WordMaps(tuple(words), LAYERS[:2], (corner, upper), (1, 1))
        yield DrawEvent(0, STEPS)
        yield DrawEvent(STEPS, STEPS, drawing=Drawing(image, (), None, settings, (), maps))


@pytest.fixture
def painter(monkeypatch):
    made = Painter()
    monkeypatch.setattr(report, "prompts", made.prompts)
    return made


def test_words_are_scored_where_their_things_were_drawn(painter):
    text = painter.prompts("two", 1)[0]
    drawing = drawn(painter, text, 0)
    found = list(score(drawing, np.random.default_rng(0)))
    assert [kind for kind, _, _ in found] == ["colour", "shape", "colour", "shape"]
    for _, views, baselines in found:
        assert views.shape == (len(STEP_RANGES), 3, 3) and baselines.shape == (len(BASELINES), 3)
        last = views[STEP_RANGES.index("last third")]
        assert last[1, :2].tolist() == [1, 1] and last[1, 2] > 0.7  # the layer and steps that read it there
        assert views[:, 0, :2].tolist() == [[0, 0]] * 4 and views[STEP_RANGES.index("first third"), 1, 0] == 0
    other = next(colour for colour in ("red", "blue", "green") if colour not in text)
    wrong = replace(drawing, settings={"prompt": text.replace(text.split()[1], other, 1)})
    assert len(list(score(wrong, np.random.default_rng(0)))) == 2


def test_baselines_know_the_picture_or_another_word(painter):
    drawing = drawn(painter, painter.prompts("single", 1)[0], 0)
    whole = report.ground(drawing)
    found = report.baselines(whole, 0, np.random.default_rng(0))
    maps = dict(zip(BASELINES, found.maps[:, 0], strict=True))
    assert found.layers == BASELINES and found.words == ("",)
    assert set(np.argwhere(maps["the centre"] == maps["the centre"].max()).ravel()) == {7, 8}
    assert np.array_equal(maps["the map of its “a”"], whole.maps[-1, 0])
    [(_, _, first), _] = score(drawing, np.random.default_rng(0))
    assert first[BASELINES.index("the place least like the background"), 0] == 1
    assert first[BASELINES.index("the map of its “a”"), 0] == 0  # the corner


def scored(pointing: list, count: int) -> list[ScoredWord]:
    """So many words of equal pointing (steps, layers)."""
    views = np.zeros((len(STEP_RANGES), len(LAYERS), 3))
    views[..., 0] = pointing
    return [ScoredWord("one thing", True, "shape", views, np.zeros((len(BASELINES), 3)))] * count


def test_another_view_is_chosen_only_where_it_is_clearly_better():
    plain, other = {"layers": ALL_LAYERS, "steps": ALL_STEPS}, {"layers": LAYERS[1], "steps": "last third"}
    better = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]]
    same, worse = np.ones((4, 3)), [[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert best([], LAYERS) == best(scored(same, 9), LAYERS) == plain
    assert best(scored(better, 9), LAYERS) == other
    # 1 gain in 9 is 0.111, with a standard error of 0.105; 4 in 9 are 0.444, with one of 0.166.
    assert best(scored(better, 1) + scored(same, 8), LAYERS) == plain
    assert best(scored(better, 4) + scored(same, 5), LAYERS) == other
    # 5 gains and 4 losses in 9
    assert best(scored(better, 5) + scored(worse, 4), LAYERS) == plain


def test_choosing_and_reporting_are_done_on_different_pictures(painter):
    result = measure(painter, 8)
    assert result["drawn"] == {
        things: {"prompts": 8, "all of it": 8, "some of it": 8} for things in ("one thing", "two things")
    }
    assert result["best"] == {"layers": "up 16 x 16", "steps": "last third"}
    whole, second = (
        {things: {kind: found["words"] for kind, found in kinds.items()} for things, kinds in result[part].items()}
        for part in ("all pictures", "second half")
    )
    assert whole == {
        "one thing": {"shape": 8, "colour": 8, EVERY: 16},
        "two things": {"shape": 16, "colour": 16, EVERY: 32},
    }
    assert second == {things: {kind: count // 2 for kind, count in kinds.items()} for things, kinds in whole.items()}
    views = result["second half"]["two things"]["shape"]["views"]
    assert views["last third"]["up 16 x 16"]["pointing"] == 1 and views[ALL_STEPS]["down 16 x 16"]["pointing"] == 0


def test_the_report_is_printed_and_written(painter, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(diffusion, "load", lambda *_: painter)
    report.main([str(tmp_path), "--quick", "--threads", "1"])
    printed = capsys.readouterr().out
    result = json.loads((tmp_path / "grounding.json").read_text(encoding="utf-8"))
    assert result["drawn"]["one thing"]["prompts"] == report.QUICK
    assert "one thing: of 4 pictures 4 show all of it, 4 show some of it" in printed
    assert all(name in printed for name in (*BASELINES, *LAYERS, *STEP_RANGES))
    painter.empty = True
    report.main([str(tmp_path), "--quick", "--threads", "1"])
    assert "0 show all of it, 0 show some of it" in capsys.readouterr().out
    result = json.loads((tmp_path / "grounding.json").read_text(encoding="utf-8"))
    assert result["second half"] == {"one thing": {}, "two things": {}}


def test_pictures_and_maps_are_those_of_the_page():
    painter = diffusion.load(preset("toy-diffusion"), FOLDER, CPU)
    mine = drawn(painter, "a red circle", 3)
    *_, last = draw("a red circle", seed=3)
    assert np.array_equal(np.asarray(mine.image), np.asarray(last.drawing.image))
    assert all(np.array_equal(a, b) for a, b in zip(mine.word_maps.maps, last.drawing.word_maps.maps, strict=True))
