"""A real model's download as visitors see it, from a stand-in Hub; saves what it looks like into screenshots/.

The Hub serves the toy models as the real ones, so that the downloads end and the answers come.
"""

import importlib.util
import re
from pathlib import Path

import pytest

from mmexplorer import hub, presets, residency
from mmexplorer.explore.experiments import ASSETS

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

_spec = importlib.util.spec_from_file_location("hub_toys", Path(__file__).parents[1] / "hub_toys.py")
toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toys)
toy_hub = toys.toy_hub

FOLDER = Path(__file__).parents[2] / "screenshots"
PICTURE = ASSETS / "images" / "zero_shot" / "purple-circle.png"
PAIR = ASSETS / "images" / "chat" / "red-circle-blue-square.png"
CLIP, LLAVA, DIFFUSION = "clip-vit-base-patch32", "llava-1.5-7b", "stable-diffusion-1.5"
PACE = re.compile(r"downloading \d+ of \d+ MB, [\d.]+ [kM]B a second, \d+ s left")


def look(page, name: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    page.screenshot(path=FOLDER / f"download-{name}.png")


def choose(tab, box: str, key: str) -> None:
    """A model in the list with that id."""
    tab.page.locator(f"{box} input").click()
    tab.page.locator(f'[role=option][aria-label^="{presets.preset(key).label}"]').click()


def only_real(tab) -> None:
    """CLIP ViT-B/32 in place of the toy."""
    tab.page.locator("#zs-models .token-remove").first.click()
    choose(tab, "#zs-models", CLIP)
    tab.page.keyboard.press("Escape")


def reaches(tab, run: str) -> None:
    """Presses a button and waits until the status line tells how far, how fast and how long."""
    tab.page.locator(run).click()
    expect(tab.status).to_contain_text(PACE, timeout=30_000)


@pytest.mark.parametrize("width", [1280, 390])
def test_zero_shot_tells_the_size_before_downloads_stops_and_goes_on(toy_hub, visit, address, zero_shot_tab, width):
    tab = zero_shot_tab(visit(address, width, 900))
    only_real(tab)
    about = tab.page.locator("#zs-about")
    expect(about).to_contain_text("not on this disk, 609 MB to download")
    assert toy_hub.asked == []  # choosing costs nothing
    tab.upload(PICTURE)
    toy_hub.bytes_per_second = 400_000
    reaches(tab, "#zs-run")
    tab.status.scroll_into_view_if_needed()
    look(tab.page, f"zero-shot-{width}")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    tab.page.locator("#zs-stop").click()
    expect(tab.status).to_contain_text("Stopped", timeout=5_000)
    for _ in range(100):  # the page does not wait for the transfer to notice
        if residency.status(CLIP).stage == "absent":
            break
        tab.page.wait_for_timeout(20)
    toy_hub.behave()
    toy_hub.asked.clear()
    tab.labels("a red circle\na purple circle")
    tab.classify()
    assert list(tab.shown()) == ["a purple circle", "a red circle"]
    assert [span for name, span in toy_hub.downloads() if name == "model.safetensors" and span]  # from where it stopped
    assert residency.status(CLIP).stage == "ready"


def test_a_gated_model_shows_its_page_and_how_to_give_a_token(toy_hub, tab, monkeypatch):
    toy_hub.gate = "hf_token"
    only_real(tab)
    tab.upload(PICTURE)
    tab.classify()
    sentence = tab.toast()
    page = f"{toy_hub.url}/openai/clip-vit-base-patch32"
    assert f"accept its terms at {page}" in sentence and "`hf auth login`" in sentence and "HF_TOKEN" in sentence
    expect(tab.status).to_have_text(sentence)
    expect(tab.status.get_by_role("link")).to_have_attribute("href", page)
    look(tab.page, "gated-1280")
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    tab.classify()
    assert len(tab.shown()) == 3


def test_a_download_that_breaks_off_leaves_the_page_as_it_was(toy_hub, tab):
    tab.example(0)
    expect(tab.viewer.locator(".chip")).not_to_have_count(0)
    before = tab.shown(), tab.typed()
    only_real(tab)
    toy_hub.drop_after = 500_000
    tab.classify()
    assert "broke off; check the network, then run it again, and it goes on from there." in tab.toast()
    assert (tab.shown(), tab.typed()) == before
    toy_hub.behave()
    tab.classify()
    assert tab.shown() != before[0] or residency.status(CLIP).stage == "ready"


def test_chat_downloads_stops_goes_on_and_answers(toy_hub, chat):
    choose(chat, "#chat-model", LLAVA)
    expect(chat.page.locator("#chat-about")).to_contain_text("not on this disk, 14.2 GB to download")
    chat.upload(PAIR)
    toy_hub.bytes_per_second = 1_000_000
    chat.page.locator("#chat-question textarea").fill("describe the picture")
    reaches(chat, "#chat-ask")
    look(chat.page, "chat-1280")
    with chat.finished():
        chat.page.locator("#chat-stop").click()
    expect(chat.status).to_contain_text("Stopped")
    assert chat.typed() == "describe the picture"
    toy_hub.behave()
    assert chat.ask("describe the picture")
    assert residency.status(LLAVA).stage == "ready"


def test_text_to_image_downloads_stops_goes_on_and_draws(toy_hub, draw):
    choose(draw, "#draw-model", DIFFUSION)
    expect(draw.page.locator("#draw-about")).to_contain_text("not on this disk, 4.3 GB to download")
    draw.fill(prompt="a red circle")
    toy_hub.bytes_per_second = 1_000_000
    reaches(draw, "#draw-run")
    look(draw.page, "draw-1280")
    with draw.finished():
        draw.page.locator("#draw-stop").click()
    expect(draw.status).to_contain_text("Stopped")
    toy_hub.behave()
    assert "drew" in draw.draw(prompt="a red circle", steps=2)
    assert hub.here(presets.preset(DIFFUSION)) is not None


def test_a_map_of_own_pictures_downloads_stops_and_goes_on(toy_hub, visit, address):
    page = visit(f"{address}/?tab=embedding-space", height=1000)
    status = page.locator("#es-status .mmx-status")
    expect(status).to_contain_text("Toy world: 2,400 pictures", timeout=60_000)
    page.locator("#es-model input").click()
    page.locator(f'[role=option][aria-label^="{presets.preset(CLIP).label}"]').click()
    expect(page.locator("#es-about")).to_contain_text("not on this disk, 609 MB to download")
    page.get_by_role("tab", name="My pictures").click()
    pictures = sorted((ASSETS / "images" / "zero_shot").glob("*.png"))[:4]
    page.locator("#es-files input[type=file]").set_input_files([str(file) for file in pictures])
    page.locator("#es-files .file").nth(len(pictures) - 1).wait_for()
    toy_hub.bytes_per_second = 400_000
    page.locator("#es-open").click()
    expect(status).to_contain_text(PACE, timeout=30_000)
    look(page, "embedding-space-1280")
    page.locator("#es-stop").click()
    expect(status).to_contain_text("Stopped", timeout=10_000)
    expect(page.locator("#es-map")).to_contain_text("2,400 pictures and 2,400 captions shown")
    toy_hub.behave()
    page.locator("#es-open").click()
    expect(page.locator("#es-map")).to_contain_text("4 pictures", timeout=60_000)
    assert residency.status(CLIP).stage == "ready"
