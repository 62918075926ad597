"""The zero-shot tab in a real Chromium: every way in, and what is then on the page."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

import mmexplorer
from mmexplorer import residency
from mmexplorer.explore import experiments, recordings
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.explore.labels import LABEL_SETS, TEMPLATE_SETS

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

EXAMPLES = recordings.recordings("zero_shot")
PICTURES = ASSETS / "images" / "zero_shot"


def same(shown: dict[str, float], expected, picture: int = 0) -> None:
    """The bars show a Classification's probabilities."""
    assert set(shown) == set(expected.labels)
    for label, probability in zip(expected.labels, expected.probabilities[picture], strict=True):
        assert shown[label] == pytest.approx(float(probability), abs=1e-4)


def truth_on_show(tab) -> bool:
    return tab.viewer.get_by_role("button", name="Ground truth").is_visible()


def test_examples_show_recorded_results_before_any_model_is_loaded(tab):
    expect(tab.page.locator("#mm-memory summary")).to_have_text("No model in memory yet")
    expect(tab.scores).to_contain_text("Add a picture and labels, then press Classify.")
    expect(tab.viewer).to_contain_text("Run a classification to see where it looked.")
    for number in (0, 4):
        example = EXAMPLES[number]
        tab.example(number)
        expect(tab.scores.locator(".picture-name")).to_have_text(example.picture)
        assert set(tab.shown()) == set(example.labels)
        expect(tab.viewer.locator(".chip")).to_have_count(len(example.labels))
        expect(tab.status).to_contain_text("a recorded result")
        assert tab.typed() == list(example.labels)
        assert truth_on_show(tab)
    assert residency.loaded() == []


def test_an_example_can_be_computed_here(tab):
    tab.example(0)
    expect(tab.viewer.locator(".chip")).to_have_count(len(EXAMPLES[0].labels))
    said = tab.classify()
    assert f"Toy CLIP, full coverage: 1 picture, {len(EXAMPLES[0].labels)} labels" in said and "A toy model" in said
    same(tab.shown(), mmexplorer.classify(EXAMPLES[0].path, EXAMPLES[0].labels))
    assert truth_on_show(tab)
    expect(tab.page.locator("#mm-memory")).to_contain_text("toy-clip in memory")
    expect(tab.page.locator("#zs-about")).to_contain_text("ready")


def test_an_uploaded_picture_and_typed_labels(tab, tmp_path):
    picture = Image.new("RGB", (300, 120), "white")
    ImageDraw.Draw(picture).ellipse((110, 20, 190, 100), fill="blue")
    picture.save(tmp_path / "my dot.png")
    tab.upload(tmp_path / "my dot.png")
    tab.labels("a blue circle; a zebra, a red square, a blue circle")
    tab.classify()
    same(tab.shown(), mmexplorer.classify(picture, ["a blue circle", "a zebra", "a red square"]))
    expect(tab.scores.locator(".picture-name")).to_have_text("my dot.png")
    remarks = tab.scores.locator(".remarks").inner_text()
    assert "counted once: 'a blue circle'" in remarks and "does not know: zebra" in remarks
    assert not truth_on_show(tab)
    stage = tab.viewer.locator("[data-part=stage]").bounding_box()
    assert stage["width"] / stage["height"] == pytest.approx(2.5, rel=0.02)  # wide pictures stay wide


def test_a_drawing_made_with_the_mouse(tab):
    tab.page.get_by_role("tab", name="Draw").click()
    canvas = tab.page.locator("#zs-drawing canvas").first
    expect(tab.page.locator("#zs-drawing")).not_to_contain_text("select the draw tool")
    box = canvas.bounding_box()
    left, top = box["x"] + box["width"] / 2 - 50, box["y"] + box["height"] / 2 - 50
    tab.page.mouse.move(left, top)
    tab.page.mouse.down()
    for x, y in ((100, 0), (100, 100), (0, 100), (0, 0), (100, 100), (0, 50), (100, 50)):
        tab.page.mouse.move(left + x, top + y, steps=8)
    tab.page.mouse.up()
    tab.labels("a red square\na blue circle")
    tab.classify()
    assert set(tab.shown()) == {"a red square", "a blue circle"}
    expect(tab.scores.locator(".picture-name")).to_have_text("drawing.png")
    seen = tab.viewer.locator("img[data-part=picture]").evaluate(
        """image => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 32 });
            const pen = canvas.getContext('2d');
            pen.drawImage(image, 0, 0, 32, 32);
            return [...pen.getImageData(0, 0, 32, 32).data];
        }"""
    )
    pixels = np.array(seen).reshape(32, 32, 4)
    assert (pixels[0, 0, :3] == 255).all()  # the paper is white
    assert (abs(pixels[..., :3] - [0xDC, 0x1F, 0x32]).max(axis=-1) < 8).mean() > 0.03  # and the pencil red


def test_several_files_and_the_heatmaps_of_each(tab):
    paths = [PICTURES / f"{name}.png" for name in ("two-blue-hearts", "three-yellow-stars", "purple-circle")]
    tab.several(paths)
    tab.labels("two hearts\nthree stars\na circle")
    assert "3 pictures, 3 labels" in tab.classify()
    expected = mmexplorer.classify(paths, tab.typed())
    assert tab.scores.locator(".matrix tbody tr").count() == 3
    tab.scores.locator(".matrix tbody tr").nth(1).get_by_role("button").click()
    expect(tab.scores.locator(".picture-name")).to_have_text("three-yellow-stars.png")
    same(tab.shown(), expected, 1)
    before = tab.viewer.locator("img[data-part=picture]").get_attribute("src")
    tab.choose("Heatmaps of", "purple-circle")
    expect(tab.viewer.locator("img[data-part=picture]")).not_to_have_attribute("src", before)
    assert tab.shown() and tab.scores.locator(".matrix tbody tr").count() == 3


def test_a_toy_scene_comes_with_its_truth(tab):
    tab.page.locator("#zs-scene").click()
    tab.page.locator("#zs-picture img").wait_for(state="attached")
    assert 2 <= len(tab.typed()) <= 8
    tab.classify()
    assert set(tab.shown()) == set(tab.typed())
    assert truth_on_show(tab)


def test_ready_made_labels_and_labels_from_a_file(tab, tmp_path):
    tab.choose("Ready-made labels", "Colours x shapes (90)")
    expect(tab.page.locator("#zs-labels textarea")).to_have_value("\n".join(LABEL_SETS["Colours x shapes (90)"]))
    tab.upload(PICTURES / "purple-circle.png")
    said = tab.classify()
    assert "90 labels" in said and "Heatmaps are those of the 64 best labels" in said
    expect(tab.viewer.locator(".chip")).to_have_count(64)
    best = next(iter(tab.shown()))
    expect(tab.viewer.locator(".chip").filter(has_text=best)).not_to_have_count(0)
    (tmp_path / "mine.csv").write_text("id;label\n1;a purple circle\n2;a moon\n", encoding="utf-8")
    tab.page.locator("input[type=file][accept*=csv]").set_input_files(str(tmp_path / "mine.csv"))
    expect(tab.page.locator("#zs-labels textarea")).to_have_value("a purple circle\na moon")
    tab.classify()
    same(tab.shown(), mmexplorer.classify(PICTURES / "purple-circle.png", tab.typed()))


def test_templates_and_which_wording_wins(tab):
    tab.upload(PICTURES / "noisy-pair.png")
    tab.labels("a blue triangle\nan orange ring")
    tab.unfold("Settings")
    tab.choose("Templates", "Ensemble of 8")
    templates = TEMPLATE_SETS["Ensemble of 8 templates"]
    expect(tab.page.locator("#zs-templates textarea")).to_have_value("\n".join(templates))
    tab.classify()
    same(tab.shown(), mmexplorer.classify(PICTURES / "noisy-pair.png", tab.typed(), templates=templates))
    expect(tab.scores.locator(".templates tbody tr")).to_have_count(9)
    tab.page.locator("#zs-templates textarea").fill("there is {}")
    tab.classify()
    same(tab.shown(), mmexplorer.classify(PICTURES / "noisy-pair.png", tab.typed(), templates=["there is {}"]))
    expect(tab.scores.locator(".templates tbody tr")).to_have_count(0)


def test_a_card_fills_the_inputs_clears_the_results_and_compares_models(tab):
    tab.example(0)
    expect(tab.viewer.locator(".chip")).not_to_have_count(0)
    card = experiments.cards("zero_shot")[0]
    tab.choose("Experiment", card.title)
    brief = tab.page.locator("#zs-brief")
    expect(brief.first).to_contain_text(card.predict)
    expect(tab.scores).to_contain_text("Add a picture and labels, then press Classify.")
    expect(tab.viewer).to_contain_text("Run a classification to see where it looked.")
    assert tab.typed() == list(card.labels)
    expect(tab.page.get_by_role("tab", name="Several", selected=True)).to_be_visible()
    tab.classify()
    tab.scores.get_by_text("as typed").click()
    for number, key in enumerate(card.models):
        tab.scores.locator(".models label").nth(number).click()
        expected = mmexplorer.classify(card.paths, card.labels, model=key)
        cells = tab.scores.locator(".matrix tbody td")
        expect(cells).to_have_text([f"{100 * p:.0f}" for p in expected.probabilities.ravel()])
    brief.first.get_by_text("Explanation").click()
    expect(brief.first).to_contain_text(card.source)
    tab.choose("Experiment", "None")
    expect(brief.first).to_be_hidden()
    assert tab.typed() == list(card.labels)
