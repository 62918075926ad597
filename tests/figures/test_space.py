"""Figures and rows of space reports: the numbers in them are the reports', and missing parts leave no figure."""

import base64
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mmexplorer.explore.space import SpaceReport, measure
from mmexplorer.explore.space_neighbours import hubness
from mmexplorer.figures import space
from mmexplorer.figures.charts import MODEL_COLOURS, percent, plain
from mmexplorer.figures.space_charts import classes_figure, cosine_figure, hubness_figure, recall_figure
from mmexplorer.figures.space_gap import CENTRED, gap_figure
from mmexplorer.results import Neighbours

FIGURES = (gap_figure, recall_figure, hubness_figure, cosine_figure, classes_figure)
HOSTILE = "<a href='https://example.com'>x</a> & y"


def report(seed: int = 0, count: int = 40) -> SpaceReport:
    random = np.random.default_rng(seed)
    meaning, apart = random.normal(size=(count, 8)), np.eye(8)[0]
    images, texts = (meaning + 0.5 * random.normal(size=(count, 8)) + side * apart for side in (1, -1))
    classes = [(HOSTILE, "red", "blue")[i % 3] for i in range(count)]
    return measure(images, texts, np.arange(count), captions=[str(i) for i in range(count)], classes=classes, k=5)


ONE, TWO = report(0), report(1)
NAMES = ["Toy CLIP", HOSTILE]
EMPTY = SpaceReport(pictures=1, pairs=0, missing={"gap": "There is nothing."})


def numbers(packed) -> np.ndarray:
    if isinstance(packed, list):
        return np.array(packed, float)
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])


def traces(text: str, **wanted) -> list[dict]:
    return [
        trace for trace in json.loads(text)["data"] if all(trace.get(key) == value for key, value in wanted.items())
    ]


@pytest.mark.parametrize("draw", FIGURES)
def test_every_figure_is_strict_json_without_markup_or_template(draw):
    text = draw([ONE, TWO], NAMES)
    figure = json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    meta = figure["layout"].pop("meta")
    assert meta["summary"].endswith(".") and meta["name"]
    assert "<" not in text and "<a" not in json.dumps(figure), "the summary alone is never read as markup"
    assert "template" not in figure["layout"] and figure["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert len(draw([ONE], NAMES[:1])) < len(text)


@pytest.mark.parametrize("draw", FIGURES)
def test_a_missing_part_is_left_out_and_alone_gives_no_figure(draw):
    assert draw([EMPTY], ["empty"]) is None
    figure = json.loads(draw([EMPTY, TWO], ["empty", "Toy CLIP"]))
    assert MODEL_COLOURS[1] in json.dumps(figure), "a model keeps its colour"
    assert MODEL_COLOURS[0] not in json.dumps(figure)


def test_panels_stand_side_by_side_or_below_each_other_without_overlap():
    layout = json.loads(gap_figure([ONE, TWO], NAMES))["layout"]
    sides = [layout[name]["domain"] for name in ("xaxis", "xaxis2", "xaxis3")]
    assert sides[0][0] == 0 and sides[2][1] == pytest.approx(1)
    assert all(left[1] < right[0] for left, right in pairwise(sides))
    narrow = layout["meta"]["narrow"]
    heights = [narrow[name]["domain"] for name in ("yaxis", "yaxis2", "yaxis3")]
    assert heights[0][1] == 1 and heights[2][0] == pytest.approx(0)
    assert all(above[0] > below[1] for above, below in pairwise(heights))
    assert narrow["height"] > layout["height"]


def test_slider_steps_buttons_and_frames_belong_together():
    figure = json.loads(gap_figure([ONE, TWO], NAMES))
    frames = [frame["name"] for frame in figure["frames"]]
    slider = figure["layout"]["sliders"][0]
    assert [step["args"][0] for step in slider["steps"]] == [[name] for name in frames]
    assert frames[slider["active"]] == "0.0" and frames[-1] == CENTRED and len(set(frames)) == len(frames) == 22
    jumps = {button["label"]: button["args"][0][0] for button in figure["layout"]["updatemenus"][0]["buttons"]}
    assert jumps == {"as it is": "0.0", "centroids meet": "1.0", "mean-centred": CENTRED}
    for frame in figure["frames"]:
        assert [figure["data"][trace]["mode"] for trace in frame["traces"]] == ["markers+text", "lines+markers"] * 2


def test_frames_hold_the_recall_and_the_places_of_their_state():
    frames = {frame["name"]: frame["data"] for frame in json.loads(gap_figure([ONE, TWO], NAMES))["frames"]}
    for model, measured in enumerate((ONE.shift, TWO.shift)):
        for name, state in (("1.0", measured.amounts.index(1.0)), (CENTRED, -1)):
            marker, cloud = frames[name][2 * model : 2 * model + 2]
            assert numbers(marker["y"]) == pytest.approx(measured.recall[state])
            assert marker["text"] == [percent(value) for value in measured.recall[state]]
            places = np.stack([numbers(cloud["x"]), numbers(cloud["y"])], axis=1).reshape(-1, 3, 2)
            assert places[:, 0] == pytest.approx(measured.pictures[state])
            assert places[:, 1] == pytest.approx(measured.captions[state])
            assert np.isnan(places[:, 2]).all(), "no line from one pair to the next"


def test_the_higher_recall_is_written_above():
    frames = json.loads(gap_figure([ONE], ["Toy CLIP"]))["frames"]
    for frame, (to_picture, to_caption) in zip(frames, ONE.shift.recall, strict=True):
        above = frame["data"][0]["textposition"].index("top center")
        assert above == (1 if to_caption > to_picture else 0)
    beside = json.loads(gap_figure([ONE, TWO], NAMES))["frames"][0]["data"]
    assert {text.split()[1] for text in beside[0]["textposition"]} == {"left"}
    assert {text.split()[1] for text in beside[2]["textposition"]} == {"right"}


def test_the_curves_axis_holds_all_states_and_does_not_blow_up_noise():
    low, high = json.loads(gap_figure([ONE], ["Toy CLIP"]))["layout"]["yaxis"]["range"]
    assert low < ONE.shift.recall.min() and high > ONE.shift.recall.max()
    flat = replace(ONE, shift=replace(ONE.shift, recall=np.full_like(ONE.shift.recall, 0.5)))
    assert json.loads(gap_figure([flat], ["Toy CLIP"]))["layout"]["yaxis"]["range"] == pytest.approx([0.45, 0.55])


def test_recall_bars():
    text = recall_figure([ONE, TWO], NAMES)
    bars = traces(text, type="bar", name="Toy CLIP")
    assert [numbers(bar["y"]).tolist() for bar in bars] == [
        ONE.recall.to_picture.tolist(),
        ONE.recall.to_caption.tolist(),
    ]
    assert [bar["showlegend"] for bar in bars] == [True, False]
    assert numbers(traces(text, name="chance")[0]["y"]) == pytest.approx(ONE.recall.chance)
    assert traces(text, name=plain(HOSTILE))


def test_hubness_bars_count_every_picture_and_chance_sums_to_all():
    text = hubness_figure([ONE], ["Toy CLIP"])
    for bar, found in zip(traces(text, type="bar"), (ONE.picture_hubs, ONE.caption_hubs), strict=True):
        heights = numbers(bar["y"])
        assert heights.sum() == 40
        assert heights.tolist() == np.bincount(found.occurrences).tolist(), "few values: one bar each"
    random = numbers(traces(text, name="at random")[0]["y"])
    # Binomial(40, 5 / 40): 40 x 0.875**40 pictures are expected in no list, too few to be drawn.
    assert np.isnan(random[0])
    assert random[5] == pytest.approx(40 * 658_008 * 0.125**5 * 0.875**35)


def test_many_occurrences_are_binned():
    # Of 200 lists of one, 149 hold picture 7.
    answers = np.concatenate([np.full(149, 7), np.arange(51) % 7]).reshape(-1, 1)
    hubs = hubness(Neighbours(answers, np.ones_like(answers, np.float32)), 40)
    wide = SpaceReport(pictures=40, pairs=0, picture_hubs=hubs)
    (bar,) = traces(hubness_figure([wide], ["Toy CLIP"]), type="bar")
    heights = numbers(bar["y"])
    assert heights.size == 50 and heights.sum() == 40 and heights[-1] == 1
    assert bar["width"] == 3 and bar["customdata"][-1] == "147 to 149"


def test_cosine_histograms_are_shares_and_their_title_has_the_auc():
    text = cosine_figure([ONE, TWO], NAMES)
    for bar in traces(text, type="bar"):
        assert numbers(bar["y"]).sum() == pytest.approx(1)
    titles = [note["text"] for note in json.loads(text)["layout"]["annotations"]]
    assert titles[0] == f"<b>Toy CLIP: AUC {ONE.cosines.auc:.3f}</b>"
    assert [bar["name"] for bar in traces(text, type="bar", showlegend=True)] == [
        "mismatched pairs",
        "matched pairs, Toy CLIP",
        f"matched pairs, {plain(HOSTILE)}",
    ]


def test_class_bars_follow_the_first_reports_order_and_hostile_names_are_escaped():
    text = classes_figure([ONE, TWO], NAMES)
    first, second = traces(text, type="bar")
    assert numbers(first["x"]) == pytest.approx(ONE.classes.accuracies)
    by_name = dict(zip(TWO.classes.names, TWO.classes.accuracies, strict=True))
    assert numbers(second["x"]) == pytest.approx([by_name[name] for name in ONE.classes.names])
    labels = json.loads(text)["layout"]["yaxis"]["ticktext"]
    assert len(labels) == 3 and labels[ONE.classes.names.index(HOSTILE)].startswith("&lt;a href")
    assert len(json.loads(text)["layout"]["meta"]["narrow"]["yaxis"]["ticktext"]) == 3


def test_rows_hold_every_value_with_meaning_and_source():
    rows = space.report_rows([ONE, EMPTY], ["Toy CLIP", "empty"])
    assert {len(row) for row in rows} == {5} and all(all(row) for row in rows)
    values = {row[0]: row[1:3] for row in rows}
    assert len(values) == len(rows)
    assert values["Modality gap: distance of the centroids"] == [f"{ONE.gap.distance:.3f}", "There is nothing."]
    assert values["Recall@k: recall@1, pictures search captions"][0] == (
        f"{percent(ONE.recall.to_caption[0])} (chance {percent(1 / 40)})"
    )
    assert values["Hubness of answers: skewness"] == [f"{ONE.caption_hubs.skewness:.2f}", "\u2013"]
    centred = ONE.shift.recall[-1]
    assert percent(centred[1]) in values["Closing the gap: recall@1 mean-centred"][0]
    with pytest.raises(ValueError, match="one name per report"):
        space.report_rows([ONE], NAMES)


def test_every_part_of_a_report_is_explained():
    parts = set(SpaceReport.__dataclass_fields__) - {"pictures", "pairs", "missing", "notes"}
    assert set(space.MEASURES) == parts
    for measure_ in space.MEASURES.values():
        assert all(text.endswith(".") for text in (measure_.meaning, measure_.limits)) and measure_.source
