"""The zero-shot tab when things go wrong: bad input, a visitor who stops or leaves, and texts that look like code."""

import re
import threading

import numpy as np
import pytest
from PIL import Image

from mmexplorer import residency
from mmexplorer.explore import zero_shot
from mmexplorer.explore.experiments import ASSETS

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

PICTURE = ASSETS / "images" / "zero_shot" / "purple-circle.png"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> ${document.title='pwned'} {{value}}"


@pytest.fixture
def loading(monkeypatch):
    """No model in memory, and (started, may end): events of loading one."""
    residency.evict()
    started, may_end, load = threading.Event(), threading.Event(), residency._default._load

    def patient(preset, folder, device):
        started.set()
        may_end.wait(60)
        return load(preset, folder, device)

    monkeypatch.setattr(residency._default, "_load", patient)
    yield started, may_end
    may_end.set()


@pytest.fixture
def bad(tmp_path):
    """A function that makes a file and gives its path."""

    def make(name: str):
        path = tmp_path / name
        if name == "bomb.png":
            Image.new("1", (13_000, 13_000)).save(path)
        elif name == "cut.png":
            Image.effect_noise((64, 64), 50).save(path)
            path.write_bytes(path.read_bytes()[:1500])
        else:
            path.write_bytes({"empty.png": b"", "text.png": b"not a picture"}[name])
        return path

    return make


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty.png", "empty.png is an empty file; choose a picture such as a PNG or JPEG."),
        ("text.png", "text.png is not a picture that can be read; use PNG, JPEG, WebP, GIF, BMP or TIFF."),
        ("cut.png", "cut.png is damaged or incomplete and cannot be decoded; save or send it again."),
        ("bomb.png", "bomb.png has more than 25,000,000 pixels, the limit; scale it down first."),
    ],
)
def test_a_file_that_is_no_picture_gets_one_sentence_and_costs_nothing(tab, bad, name, sentence):
    tab.example(0)
    expect(tab.viewer.locator(".chip")).not_to_have_count(0)
    before = tab.shown(), tab.typed()
    tab.several([PICTURE, bad(name)])
    tab.classify()
    assert tab.toast() == sentence
    expect(tab.status).to_have_text(sentence)
    assert (tab.shown(), tab.typed()) == before
    assert tab.page.locator("#zs-files .file").count() == 2


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (" \n,", "There are no labels yet; type at least one, such as: a red circle."),
        ("x" * 10_000, f"The label {'x' * 30!r}... has 10,000 characters; at most 1,000 count."),
    ],
)
def test_labels_that_cannot_be_scored_get_one_sentence_and_stay(tab, labels, sentence):
    tab.example(0)
    expect(tab.viewer.locator(".chip")).not_to_have_count(0)
    before = tab.shown()
    tab.labels(labels)
    tab.classify()
    assert tab.toast() == sentence
    assert tab.page.locator("#zs-labels textarea").input_value() == labels
    assert tab.shown() == before


def test_five_thousand_labels_from_a_file_are_too_many(tab, tmp_path):
    (tmp_path / "many.csv").write_text("".join(f"label {n}\n" for n in range(5000)), encoding="utf-8")
    tab.upload(PICTURE)
    tab.page.locator("input[type=file][accept*=csv]").set_input_files(str(tmp_path / "many.csv"))
    expect(tab.page.locator("#zs-labels textarea")).to_have_value(re.compile("label 4999"), timeout=15_000)
    tab.classify()
    assert tab.toast() == "At most 1,000 labels are scored at once, and there are 5,000."
    assert len(tab.typed()) == 5000


def test_what_is_missing_gets_one_sentence(tab, tmp_path):
    tab.classify()
    assert tab.toast() == "There is no picture yet; upload, paste or draw one first."
    tab.page.get_by_role("tab", name="Several").click()
    tab.classify()
    assert tab.toast() == "There are no pictures yet; choose some files first."
    tab.page.get_by_role("tab", name="Draw").click()
    tab.classify()
    assert tab.toast() == "The canvas is empty; draw something first."
    tab.page.get_by_role("tab", name="Picture").click()
    tab.upload(PICTURE)
    tab.unfold("Settings")
    tab.page.locator("#zs-templates textarea").fill("a photo")
    tab.classify()
    assert tab.toast() == "The template 'a photo' must contain {} exactly once, where the label goes."
    tab.page.locator("#zs-templates textarea").fill("")
    tab.page.locator("#zs-models").get_by_role("button", name="Remove Toy CLIP").or_(
        tab.page.locator("#zs-models .token-remove")
    ).first.click()
    tab.classify()
    assert tab.toast() == "No model is chosen; choose one above, such as Toy CLIP."
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00")
    tab.page.locator("input[type=file][accept*=csv]").set_input_files(str(tmp_path / "mine.csv"))
    assert tab.toast() == "mine.csv is not UTF-8 text; save the labels as CSV in UTF-8."
    assert tab.typed() == ["a red circle", "a blue square", "a green triangle"]


def test_odd_pictures_are_read_as_they_look(tab, tmp_path):
    red = Image.new("RGB", (60, 40), "red")
    upright = Image.Exif()
    upright[0x0112] = 6
    red.convert("CMYK").save(tmp_path / "cmyk.jpg")
    red.convert("P").save(tmp_path / "palette.png")
    Image.fromarray(np.full((40, 60), 40_000, np.uint16)).save(tmp_path / "deep.png")
    red.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("RGB", (60, 40), "blue")])
    red.save(tmp_path / "turned.jpg", exif=upright)
    Image.new("RGBA", (60, 40), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    paths = sorted(tmp_path.glob("*.*"))
    tab.several(paths)
    tab.labels("a red square\na gray square")
    assert "6 pictures" in tab.classify()
    names = tab.scores.locator(".matrix tbody th").all_inner_texts()
    assert [name.split("\n")[0] for name in names] == [path.name for path in paths]
    tab.choose("Heatmaps of", "turned.jpg")
    stage = tab.viewer.locator("[data-part=stage]")
    tab.page.wait_for_function(
        "() => document.querySelector('#zs-viewer [data-part=stage]').style.getPropertyValue('--ratio') < 1"
    )
    box = stage.bounding_box()
    assert box["height"] > box["width"]


def test_texts_that_look_like_code_are_shown_and_not_run(tab, tmp_path):
    path = tmp_path / "${document.title='pwned'}{{value}}.png"
    path.write_bytes(PICTURE.read_bytes())
    tab.upload(path)
    tab.labels(f"{HOSTILE}\na circle")
    tab.unfold("Settings")
    tab.page.locator("#zs-templates textarea").fill(HOSTILE + " {}")
    tab.classify()
    assert HOSTILE in tab.shown()
    expect(tab.viewer.locator(".chip").first).to_contain_text(HOSTILE)
    for template in ("<img src=x onerror=alert(1)>", "${document.title='pwned'} {{value}}"):
        tab.page.locator("#zs-templates textarea").fill(template)
        tab.classify()
        assert template in tab.toast()
        expect(tab.status).to_contain_text(template)
    assert tab.page.title() == "mmexplorer"
    assert tab.page.locator("img[src=x]").count() == 0


def test_stop_ends_the_waiting_at_once_and_the_next_click_works(tab, loading):
    started, may_end = loading
    tab.upload(PICTURE)
    tab.page.locator("#zs-run").click()
    expect(tab.status).to_contain_text("Toy CLIP, full coverage: loading")
    assert started.wait(10)
    tab.page.locator("#zs-stop").click()
    expect(tab.status).to_have_text("Stopped. What was already there stays.")
    tab.page.wait_for_timeout(700)
    expect(tab.status).to_have_text("Stopped. What was already there stays.")
    assert residency.loaded() == []  # it was the visitor who was let go, not the device
    may_end.set()
    assert "1 picture, 3 labels" in tab.classify()


def test_a_visitor_who_leaves_during_a_load_does_not_block_the_next(visit, address, zero_shot_tab, loading):
    started, may_end = loading
    leaver, other = (zero_shot_tab(visit(address)) for _ in range(2))
    leaver.upload(PICTURE)
    leaver.page.locator("#zs-run").click()
    assert started.wait(10)
    leaver.page.close()
    other.upload(PICTURE)
    other.page.locator("#zs-run").click()
    expect(other.status).to_contain_text("loading")  # the server answers although somebody left in the middle
    third = zero_shot_tab(visit(address))
    third.example(1)
    expect(third.viewer.locator(".chip")).not_to_have_count(0)
    may_end.set()
    expect(other.status).to_contain_text("1 picture, 3 labels", timeout=15_000)
    assert [model.key for model in residency.loaded()] == ["toy-clip"]


def test_a_click_while_heatmaps_are_drawn_counts(tab, monkeypatch):
    drawing, may_end, ground = threading.Event(), threading.Event(), zero_shot.ground_labels

    def patient(*args, **kwargs):
        drawing.set()
        may_end.wait(30)
        return ground(*args, **kwargs)

    monkeypatch.setattr(zero_shot, "ground_labels", patient)
    tab.upload(PICTURE)
    tab.page.locator("#zs-run").click()
    assert drawing.wait(20)
    tab.labels("a circle\na moon")
    tab.page.locator("#zs-run").click()
    may_end.set()
    expect(tab.viewer.locator(".chip")).to_have_count(2)
    assert set(tab.shown()) == {"a circle", "a moon"}


def test_a_bug_leaves_a_sentence_and_no_busy_status(tab, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(zero_shot, "trace", fail)
    tab.upload(PICTURE)
    tab.classify()
    expect(tab.status).to_have_text("Something went wrong in the app; its log says what. What was already there stays.")
    assert len(tab.shown()) == 3
