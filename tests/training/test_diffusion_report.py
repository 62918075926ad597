"""The report: a painter that does what it is told gets every share, one that mixes things up loses the right ones."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw

from mmexplorer.toyworld.prompts import wanted
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import RADII, Scene, Thing
from mmexplorer.toyworld.splits import pair_is_seen
from mmexplorer.toyworld.vocabulary import COLOUR_REFERENCES
from mmexplorer.training import diffusion_report
from mmexplorer.training.diffusion_report import GROUPS, measured, prompts

CORNERS = ((16, 16), (48, 48), (48, 16), (16, 48))
BESIDE = {"left": (-16, 0), "right": (16, 0), "above": (0, -16), "below": (0, 16)}


def painted(text: str, change=lambda colours: colours) -> Image.Image:
    """The picture that a prompt asks for, with the colours of its items changed."""
    asked = wanted(text)
    colours = change([item.colour for item in asked.items])
    things = []
    for number, item in enumerate(asked.items):
        for _ in range(item.count):
            x, y = CORNERS[len(things)]
            if asked.relations:
                dx, dy = BESIDE[asked.relations[0][1]]
                x, y = (32 + dx, 32 + dy) if number == 0 else (32 - dx, 32 - dy)
            size = item.size or ("small" if sum(i.count for i in asked.items) > 1 else "medium")
            if size == "large":
                x, y = 32, 32
            radius = sum(RADII[size]) / 2
            rgb = COLOUR_REFERENCES[colours[number]][-1]
            thing = Thing(item.shape, colours[number], size, "solid", x, y, radius, rgb)
            things.append(thing)
    white = (255, 255, 255)
    return Image.fromarray(render([Scene(tuple(things), "several", "plain", white, white, 0, 0)])[0])


def painter(change=lambda colours: colours):
    """Stands for a pipeline."""
    return lambda texts, **_: SimpleNamespace(images=[painted(text, change) for text in texts])


def shares(figures) -> dict[str, float]:
    return {name: figure.value for name, figure in figures.items()}


def test_a_painter_that_does_as_told_gets_every_share():
    figures = measured(painter(), scale=0.1)
    assert all(figure.value >= 0.95 and figure.samples == 20 for figure in figures.values()), figures


def test_exchanged_colours_cost_what_is_about_whose_colour_it_is_and_nothing_else():
    found = shares(measured(painter(lambda colours: colours[::-1]), scale=0.1))
    for name in ("two objects with their own colours", "relation"):
        assert found[name] <= 0.3, name  # but not 0: two things may have one colour or one shape
    assert min(found["colour"], found["shape"], found["counts 1-4"], found["size"]) >= 0.95


def test_a_wrong_colour_is_no_wrong_shape_or_size():
    found = shares(measured(painter(lambda colours: ["red" if c != "red" else "blue" for c in colours]), scale=0.1))
    assert found["colour"] == found["counts 1-4"] == found["never-seen colour x shape"] == 0
    assert min(found["shape"], found["size"]) >= 0.95


def test_a_shape_that_is_badly_drawn_counts_only_where_the_nearest_is_asked_for():
    """A square whose corners are round, halfway to a circle."""

    def rounded(texts, **_):
        image = Image.new("RGB", (256, 256), "white")
        ImageDraw.Draw(image).rounded_rectangle((72, 72, 184, 184), 32, fill=COLOUR_REFERENCES["blue"][-1])
        return SimpleNamespace(images=[image.resize((64, 64), Image.BOX)] * len(texts))

    square = measured(rounded, scale=0.1)
    shapes = [wanted(text).items[0].shape for text in prompts("single", 20)]
    assert square["shape"].value == 0
    shares_of = {shape: shapes.count(shape) / 20 for shape in ("square", "circle")}
    assert min(shares_of.values()) > 0 and square["shape, the nearest of ten"].value in shares_of.values()


def test_an_empty_picture_is_right_in_nothing():
    white = SimpleNamespace(images=[Image.new("RGB", (64, 64), "white")] * 4)
    assert set(shares(measured(lambda texts, **_: white, scale=0)).values()) == {0.0}


@pytest.mark.parametrize("group", GROUPS)
def test_prompts_are_the_same_every_time_and_stay_within_what_is_drawn(group):
    texts = prompts(group, 24)
    assert texts == prompts(group, 24) and len(set(texts)) > 5
    for text in texts:
        asked = wanted(text)
        assert not asked.unknown_words
        assert {pair_is_seen(item.colour, item.shape) for item in asked.items} == {group != "unseen"}


def test_counts_and_relations_are_asked_for_equally_often():
    counts = Counter(wanted(text).items[0].count for text in prompts("count", 40))
    assert counts == dict.fromkeys((1, 2, 3, 4), 10)
    relations = Counter(wanted(text).relations[0][1] for text in prompts("relation", 40))
    assert relations == dict.fromkeys(("left", "right", "above", "below"), 10)


def test_the_file_holds_figures_and_those_of_earlier_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion_report, "load", lambda folder: painter())
    diffusion_report.main([str(tmp_path), "--quick", "--snapshots", f"500={tmp_path / 'early'}"])
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"]["colour"] == {"value": 1.0, "error": 0.0, "samples": 4}
    assert report["snapshots"]["500"] == report["figures"] and report["steps"] == diffusion_report.STEPS
