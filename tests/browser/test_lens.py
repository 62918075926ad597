"""The logit lens in a real Chromium: the right words on the right patches, by mouse, keyboard and touch."""

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.lens import lens
from mmexplorer.figures.lens import lens_payload

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">${document.title='pwned'}{{value}}"
LAYERS = ("embeddings", "layer 1", "layer 2")


def payload(side=4, layers=LAYERS, size=(64, 64), box=(0, 0, 64, 64)):
    """Odd patches say "word<layer>", even ones "p<patch>"; each layer is surer than the one before."""
    k = side * side
    words = np.full((len(layers), k, 5), "other", dtype=object)
    chances = np.zeros((len(layers), k, 5), np.float32)
    for layer in range(len(layers)):
        for patch in range(k):
            words[layer, patch] = [f"word{layer}" if patch % 2 else f"p{patch}", "blue", HOSTILE, "\n", "x" * 200]
            chances[layer, patch] = [0.75 * (layer + 1) / len(layers), 0.1, 0.05, 0.02, 0.01]
    return lens_payload(words, chances, layers, Image.new("RGB", size, "teal"), box, (side, side))


VALUES = {
    "toy": payload(),
    "large": payload(24, tuple(f"layer {i}" for i in range(33)), (900, 400), (250, 0, 650, 400)),
    "nothing": None,
}


def build():
    main = lens(elem_id="main")
    with gr.Tabs():
        gr.Tab("shown")
        with gr.Tab("hidden"):
            lens(VALUES["toy"], elem_id="second")
    return main


@pytest.fixture(scope="module")
def address(component_page):
    with component_page(VALUES, build) as url:
        yield url


@pytest.fixture
def opened(visit, address):
    def open_page(value="toy", width=1280, theme="light"):
        page = visit(f"{address}?__theme={theme}", width)
        page.locator("#main .empty").wait_for()
        show(page, value)
        return page

    return open_page


def show(page, value):
    page.get_by_role("button", name=value, exact=True).click()
    expect(page.locator("#main .cells > div")).to_have_count({"toy": 16, "large": 576}[value])


def at(page, row, column, side=4, box=(0, 0, 1, 1)):
    """Where a patch's centre lies on the stage."""
    size = page.locator("#main .stage").bounding_box()
    x = box[0] + (box[2] - box[0]) * (column + 0.5) / side
    y = box[1] + (box[3] - box[1]) * (row + 0.5) / side
    return {"x": size["width"] * x, "y": size["height"] * y}


def click(page, row, column, **kwargs):
    page.locator("#main .stage").click(position=at(page, row, column, **kwargs))


def table(page) -> list[list[str]]:
    return page.locator("#main tr").evaluate_all(
        "rows => rows.map((r) => [...r.children].map((c) => c.firstElementChild ? "
        "`${c.children[0].textContent} ${c.children[1].textContent}` : c.textContent))"
    )


def title(page) -> str:
    return page.locator("#main .patch-title").inner_text()


def written(page) -> list[str]:
    return page.locator("#main .cells span").all_inner_texts()


def test_every_patch_shows_its_nearest_word_and_a_layer_has_its_own(opened):
    page = opened()
    last = [f"p{p}" if p % 2 == 0 else "word2" for p in range(16)]
    assert written(page) == last
    bar = page.locator("#main .cells > div").first.evaluate("c => getComputedStyle(c, '::after').backgroundSize")
    assert float(bar.removeprefix("calc(").split("%")[0]) == pytest.approx(75)
    page.locator("#main .slide input").focus()
    page.keyboard.press("ArrowLeft")
    assert written(page)[:2] == ["p0", "word1"]
    assert page.locator("#main output").inner_text() == "layer 1"
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert written(page)[1] == "word0"
    page.keyboard.press("]")
    assert written(page)[1] == "word1"


def test_a_patch_lists_its_words_layer_by_layer(opened):
    page = opened()
    assert "Point at a patch" in title(page)
    click(page, 1, 3)
    assert title(page) == "Patch in row 2, column 4: its 5 nearest words in every layer."
    rest = ["blue 10.0\u00a0%", f"{HOSTILE} 5.0\u00a0%", "↵ 2.0\u00a0%", f"{'x' * 200} 1.0\u00a0%"]
    assert table(page) == [
        ["embeddings", "word0 25.0\u00a0%", *rest],
        ["layer 1", "word1 50.0\u00a0%", *rest],
        ["layer 2", "word2 75.0\u00a0%", *rest],
    ]
    assert page.locator("#main tr.now th").inner_text() == "layer 2"
    page.locator("#main tr").first.click()
    assert page.locator("#main tr.now th").inner_text() == "embeddings" and written(page)[1] == "word0"


def test_pointing_shows_clicking_keeps_and_nothing_asks_the_server(opened):
    page = opened()
    page.wait_for_load_state("networkidle")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    click(page, 0, 0)
    page.locator("#main .stage").hover(position=at(page, 3, 2))
    assert "row 4, column 3" in title(page) and table(page)[0][1].startswith("p14 ")
    page.locator("#main .slide output").hover()
    assert "row 1, column 1" in title(page) and table(page)[0][1].startswith("p0 ")
    click(page, 0, 0)  # a second click lets it go
    page.locator("#main .slide output").hover()
    assert "Point at a patch" in title(page)
    assert requests == []


def test_a_frequent_word_lights_its_patches(opened):
    page = opened()
    buttons = page.locator("#main .frequent button")
    assert buttons.first.inner_text().split() == ["word2", "8"]
    buttons.first.focus()
    page.keyboard.press("Enter")
    lit = page.locator("#main .cells > div").evaluate_all("all => all.map((c) => c.classList.contains('lit'))")
    assert lit == [patch % 2 == 1 for patch in range(16)]
    expect(buttons.first).to_be_focused()
    page.locator("#main .slide input").fill("1")  # the word stays chosen where no patch says it
    assert page.locator("#main .cells .lit").count() == 0
    assert page.locator("#main .frequent [aria-pressed=true]").inner_text().split() == ["word2", "0"]


def test_keyboard_alone_is_enough(opened):
    page = opened()
    page.locator("#main .stage").focus()
    page.keyboard.press("ArrowRight")
    assert "row 3, column 3" in title(page)
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    assert "row 2, column 4" in title(page)
    page.keyboard.press("[")
    assert page.locator("#main output").inner_text() == "layer 1"
    page.keyboard.press("Escape")
    assert "Point at a patch" in title(page)


def test_small_patches_show_their_words_only_when_asked(opened):
    page = opened("large")
    assert page.locator("#main .cells span").first.is_hidden()
    expect(page.get_by_role("button", name="Words", exact=True)).to_be_hidden()
    click(page, 7, 9, side=24, box=(250 / 900, 0, 650 / 900, 1))
    assert "row 8, column 10" in title(page)
    assert len(table(page)) == 33 and table(page)[32][:2] == ["layer 32", "word32 75.0\u00a0%"]
    expect(page.locator("#main .frequent")).to_contain_text("and 277 more")  # 288 even patches and word32, 12 shown
    show(page, "toy")
    page.get_by_role("button", name="Words", exact=True).click()
    assert page.locator("#main .cells span").first.is_hidden()


def test_outside_the_models_box_there_are_no_patches(opened):
    page = opened("large")
    size = page.locator("#main .stage").bounding_box()
    page.locator("#main .stage").click(position={"x": size["width"] * 0.1, "y": size["height"] * 0.5})
    assert "Point at a patch" in title(page)
    cells, stage = page.locator("#main .cells").bounding_box(), size
    assert (cells["x"] - stage["x"]) / stage["width"] == pytest.approx(250 / 900, abs=0.005)
    assert cells["width"] / stage["width"] == pytest.approx(400 / 900, abs=0.005)


def test_hostile_words_are_text_and_nothing_to_show_says_what_to_do(opened):
    page = opened()
    click(page, 1, 1)
    assert page.locator("#main img").count() == 1 and page.title() != "pwned"
    page.get_by_role("button", name="nothing").click()
    expect(page.locator("#main .empty")).to_contain_text("Ask about a picture first")
    expect(page.locator("#main .filled")).to_be_hidden()


def test_it_draws_itself_when_its_tab_is_opened(opened):
    page = opened()
    page.get_by_role("tab", name="hidden").click()
    expect(page.locator("#second .cells span").first).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_state_fits_its_screen_and_is_readable(opened, width, theme):
    FOLDER.mkdir(exist_ok=True)
    page = opened("toy", width, theme)
    for name in ("toy", "large"):
        show(page, name)
        page.locator("#main .stage").click()
        page.locator("#main .frequent button").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT) == []
        page.locator("#main").screenshot(path=FOLDER / f"lens-{name}-{width}-{theme}.png")
