"""A card shows the figures of its report and the runs of its training, and nothing older."""

import json
from dataclasses import asdict
from xml.etree import ElementTree

import pytest

from mmexplorer.presets import preset
from mmexplorer.training import llava_card
from mmexplorer.training.llava import Run
from mmexplorer.training.llava_curve import curve_svg
from mmexplorer.training.llava_report import Figure

CLIP = preset("toy-clip").path


def report_of(value: float, untiled: float | None = None) -> dict[str, dict]:
    return {name: asdict(Figure(value, 400, 0.11, 0.12, 0.13, untiled)) for name in llava_card.TARGETS}


@pytest.fixture(scope="module", params=["instruct", "next"])
def trained(request, tmp_path_factory):
    """A run of two steps and the folder of its model, with a report."""
    folder = tmp_path_factory.mktemp(request.param)
    run = Run(folder / "run", request.param, 4, 3, 1e-3, CLIP, None)
    run.train(every=1, until=2)
    run.export(folder / "model")
    report = report_of(0.925, 0.5 if request.param == "next" else None)
    (folder / "model" / "report.json").write_text(json.dumps(report))
    return folder


@pytest.mark.parametrize("key", llava_card.KEYS)
def test_a_shipped_card_shows_its_report(key):
    row = preset(key)
    assert (row.path / "README.md").read_text(encoding="utf-8") == llava_card.card(row, row.path)
    curve = curve_svg(llava_card.read(row.path, "training.json")["runs"])
    assert (row.path / "curve.svg").read_text(encoding="utf-8") == curve


def test_a_card_tells_figures_targets_runs_and_misses(trained):
    (trained / "early.json").write_text(json.dumps(report_of(0.333)))
    llava_card.main(
        ["toy-llava", "--folder", str(trained / "model"), "--runs", str(trained / "run"), "--measured",
         f"after 1 step={trained / 'early.json'}"]
    )  # fmt: skip
    card = (trained / "model" / "README.md").read_text(encoding="utf-8")
    tiled = trained.name.startswith("next")
    blind = "11.0 % | 12.0 % | 13.0 % |" + " 50.0 % |" * tiled
    assert f"| colour | **92.5 %** | ≥ 95 % | {blind} 400 |" in card
    assert "- colour: 92.5 % where 95.0 % was aimed at." in card and "- reading" not in card
    assert f"| {'next' if tiled else 'instruct'} | 2 of 4 | 3 | 0.001 |" in card
    assert "| Measured on the way | after 1 step |" in card and "| reading | 33.3 % |" in card
    assert ("LlavaNextForConditionalGeneration" in card) == tiled == ("base view only" in card)
    llava_card.main(["toy-llava", "--folder", str(trained / "model")])  # keeps what is known of the runs
    assert (trained / "model" / "README.md").read_text(encoding="utf-8") == card


def test_nothing_is_said_to_be_missed_when_nothing_is():
    assert llava_card.misses(report_of(0.96)) == "Every target is met."


def test_the_curve_goes_from_run_to_run():
    lines = [{"right": right, "seconds": seconds} for right, seconds in ((0.5, 0), (0.75, 3600))]
    runs = [{"stage": "align", "log": lines}, {"stage": "instruct", "log": [*lines, {"right": 1, "seconds": 10800}]}]
    drawn = ElementTree.fromstring(curve_svg(runs))
    space = "{http://www.w3.org/2000/svg}"
    lines = [line.get("points").split() for line in drawn.iter(f"{space}polyline")]
    first, second = ([tuple(map(float, point.split(","))) for point in line] for line in lines)
    assert first[0] == (48, 240) and first[1] == (192, 135)  # half way up after one of four hours
    assert second[0] == (192, 240) and second[-1] == (624, 30)
    assert {"align", "instruct", "50 %", "100 %", "4.0 h"} <= {text.text for text in drawn.iter(f"{space}text")}
