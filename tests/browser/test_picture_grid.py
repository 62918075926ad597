"""The grid in a real Chromium: every picture at its place, found by mouse and keyboard, large on demand, no jumps."""

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.picture_grid import picture_grid
from mmexplorer.explore.truth import draw_scene
from mmexplorer.figures.picture_grid import Cell, Grid, grid_payload

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">${document.title='pwned'}{{value}}"
GUIDANCE, STEPS = ("1", "2", "4", "8"), ("5", "10", "20")


def scene(number: int) -> Image.Image:
    return draw_scene(number)[0].resize((64, 64), Image.Resampling.BOX)


def cell(row: int, column: int) -> Cell:
    settings = {"guidance": GUIDANCE[column], "steps": STEPS[row], "seed": 7, "scheduler": "ddim"}
    return Cell(scene(10 * row + column), settings, f"CLIP score 0.{row}{column}")


def grid(there, **fields) -> str:
    """The grid of guidance and steps with the cells that are there."""
    titles = {"row_title": "steps", "column_title": "guidance scale", "size": (64, 64)} | fields
    return grid_payload(Grid(STEPS, GUIDANCE, {place: cell(*place) for place in there}, **titles))


ALL = tuple(np.ndindex(3, 4))
GAPS = ((0, 0), (0, 3), (1, 1), (2, 0))


def strip() -> str:
    labels = [f"{100 * i // 9} %" for i in range(10)]
    cells = {(0, i): Cell(scene(i), {"mix": label}) for i, label in enumerate(labels)}
    return grid_payload(Grid([""], labels, cells, (64, 64), column_title="from seed 1 to seed 2"))


def seeds() -> str:
    """More columns than a phone is wide."""
    cells = {place: Cell(scene(place[1])) for place in np.ndindex(2, 9)}
    return grid_payload(Grid(["ddim", "euler"], [str(seed) for seed in range(9)], cells, (64, 64), "scheduler", "seed"))


def prompts() -> str:
    """Long prompts as labels, and photographs of another shape than square."""
    rows = ["a large red circle to the left of a small blue square on a light grey background", "x" * 200]
    photo = Image.linear_gradient("L").resize((600, 300)).convert("RGB")
    cells = {place: Cell(photo, {"prompt": rows[place[0]]}) for place in np.ndindex(2, 2)}
    return grid_payload(Grid(rows, rows, cells, photo.size, "prompt", "negative prompt", note="Seed 7 everywhere."))


def hostile() -> str:
    cells = {(0, 0): Cell(scene(1), {HOSTILE: HOSTILE}, HOSTILE)}
    return grid_payload(Grid([HOSTILE], [HOSTILE], cells, (64, 64), HOSTILE, HOSTILE, HOSTILE))


VALUES = {
    "nothing yet": grid([], lined=True),
    "first": grid(ALL[:1]),
    "five": grid(ALL[:5]),
    "all": grid(ALL),
    "gaps": grid(GAPS),
    "strip": strip(),
    "seeds": seeds(),
    "prompts": prompts(),
    "hostile": hostile(),
    "none": None,
}


def build():
    main = picture_grid(elem_id="main")
    told = gr.Textbox(elem_id="told")

    def tell(said: str, event: gr.EventData) -> str:
        return f"{said} {event.row},{event.column}".strip()

    main.open(tell, told, told, api_visibility="private", show_progress="hidden")
    return main


@pytest.fixture(scope="module")
def address(component_page):
    with component_page(VALUES, build) as url:
        yield url


@pytest.fixture
def opened(visit, address):
    def open_page(value="all", width=1280, theme="light"):
        page = visit(f"{address}?__theme={theme}", width)
        page.locator("#main .empty").wait_for()
        show(page, value)
        return page

    return open_page


def show(page, value):
    page.get_by_role("button", name=value, exact=True).click()
    there = (VALUES[value] or "").count('"settings"')
    page.wait_for_function(
        "(count) => document.querySelectorAll('#main .cell:enabled').length === count", arg=there, timeout=5000
    )


def at(page, row, column):
    return page.locator(f'#main .cell[data-row="{row}"][data-column="{column}"]')


def focused(page) -> list[int]:
    return page.evaluate("[document.activeElement.dataset.row, document.activeElement.dataset.column].map(Number)")


def told(page):
    return page.locator("#told textarea")


def test_every_picture_is_at_its_place_with_its_labels(opened):
    page = opened()
    assert page.locator("#main thead th").all_inner_texts() == list(GUIDANCE)
    assert page.locator("#main tbody th").all_inner_texts() == list(STEPS)
    assert page.locator("#main .axes").inner_text().split("\n") == ["→ columns: guidance scale", "↓ rows: steps"]
    for row, column in ((0, 0), (1, 2), (2, 3)):
        expect(at(page, row, column).locator("img")).to_have_attribute("src", cell(row, column).uri)
        assert at(page, row, column).inner_text() == f"CLIP score 0.{row}{column}"
        name = f"guidance scale {GUIDANCE[column]}, steps {STEPS[row]}: CLIP score 0.{row}{column}"
        expect(at(page, row, column)).to_have_attribute("aria-label", name)
    assert page.locator("#main img").first.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"


def places(page) -> list:
    return page.locator("#main .face").evaluate_all("all => all.map((f) => [f.offsetLeft, f.offsetTop, f.offsetWidth])")


@pytest.mark.parametrize("width", [1280, 390])
def test_cells_fill_as_they_arrive_and_nothing_moves(opened, width):
    page = opened("nothing yet", width)
    expect(page.locator("#main .cell")).to_have_count(12)
    before = places(page)
    show(page, "first")
    assert places(page) == before
    page.evaluate("window.cells = [...document.querySelectorAll('#main .cell')]")
    assert page.locator("#main .count").inner_text() == "1 of 12 pictures"
    at(page, 0, 0).focus()
    for name, said in (("five", "5 of 12 pictures"), ("all", "")):
        page.get_by_role("button", name=name, exact=True).evaluate("button => button.click()")  # the focus stays
        expect(page.locator("#main .count")).to_have_text(said)
        assert places(page) == before
    assert focused(page) == [0, 0]
    assert page.evaluate("window.cells.every((cell) => cell.isConnected)")


def test_cells_that_are_not_there_cannot_be_pressed(opened):
    page = opened("gaps")
    expect(at(page, 0, 1)).to_be_disabled()
    expect(at(page, 0, 1)).to_have_attribute("aria-label", "guidance scale 2, steps 5: not there yet")
    at(page, 0, 1).click(force=True)
    expect(page.locator("#main dialog")).to_be_hidden()


def test_settings_show_on_hover_and_focus(opened):
    page = opened()
    about = page.locator("#main .about")
    page.locator("#told").hover()
    assert about.inner_text().startswith("Point at a picture")
    at(page, 1, 2).hover()
    assert about.inner_text() == "guidance scale 4, steps 10 guidance 4 · steps 10 · seed 7 · scheduler ddim"
    at(page, 2, 0).focus()
    assert about.inner_text().startswith("guidance scale 1, steps 20 ")
    at(page, 0, 0).hover()
    page.locator("#told").hover()
    assert about.inner_text().startswith("guidance scale 1, steps 20 "), "the focused one again"


def test_a_press_opens_it_large_and_tells_where_it_is(opened):
    page = opened()
    page.wait_for_load_state("networkidle")
    at(page, 1, 2).click()
    dialog = page.locator("#main dialog")
    expect(dialog).to_be_visible()
    assert dialog.locator(".title").inner_text() == "guidance scale 4, steps 10"
    expect(dialog.locator("img")).to_have_attribute("src", cell(1, 2).uri)
    assert dialog.locator("img").bounding_box()["width"] > 300
    assert " ".join(dialog.locator("dl").inner_text().split()) == "guidance 4 steps 10 seed 7 scheduler ddim"
    expect(told(page)).to_have_value("1,2")
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    assert focused(page) == [1, 2]


def test_keyboard_alone_is_enough(opened):
    page = opened()
    at(page, 0, 0).focus()
    moves = {"ArrowRight": [0, 1], "ArrowDown": [1, 1], "End": [1, 3], "ArrowUp": [0, 3], "Home": [0, 0]}
    for key, place in moves.items():
        page.keyboard.press(key)
        assert focused(page) == place
    page.keyboard.press("ArrowLeft")
    assert focused(page) == [0, 0]
    page.keyboard.press("Enter")
    expect(told(page)).to_have_value("0,0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.locator("#main .title").inner_text() == "guidance scale 2, steps 10"
    expect(told(page)).to_have_value("0,0 1,1")
    page.keyboard.press("Escape")
    expect(page.locator("#main dialog")).to_be_hidden()
    expect(at(page, 1, 1)).to_be_focused()
    assert page.locator("#main .cell[tabindex='0']").count() == 1


def test_arrow_keys_pass_over_what_is_not_there(opened):
    page = opened("gaps")
    at(page, 0, 0).focus()
    for key, place in (("ArrowRight", [0, 3]), ("ArrowRight", [0, 3]), ("Home", [0, 0]), ("ArrowDown", [2, 0])):
        page.keyboard.press(key)
        assert focused(page) == place


def test_a_strip_has_one_row_without_a_label(opened):
    page = opened("strip")
    assert page.locator("#main tbody tr").count() == 1
    expect(page.locator("#main tbody th")).to_be_hidden()
    assert page.locator("#main thead th").all_inner_texts()[3] == "33 %"
    assert page.locator("#main .axes").inner_text() == "→ columns: from seed 1 to seed 2"
    # Another grid in its place has other rows.
    show(page, "all")
    assert page.locator("#main .cell").count() == 12


def test_labels_stay_when_a_phone_scrolls_sideways(opened):
    page = opened("seeds", 390)
    scroll = page.locator("#main .scroll")
    room, content = scroll.evaluate("s => [s.clientWidth, s.scrollWidth]")
    assert content > room
    before = page.locator("#main tbody th").first.bounding_box()["x"]
    scroll.evaluate("s => s.scrollLeft = 1000")
    assert page.locator("#main tbody th").first.bounding_box()["x"] == pytest.approx(before, abs=5)
    right = at(page, 0, 8).bounding_box()
    assert right["x"] + right["width"] <= 390


def test_a_desk_shows_nine_pictures_of_a_strip_and_all_rows_of_a_grid_at_once(opened):
    page = opened("seeds")
    room = "s => [s.clientWidth - s.scrollWidth, s.clientHeight - s.scrollHeight]"
    for name in ("seeds", "all"):
        show(page, name)
        assert page.locator("#main .scroll").evaluate(room) == [0, 0]
    lefts = [at(page, 0, column).bounding_box()["x"] for column in range(4)]
    assert np.ptp(np.diff(lefts)) < 1, "as far from each other, also the first"


def test_texts_stay_texts_and_without_a_grid_it_says_what_to_do(opened):
    page = opened("hostile")
    at(page, 0, 0).click()
    assert page.locator("#main dialog dd").inner_text() == HOSTILE
    assert page.locator("#main th").all_text_contents()[0] == HOSTILE
    assert page.title() != "pwned" and page.locator("#main img").count() == 2
    page.keyboard.press("Escape")
    page.get_by_role("button", name="none", exact=True).click()
    expect(page.locator("#main .empty")).to_contain_text("Choose two axes")
    expect(page.locator("#main .filled")).to_be_hidden()
    show(page, "all")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_state_fits_its_screen_and_is_readable(opened, width, theme):
    FOLDER.mkdir(exist_ok=True)
    page = opened("five", width, theme)
    for name in ("five", "all", "strip", "prompts"):
        show(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT) == []
        page.locator("#main").screenshot(path=FOLDER / f"picture-grid-{name}-{width}-{theme}.png")
    at(page, 0, 1).click()
    assert page.evaluate(FAINT) == []
    page.screenshot(path=FOLDER / f"picture-grid-large-{width}-{theme}.png")
