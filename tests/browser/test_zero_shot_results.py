"""What a visitor does with a result of the zero-shot tab: look closer, ask otherwise, take it along."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import mmexplorer
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.methods import METHODS

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

PICTURE = ASSETS / "images" / "zero_shot" / "red-circle-blue-square.png"
LABELS = ["a red circle", "a blue square", "a green star"]


@pytest.fixture
def answered(tab):
    """The tab with a complete answer."""
    tab.upload(PICTURE)
    tab.labels("\n".join(LABELS))
    tab.classify()
    return tab


def saved(tab, button, folder):
    """The file that pressing a button downloads."""
    with tab.page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def heat(tab) -> bytes:
    """The pixels of the heatmap on show."""
    return bytes(
        tab.viewer.locator("canvas[data-part=heat]").evaluate(
            "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
    )


def test_looking_closer_asks_the_server_nothing(answered):
    memory = answered.page.evaluate(
        """() => {
            const { components, dependencies } = window.gradio_config;
            const line = components.find(({ props }) => props.elem_id === 'mm-memory').id;
            return dependencies.filter(({ outputs }) => String(outputs) === String(line)).map(({ id }) => id);
        }"""
    )
    asked = []
    answered.page.on("request", lambda request: asked.append(request) if request.url.startswith("http") else None)
    own = answered.shown()
    answered.scores.locator(".scale-slider").fill("0.9")
    scale = 200**0.9
    answered.page.wait_for_timeout(100)
    expected = mmexplorer.classify(PICTURE, LABELS).rescaled(scale).probabilities[0]
    for label, probability in zip(LABELS, expected, strict=True):
        assert answered.shown()[label] == pytest.approx(float(probability), abs=2e-3)
    answered.scores.get_by_role("button", name="reset").click()
    assert answered.shown() == own

    chips = answered.viewer.locator(".chip")
    chips.first.click()
    maps = [heat(answered)]
    for number in (1, 2):
        answered.page.keyboard.press("ArrowRight")
        expect(chips.nth(number)).to_have_attribute("aria-selected", "true")
        maps.append(heat(answered))
    assert len(set(maps)) == 3
    answered.page.keyboard.press("[")
    assert heat(answered) != maps[-1]
    answered.viewer.get_by_role("button", name="Patches").click()
    # The page may ask how the memory stands, as it does all the time.
    assert [one.url for one in asked if (one.post_data_json or {}).get("fn_index") not in memory] == []


def test_another_method_draws_other_heatmaps_of_the_same_scores(answered):
    before, scores = heat(answered), answered.shown()
    answered.unfold("Settings")
    for key in ("occlusion", "patch_similarity"):
        answered.choose("Heatmap method", METHODS[key].label)
        expect(answered.status).to_contain_text(METHODS[key].one_sentence)
        expect(answered.viewer.locator("[data-part=source]")).to_contain_text(key)
        assert heat(answered) != before
        before = heat(answered)
    answered.page.get_by_label("Contrast with the other labels").click()
    answered.page.wait_for_function(
        """before => {
            const canvas = document.querySelector('#zs-viewer canvas[data-part=heat]');
            return String([...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]) !== before;
        }""",
        arg=",".join(map(str, before)),
    )
    assert answered.shown() == scores


def test_another_method_before_any_answer_says_what_to_do(tab):
    tab.unfold("Settings")
    tab.choose("Heatmap method", METHODS["occlusion"].label)
    expect(tab.status).to_contain_text("Press Classify first")


def test_the_five_steps_show_this_pictures_numbers(answered):
    answered.unfold("The five steps")
    steps = answered.page.locator("#zs-steps .steps > li")
    expect(steps).to_have_count(5)
    expected = mmexplorer.classify(PICTURE, LABELS)
    best = int(expected.cosines[0].argmax())
    expect(steps.nth(3)).to_contain_text(f"{abs(float(expected.cosines[0, best])):.4f}")
    expect(steps.nth(4)).to_contain_text(f"“{LABELS[best]}”")
    expect(steps.nth(4)).to_contain_text(f"{expected.logit_scale:.2f}")
    answered.page.locator("#zs-steps .follow label").filter(has_text=LABELS[2]).click()
    expect(steps.nth(1)).to_contain_text(LABELS[2])


def test_the_python_code_is_copied_and_gives_the_numbers_on_the_page(answered, tmp_path):
    answered.unfold("The same in Python")
    code = answered.page.locator("#zs-code")
    expect(code).to_contain_text("AutoModel.from_pretrained")
    answered.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code.get_by_role("button", name="Copy").click()
    answered.page.wait_for_timeout(200)
    copied = answered.page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[0] == "import torch"
    (tmp_path / PICTURE.name).write_bytes(PICTURE.read_bytes())
    (tmp_path / "assets").symlink_to(ASSETS)
    program = copied + "\nimport json; print(json.dumps(probabilities.tolist()))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    numbers = json.loads(ran.stdout.splitlines()[-1])[0]
    assert [answered.shown()[label] for label in LABELS] == pytest.approx(numbers, abs=1e-4)


def test_downloads_arrive_and_hold_the_numbers(answered, tmp_path):
    expected = mmexplorer.classify(PICTURE, LABELS)
    button = answered.scores.get_by_role("button", name="CSV")
    with saved(answered, button, tmp_path).open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.reader(file))
    assert {label for row in cells for label in row} >= set(LABELS)
    data = json.loads(saved(answered, answered.scores.get_by_role("button", name="JSON"), tmp_path).read_text("utf-8"))
    assert data["labels"] == LABELS
    for place in (answered.scores.get_by_role("button", name="PNG", exact=True),
                  answered.viewer.get_by_role("button", name="Save PNG")):  # fmt: skip
        assert min(Image.open(saved(answered, place, tmp_path)).size) > 100
    answered.unfold("Downloads")
    archive = np.load(saved(answered, answered.page.locator("#zs-npz"), tmp_path))
    assert list(archive["words"]) == LABELS
    np.testing.assert_allclose(archive["scores"], expected.cosines[0], atol=1e-5)
    np.testing.assert_allclose(archive["maps"], mmexplorer.ground_labels(PICTURE, LABELS).maps, atol=1e-4)


def test_there_is_no_archive_before_there_are_heatmaps(tab):
    tab.unfold("Downloads")
    expect(tab.page.locator("#zs-npz")).to_be_disabled()
