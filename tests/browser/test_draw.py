"""The text-to-image tab in a real Chromium: a prompt becomes a picture, and everything that is shown about it."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import mmexplorer
from mmexplorer import residency
from mmexplorer.explore import experiments
from mmexplorer.presets import preset
from mmexplorer.toyworld.grade import grade

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

PROMPT = "a red circle"


def drawn(prompt: str = PROMPT, **settings):
    *_, last = mmexplorer.draw(prompt, **settings)
    return last.drawing


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB"))


def slider(draw):
    return draw.page.get_by_role("slider", name="Denoising step")


def heat(draw) -> str:
    return draw.viewer.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")


def test_before_anything_is_drawn_the_page_says_what_to_do_and_loads_nothing(visit, address):
    residency.evict()
    page = visit(f"{address}/?tab=draw")
    expect(page.locator("#draw-picture")).to_contain_text("Type what to draw and press Draw")
    expect(page.locator("#draw-strip .empty")).to_be_visible()
    expect(page.locator("#draw-viewer")).to_contain_text("Draw a picture to see which word was read where.")
    assert residency.loaded() == []


def test_a_prompt_becomes_the_packages_own_picture_with_strip_words_and_stages(draw):
    status = draw.draw(prompt=PROMPT, seed=4, steps=5)
    expected = drawn(seed=4, steps=5)
    assert np.array_equal(pixels(draw.image()), np.asarray(expected.image))
    assert f"drew {len(expected.steps)} steps" in status
    expect(draw.strip.locator(".strip li")).to_have_count(len(expected.steps))
    assert draw.chips() == list(expected.grounding.words)
    expect(draw.meta).to_contain_text("seed 4")
    draw.page.locator("#draw-way button").first.click()
    expect(draw.stages).to_contain_text("Text encoder")
    expect(draw.stages).to_contain_text("VAE decoder")
    draw.page.get_by_role("button", name="The same in Python").last.click()
    expect(draw.page.locator("#draw-code")).to_contain_text("seed=4")


def test_the_steps_are_shown_while_they_are_done(draw):
    draw.fill(prompt=PROMPT, steps=60)
    draw.page.evaluate(
        """() => {
            window.seen = new Set();
            new MutationObserver(() => {
                const strip = document.querySelector('#draw-strip .step')?.textContent;
                if (document.querySelector('#draw-strip .play')?.disabled) window.seen.add(strip);
            }).observe(document.querySelector('#draw-strip'), { subtree: true, childList: true, characterData: true });
        }"""
    )
    with draw.finished():
        draw.page.locator("#draw-run").click()
    assert len(draw.page.evaluate("[...window.seen]")) >= 2


def test_one_step_follows_the_film_strip(draw):
    draw.draw(prompt=PROMPT, steps=6)
    together = heat(draw)
    draw.page.get_by_label("The film strip's step").click()
    expect(draw.viewer).to_contain_text("alone, over the picture that was predicted after it")
    assert heat(draw) != together
    slider(draw).fill("1")
    expect(draw.viewer).to_contain_text("Step 2 alone")
    draw.page.get_by_label("All steps together").click()
    expect(draw.viewer).not_to_contain_text("alone")
    assert heat(draw) == together


def test_moving_over_words_asks_no_server(draw):
    draw.draw(prompt=PROMPT, steps=3)
    asked = []
    draw.page.on("request", lambda request: asked.append(request.url) if "/queue/" in request.url else None)
    before = heat(draw)
    draw.viewer.locator(".chip").nth(1).click()
    draw.page.wait_for_timeout(400)
    assert heat(draw) != before and asked == []


def test_a_saved_picture_opens_again_with_all_its_settings(draw, tmp_path):
    given = {"prompt": "a “blue” círcle", "negative": "red", "seed": 77, "steps": 4, "guidance": 2.5}
    draw.draw(**given)
    first = draw.image()
    file = tmp_path / "mine.png"
    draw.download("png").save_as(file)
    draw.draw(prompt="something else", negative="", seed=1, steps=3, guidance=1)
    assert draw.image() != first
    with draw.finished():
        draw.drop(file)
    expect(draw.status).to_contain_text("mine.png are filled in")
    for name, value in given.items():
        draw.wait_for_value(name, str(value))
    draw.draw()
    assert draw.image() == first


def test_every_download_can_be_opened(draw, tmp_path):
    draw.draw(prompt=PROMPT, steps=3)
    expected = drawn(steps=3)
    files = {}
    for kind in ("gif", "npz", "json"):
        files[kind] = tmp_path / f"a.{kind}"
        draw.download(kind).save_as(files[kind])
    assert Image.open(files["gif"]).n_frames == len(expected.steps) + 1
    with np.load(files["npz"]) as archive:
        assert archive["words"].tolist() == list(expected.grounding.words)
    assert json.loads(files["json"].read_text())["settings"]["seed"] == 0


def test_seeds_are_rolled_and_earlier_pictures_come_back(draw):
    expect(draw.page.locator("#draw-earlier")).to_be_hidden()
    draw.draw(prompt=PROMPT, steps=3)
    first = draw.image()
    expect(draw.gallery.locator("button")).to_have_count(1)
    draw.page.locator("#draw-random").click()
    expect(draw.page.locator("#draw-seed input")).not_to_have_value("0")
    draw.draw()
    assert draw.image() != first
    expect(draw.gallery.locator("button")).to_have_count(2)
    draw.gallery.locator("button").nth(1).click()
    expect(draw.meta).to_contain_text("seed 0")  # the status may well be the same as before
    assert draw.image() == first


def test_several_pictures_are_drawn_one_seed_after_another(draw):
    draw.draw(prompt=PROMPT, seed=5, steps=3, pictures=3)
    thumbnails = draw.gallery.locator("button")
    expect(thumbnails).to_have_count(3)
    expect(thumbnails).to_have_text(["seed 7", "seed 6", "seed 5"])
    expect(draw.meta).to_contain_text("seed 7")
    assert np.array_equal(pixels(draw.image()), np.asarray(drawn(seed=7, steps=3).image))
    draw.wait_for_value("seed", "5")
    thumbnails.nth(1).click()
    expect(draw.meta).to_contain_text("seed 6")
    assert np.array_equal(pixels(draw.image()), np.asarray(drawn(seed=6, steps=3).image))


def test_what_is_in_the_picture_is_read_back_statement_by_statement(draw):
    draw.draw(prompt="a red circle to the left of a blue square", seed=2, steps=8)
    settings = {"prompt": "a red circle to the left of a blue square", "seed": 2, "steps": 8}
    found = grade(settings["prompt"], drawn(**settings).image)
    lines = [f"{'✓' if true else '✗'} {what}" for what, true in found.lines]
    expect(draw.meta.locator("li")).to_have_text([*lines, re.compile("nothing else is there$")])
    draw.draw(prompt="zebra")
    expect(draw.meta).to_contain_text("has no token for “zebra”")
    expect(draw.meta.locator("li")).to_have_count(0)


def test_the_picture_goes_to_other_tabs(draw):
    draw.draw(prompt=PROMPT, steps=3)
    draw.page.locator("#draw-send-zero-shot").click()
    draw.page.get_by_role("tab", name="Zero-shot", selected=True).wait_for()
    draw.page.locator("#zs-picture img").wait_for()
    draw.page.get_by_role("tab", name="Text-to-image").click()
    draw.page.locator("#draw-send-chat").click()
    draw.page.get_by_role("tab", name="Chat", selected=True).wait_for()
    expect(draw.page.locator("#chat-strip button[aria-label^=Thumbnail]")).to_have_count(1)


def test_the_settings_list_what_the_model_takes_as_soon_as_they_are_opened(draw):
    draw.page.locator("#draw-settings button").first.click()
    with residency.use("toy-diffusion") as painter:
        schedulers = painter.schedulers
    expect(draw.page.locator("#draw-scheduler")).to_contain_text(f"{len(schedulers)} fit this model", timeout=60_000)
    draw.page.locator("#draw-scheduler input").click()
    expect(draw.page.get_by_role("option")).to_have_count(len(schedulers))
    draw.page.get_by_role("option", name=schedulers[1], exact=True).click()
    draw.draw(prompt=PROMPT, steps=3)
    expect(draw.meta).to_contain_text(schedulers[1])


def test_a_card_fills_the_inputs_and_clears_the_page(draw):
    draw.draw(prompt=PROMPT, steps=3)
    card = experiments.cards("draw")[0]
    draw.choose("card", card.title)
    expect(draw.page.locator("#draw-brief").first).to_contain_text("Predict.")
    draw.wait_for_value("prompt", card.settings["prompt"])
    draw.wait_for_value("steps", str(card.settings["steps"]))
    expect(draw.picture.locator("img")).to_have_count(0)
    expect(draw.strip.locator(".empty")).to_be_visible()


def test_checkpoints_of_one_training_stand_beside_each_other(draw):
    card = experiments.cards("draw")[3]
    labels = [preset(key).label for key in card.models]
    draw.choose("card", card.title)
    draw.wait_for_value("prompt", card.settings["prompt"])
    draw.draw(steps=2)
    for label in labels[1:]:
        draw.choose("model", label)
        draw.wait_for_value("steps", "")
        draw.draw(steps=2)
    expect(draw.gallery.locator("button")).to_have_text(labels[::-1])
    expect(draw.meta).to_contain_text(f"{labels[-1]} · seed {card.settings['seed']} ·")
