"""What the model sees, in a real Chromium: the right part hatched, every view in its place, sentences that add up."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mmexplorer.components.model_views import model_views
from mmexplorer.figures.model_views import views_payload
from mmexplorer.models.llava_layout import single_view, tiled_view

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
PINPOINTS = [[336, 672], [672, 336], [672, 672]]


def cropped():
    """900 x 400 pixels, of which the middle square is seen."""
    image = Image.linear_gradient("L").resize((900, 400)).convert("RGB")
    view = image.crop((250, 0, 650, 400)).resize((336, 336))
    return image, replace(single_view(image.size, (756, 336), 336, 14), seen=(view,))


def tiled():
    """1280 x 720 pixels in 2 x 2 tiles of one colour each."""
    image = Image.new("RGB", (1280, 720), "gray")
    views = tuple(Image.new("RGB", (336, 336), colour) for colour in ("gray", "red", "lime", "blue", "yellow"))
    made = tiled_view(image.size, PINPOINTS, 336, 14)
    return image, replace(made, positions=made.positions + 600, seen=views)


def toy():
    image = Image.new("RGB", (64, 64), "navy")
    return image, replace(single_view(image.size, (64, 64), 64, 8), seen=(image,))


VALUES = {
    "toy": views_payload(*zip(toy()), model="<b>toy</b> ${1+1} {{value}}"),
    "several": views_payload(*zip(cropped(), tiled(), toy(), strict=True), model="a model"),
    "nothing": None,
    "no picture": views_payload([], []),
}


@pytest.fixture(scope="module")
def address(component_page):
    with component_page(VALUES, lambda: model_views(elem_id="main")) as url:
        yield url


@pytest.fixture
def opened(visit, address):
    def open_page(value, width=1280, theme="light"):
        page = visit(f"{address}?__theme={theme}", width)
        page.locator("#main .empty").wait_for()
        page.get_by_role("button", name=value, exact=True).click()
        page.locator("#main li").first.wait_for()
        return page

    return open_page


def captions(page, number):
    texts = page.locator("#main .pictures > li").nth(number).locator("figcaption").all_inner_texts()
    return [text.replace("\u00a0", " ") for text in texts]


def test_sentences_count_pixels_patches_and_tokens(opened):
    page = opened("several")
    assert page.locator("#main .summary").inner_text() == "a model reads 3 pictures as 2,588 image tokens."
    assert page.locator("#main h4").all_inner_texts()[1].split("\n") == [
        "Picture 2: 1,948 image tokens",
        "positions 600 to 2,547 of the prompt, counted from 0",
    ]
    assert captions(page, 0) == [
        "The picture\n900 × 400 pixels. Hatched: 55.6 % cut off before the model sees it.",
        "As fed\n336 × 336 pixels, 24 × 24 patches, 576 tokens.",
    ]
    # 1280 x 720 in 2 x 2 tiles of 24 x 24 patches: the picture fills 378 of 672 pixels down, so 28 of 48 rows.
    assert captions(page, 1) == [
        "The picture\n1,280 × 720 pixels. Nothing is cut off.",
        "Base view\nThe whole picture, squashed. 336 × 336 pixels, 24 × 24 patches, 576 tokens.",
        "4 tiles\n2 × 2 tiles of 336 × 336 pixels: 48 × 48 patches, kept as 28 × 48 = 1,344 tokens without padding, "
        "and 28 newline tokens, one after each row of tokens.",
    ]
    assert captions(page, 2)[1] == "As fed\n64 × 64 pixels, 8 × 8 patches, 64 tokens."


def test_only_what_is_cut_off_is_hatched(opened):
    page = opened("several")
    hatches = page.locator("#main .hatch")
    assert [hatches.nth(i).is_visible() for i in range(3)] == [True, False, False]
    edges = hatches.first.evaluate("h => h.style.clipPath.match(/[0-9.]+% [0-9.]+%/g).map((p) => parseFloat(p))")
    assert min(e for e in edges if e) == pytest.approx(100 * 250 / 900, abs=0.01)
    assert max(e for e in edges if e < 100) == pytest.approx(100 * 650 / 900, abs=0.01)


def test_tiles_lie_as_in_the_picture(opened):
    page = opened("several")
    tiles = page.get_by_role("img", name="Tile in row")
    boxes = [tiles.nth(i).bounding_box() for i in range(4)]
    assert boxes[0]["y"] == boxes[1]["y"] < boxes[2]["y"] == boxes[3]["y"]
    assert boxes[0]["x"] == boxes[2]["x"] < boxes[1]["x"] == boxes[3]["x"]
    assert all(box["width"] == pytest.approx(box["height"], abs=0.5) for box in boxes)


def test_the_patch_grid_can_be_switched_on(opened):
    page = opened("toy")
    grid = page.locator("#main .patches")
    expect(grid).to_be_hidden()
    page.get_by_role("button", name="Patch grid").focus()
    page.keyboard.press("Enter")
    expect(grid).to_be_visible()
    cell, frame = grid.evaluate("g => [getComputedStyle(g).backgroundSize, g.offsetWidth]")
    assert cell.split(",")[0].split()[0] == "12.5%" and frame > 60
    expect(page.get_by_role("button", name="Patch grid")).to_have_attribute("aria-pressed", "true")


def test_names_are_text_and_without_pictures_it_says_what_to_do(opened):
    page = opened("toy")
    assert "<b>toy</b> ${1+1} {{value}} reads 1 picture as 64 image tokens." in page.locator("#main").inner_text()
    for name in ("nothing", "no picture"):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#main .empty")).to_contain_text("Ask about a picture")
        expect(page.locator("#main .filled")).to_be_hidden()
        page.get_by_role("button", name="toy", exact=True).click()
        expect(page.locator("#main .filled")).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_it_fits_its_screen_and_is_readable(opened, width, theme):
    FOLDER.mkdir(exist_ok=True)
    page = opened("several", width, theme)
    page.get_by_role("button", name="Patch grid").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(FAINT) == []
    page.locator("#main").screenshot(path=FOLDER / f"model-views-{width}-{theme}.png")
