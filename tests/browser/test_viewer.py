"""The viewer in a real Chromium: what it promises to do in the browser, and that it asks the server for nothing."""

import io
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmexplorer.components.viewer import grounding_viewer
from mmexplorer.figures.viewer import viewer_payload
from mmexplorer.results import Grounding

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> ${document.title='pwned'} {{value}}"
WORDS = ("red circle", "blue square", HOSTILE)


def example(words=WORDS, layers=3) -> Grounding:
    """A circle top left, a square bottom right, 4 x 4 patches; each word looks at one patch, more in each layer."""
    image = Image.new("RGB", (64, 64), "#eee")
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, 28, 28), fill="red")
    draw.rectangle((36, 36, 60, 60), fill="blue")
    maps = np.full((layers, len(words), 4, 4), 0.01, dtype=np.float32)
    for layer in range(layers):
        for word in range(len(words)):
            place = [(0, 0), (2, 2), (3, 0)][word % 3]
            maps[layer, word][place] = 0.1 * (word + 1) * (layer + 1)
    share = np.full((layers, len(words)), np.nan, dtype=np.float32)
    share[:, 0] = 0.1 * np.arange(1, layers + 1) + 0.32
    return Grounding(
        image=image,
        words=words,
        maps=maps,
        layers=tuple(f"layer {i + 1}" for i in range(layers)),
        image_share=share,
        box=(0, 0, 64, 64),
        scores=np.linspace(0.3, 0.1, len(words)),
    )


def circle_mask() -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    return (columns - 16) ** 2 + (rows - 16) ** 2 <= 12**2


@pytest.fixture(scope="module")
def address():
    masks = {"red circle": circle_mask()}
    full = viewer_payload(example(), masks)
    cropped = Grounding(**{**vars(example()), "box": (16, 0, 48, 64)})
    with gr.Blocks(analytics_enabled=False) as demo:
        viewer = grounding_viewer(elem_id="main")
        buttons = [gr.Button(name) for name in ("Run", "Shorter", "Cropped", "Clear", "Reveal")]
        hidden = grounding_viewer(full, elem_id="hidden", visible=False)
        with gr.Tabs():
            with gr.Tab("First"):
                gr.Markdown("Nothing here")
            with gr.Tab("Second"):
                grounding_viewer(full, elem_id="tabbed")
        values = (full, viewer_payload(example(("a", "b"), 2)), viewer_payload(cropped), None)
        for button, value in zip(buttons[:4], values, strict=True):
            button.click(lambda value=value: value, outputs=viewer)
        buttons[4].click(lambda: gr.HTML(visible=True), outputs=hidden)
    demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield demo.local_url
    demo.close()


@pytest.fixture
def page(chromium, address):
    """A fresh page with the main viewer filled; fails the test if anything was written to the console as an error."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    errors = []
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.get_by_role("button", name="Run").click()
    page.locator("#main .chip").first.wait_for()
    yield page
    page.close()
    assert errors == []


def canvas(page, root="#main") -> np.ndarray:
    """The heatmap's own pixels (height, width, 4), before the overlay's opacity."""
    flat, width, height = page.eval_on_selector(
        f"{root} .stage canvas",
        "c => [[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data], c.width, c.height]",
    )
    return np.array(flat, dtype=np.uint8).reshape(height, width, 4)


def brightest(page, root="#main") -> tuple[float, float]:
    """Where the heatmap is lightest, as fractions (x, y) of the canvas."""
    light = canvas(page, root)[..., :3].sum(axis=2)
    y, x = np.argwhere(light == light.max()).mean(axis=0) / light.shape
    return x, y


def chip(page, index, root="#main"):
    return page.locator(f"{root} .chip").nth(index)


def figures(page) -> dict[str, str]:
    pairs = page.locator("#main .facts > div")
    return {
        pairs.nth(i).locator("dt").inner_text(): pairs.nth(i).locator("dd").inner_text() for i in range(pairs.count())
    }


def lit(page) -> list[float]:
    return page.eval_on_selector_all("#main .chip", "chips => chips.map(c => Number(c.dataset.lit))")


def click_patch(page, row, column):
    size = page.locator("#main .stage").bounding_box()
    page.locator("#main .stage").click(
        position={"x": size["width"] * (column + 0.5) / 4, "y": size["height"] * (row + 0.5) / 4}
    )


def test_empty_viewer_says_what_to_do(page):
    page.get_by_role("button", name="Clear").click()
    sync_api.expect(page.locator("#main")).to_contain_text("Run a classification to see where it looked.")
    sync_api.expect(page.locator("#main .viewer")).to_be_hidden()


def test_words_and_layers_move_the_heatmap_without_a_request(page):
    page.wait_for_load_state("networkidle")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    assert brightest(page) == pytest.approx((0.06, 0.06), abs=0.1)
    chip(page, 1).hover()
    assert brightest(page) == pytest.approx((0.625, 0.625), abs=0.02)
    chip(page, 2).click()
    assert brightest(page) == pytest.approx((0.06, 0.94), abs=0.1)
    page.keyboard.press("[")
    page.get_by_role("button", name="Same scale").click()
    page.get_by_role("button", name="Patches").click()
    click_patch(page, 1, 1)
    page.wait_for_timeout(300)
    assert requests == []


def test_hover_is_passing_and_a_click_stays(page):
    chip(page, 1).hover()
    page.mouse.move(5, 5)
    assert brightest(page)[0] < 0.2, "back at the first word"
    chip(page, 1).click()
    page.mouse.move(5, 5)
    assert brightest(page) == pytest.approx((0.625, 0.625), abs=0.02)


def test_arrow_keys_walk_over_the_words(page):
    chip(page, 0).focus()
    page.keyboard.press("ArrowRight")
    sync_api.expect(chip(page, 1)).to_be_focused()
    assert page.get_by_role("option", selected=True).count() == 1
    sync_api.expect(chip(page, 1)).to_have_attribute("aria-selected", "true")
    assert brightest(page) == pytest.approx((0.625, 0.625), abs=0.02)
    assert chip(page, 1).evaluate("c => getComputedStyle(c).outlineStyle") == "solid", "the focus can be seen"
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    sync_api.expect(chip(page, 2)).to_be_focused()
    page.keyboard.press("Home")
    sync_api.expect(chip(page, 0)).to_be_focused()


def test_smooth_is_interpolated_and_patches_are_raw(page):
    assert len(np.unique(canvas(page).reshape(-1, 4), axis=0)) > 50
    page.get_by_role("button", name="Patches").click()
    raw = canvas(page)
    assert raw.shape == (4, 4, 4)
    assert len(np.unique(raw.reshape(-1, 4), axis=0)) == 2
    page.get_by_role("button", name="Smooth").click()
    assert canvas(page).shape == (256, 256, 4)


def test_smooth_heatmap_is_the_bilinear_map_that_python_scores(page):
    """Lightness of the canvas orders pixels as Grounding.on_image does (ties from 256 colours aside)."""
    light = canvas(page)[..., :3].astype(float) @ [0.2126, 0.7152, 0.0722]
    expected = example().on_image(2, 0)
    sampled = light.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    steep = expected > 0.02
    assert steep.sum() > 100
    order = np.argsort(expected[steep])
    assert np.corrcoef(np.argsort(order), np.argsort(np.argsort(sampled[steep])))[0, 1] > 0.99


def test_same_scale_dims_words_that_look_less(page):
    page.get_by_role("button", name="Patches").click()
    own = canvas(page)[0, 0, :3].astype(int).sum()
    assert page.locator("#main .legend").inner_text().split() == ["0", "0.300"]
    page.get_by_role("button", name="Same scale").click()
    assert canvas(page)[0, 0, :3].astype(int).sum() < own
    assert page.locator("#main .legend").inner_text().split() == ["0", "0.900"]


def test_colour_scale_rises_in_lightness_throughout(page):
    rgb = np.array(
        page.eval_on_selector("#main .legend canvas", "c => [...c.getContext('2d').getImageData(0, 0, 256, 1).data]")
    )
    linear = ((rgb.reshape(256, 4)[:, :3] / 255 + 0.055) / 1.055) ** 2.4
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert lightness[0] < 15 and lightness[-1] > 90
    # A canvas keeps translucent colours premultiplied in 8 bits; at the lowest opacity that moves lightness by 1.
    assert (steps > -1.2).all(), steps.min()
    assert (lightness[8:] - lightness[:-8] > 1).all(), "no flat stretch that would hide a difference"


def test_layer_slider_and_brackets_change_layer_share_and_map(page):
    sync_api.expect(page.locator("#main .facts")).to_contain_text("of the relevance fell on the image")
    assert figures(page)["of the relevance fell on the image"] == "62 %"
    slider = page.get_by_role("slider", name="Layer")
    sync_api.expect(slider).to_have_attribute("aria-valuetext", "3")
    slider.fill("0")
    assert figures(page)["of the relevance fell on the image"] == "42 %"
    assert page.locator("#main .legend").inner_text().split()[-1] == "0.100"
    chip(page, 0).focus()
    page.keyboard.press("]")
    sync_api.expect(slider).to_have_value("1")
    chip(page, 1).click()
    assert figures(page)["of the relevance fell on the image"] == "–", "not a number is not shown as one"


def test_a_patch_lights_the_words_that_look_at_it_and_escape_leaves(page):
    assert lit(page) == [0, 0, 0]
    click_patch(page, 2, 2)
    page.mouse.move(5, 5)
    # Shares of the patch in each word's map of the last layer: 0.6 / (0.6 + 15 * 0.01) for the one that looks.
    assert page.locator("#main .at-patch p").inner_text() == "Patch in row 3, column 3: share of each word's relevance"
    rows = page.locator("#main .at-patch li")
    first = rows.nth(0).locator("span").all_inner_texts()
    assert first[0] == "blue square" and float(first[1].rstrip(" %")) == pytest.approx(80, abs=1)
    light = lit(page)
    assert light[1] == 1 and 0 < light[0] < 0.1 and 0 < light[2] < 0.1
    page.get_by_role("button", name="Same scale").click()
    assert rows.nth(0).locator("span").all_inner_texts() == ["blue square", "0.600"]
    page.keyboard.press("Escape")
    assert lit(page) == [0, 0, 0]
    assert rows.count() == 0


def test_patches_can_be_reached_by_keyboard(page):
    page.locator("#main .stage").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#main .at-patch p").inner_text().startswith("Patch in row 1, column 1"), (
        "where the word looks most"
    )
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.locator("#main .at-patch p").inner_text().startswith("Patch in row 2, column 2")


def test_ground_truth_is_outlined_and_scored_for_words_that_have_it(page):
    outline = page.locator("#main [data-part=truth]")
    sync_api.expect(outline).to_be_visible()
    box, stage = outline.bounding_box(), page.locator("#main .stage").bounding_box()
    assert box["width"] / stage["width"] == pytest.approx(25 / 64, abs=0.03)
    truth = figures(page)
    assert truth["pointing game: strongest patch on the object?"] == "hit"
    assert 0.3 < float(truth["IoU with the object's mask"]) <= 1
    page.get_by_role("button", name="Ground truth").click()
    sync_api.expect(outline).to_be_hidden()
    page.get_by_role("button", name="Ground truth").click()
    chip(page, 1).click()
    sync_api.expect(outline).to_be_hidden()
    assert figures(page)["no mask for this word"] == "–"


def test_export_is_the_picture_with_heatmap_and_caption(page):
    chip(page, 1).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "blue-square.png"
    image = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert image.format == "PNG" and image.size == (1024, 1024 + 64)
    pixels = np.asarray(image.convert("RGB")).astype(int)
    on_peak, beside = pixels[620:660, 620:660].mean(axis=(0, 1)), pixels[960:980, 700:720].mean(axis=(0, 1))
    assert on_peak[0] > on_peak[2] and on_peak[0] > beside[0] + 80, "warm on the peak although the square is blue"
    caption = pixels[1024:]
    assert caption.min() < 60 and caption.max() == 255, "dark text on white"


def test_hostile_labels_are_text(page):
    assert chip(page, 2).locator("span").inner_text() == HOSTILE
    chip(page, 2).click()
    click_patch(page, 3, 0)
    assert page.locator("#main .at-patch li").first.locator("span").first.inner_text() == HOSTILE
    assert page.locator("#main img").count() == 1, "only the picture itself"
    assert page.title() != "pwned"


def test_overlay_opacity_and_stage_keep_their_place(page):
    before = page.locator("#main .stage").bounding_box()
    page.get_by_role("slider", name="Overlay").fill("20")
    assert page.locator("#main .stage canvas").evaluate("c => getComputedStyle(c).opacity") == "0.2"
    for index in range(3):
        chip(page, index).click()
        assert page.locator("#main .stage").bounding_box() == before
        assert before["width"] == pytest.approx(before["height"], abs=1)


def test_a_new_value_keeps_word_and_layer_while_they_exist(page):
    chip(page, 1).click()
    page.get_by_role("slider", name="Layer").fill("1")
    page.get_by_role("button", name="Shorter").click()
    sync_api.expect(page.locator("#main .chip")).to_have_count(2)
    sync_api.expect(chip(page, 1)).to_have_attribute("aria-selected", "true")
    sync_api.expect(page.get_by_role("slider", name="Layer")).to_have_value("1")
    page.get_by_role("button", name="Run", exact=True).click()
    sync_api.expect(page.locator("#main .chip")).to_have_count(3)
    chip(page, 2).click()
    page.get_by_role("button", name="Shorter").click()
    sync_api.expect(chip(page, 0)).to_have_attribute("aria-selected", "true")


def test_area_outside_the_box_is_hatched_and_not_a_patch(page):
    assert page.locator("#main .notes").inner_text().count("Hatched") == 0
    page.get_by_role("button", name="Cropped").click()
    sync_api.expect(page.locator("#main .notes")).to_contain_text("Hatched: cropped away")
    stage, heat = (page.locator(f"#main .stage{part}").bounding_box() for part in ("", " canvas"))
    assert (heat["x"] - stage["x"]) / stage["width"] == pytest.approx(0.25, abs=0.01)
    assert heat["width"] / stage["width"] == pytest.approx(0.5, abs=0.01)
    click_patch(page, 1, 0)
    assert lit(page) == [0, 0, 0]
    click_patch(page, 0, 1.25)  # 0.4375 of the picture's width is 0.375 of the box: the second of four patches
    assert page.locator("#main .at-patch p").inner_text().startswith("Patch in row 1, column 2")


def test_viewers_in_a_later_tab_or_shown_later_work_and_do_not_meet(page):
    page.get_by_role("tab", name="Second").click()
    page.locator("#tabbed .chip").first.wait_for()
    page.get_by_role("button", name="Reveal").click()
    page.locator("#hidden .chip").first.wait_for()
    chip(page, 1, "#tabbed").click()
    chip(page, 2, "#hidden").click()
    assert brightest(page)[0] < 0.2 and brightest(page)[1] < 0.2
    assert brightest(page, "#tabbed") == pytest.approx((0.625, 0.625), abs=0.02)
    assert brightest(page, "#hidden") == pytest.approx((0.06, 0.94), abs=0.1)
    for root in ("#tabbed", "#hidden"):
        assert page.locator(f"{root} .stage").bounding_box()["width"] > 200
    page.get_by_role("tab", name="First").click()
    page.get_by_role("tab", name="Second").click()
    sync_api.expect(chip(page, 1, "#tabbed")).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_phone_puts_words_under_the_picture_without_scrolling_sideways(chromium, address, theme):
    page = chromium.new_page(viewport={"width": 390, "height": 800}, has_touch=True)
    page.goto(f"{address}?__theme={theme}")
    page.get_by_role("button", name="Run").click()
    chip(page, 0).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    stage, words = page.locator("#main .stage").bounding_box(), page.locator("#main .chips").bounding_box()
    assert words["y"] >= stage["y"] + stage["height"]
    assert stage["x"] >= 0 and stage["x"] + stage["width"] <= 390
    chip(page, 1).tap()
    assert brightest(page) == pytest.approx((0.625, 0.625), abs=0.02)
    page.locator("#main .stage").tap(position={"x": stage["width"] * 0.6, "y": stage["height"] * 0.6})
    assert lit(page)[1] == 1
    styles = page.locator("#main .save").evaluate(
        "b => [getComputedStyle(b).color, getComputedStyle(b).backgroundColor]"
    )
    numbers = [[float(n) for n in re.findall(r"[\d.]+", style)[:3]] for style in styles]
    ink, paper = (sum(channels) / 3 for channels in numbers)
    assert (ink > paper + 100) if theme == "dark" else (ink < paper - 100)
    page.close()
