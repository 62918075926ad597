"""The embedding map in a real Chromium: what it shows, what it tells the server, and that the rest stays with it."""

import io
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.embedding_map import embedding_map
from mmexplorer.components.plotly_source import plotly_url
from mmexplorer.figures.embedding_map import map_highlight, map_payload
from mmexplorer.results import Projection

pytestmark = pytest.mark.browser

FAINT_TEXTS = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> ${document.title='pwned'} {{value}} </script>"
CORNERS = np.array([(0, 0), (40, 0), (0, 30), (40, 30)], np.float32)
COLOURS = ("red", "blue", "teal", "gold")
EACH = 20  # pictures around each corner; every second one has a caption, ten units to the right of its picture
NAMES = [f"picture {i}.png" for i in range(4 * EACH)]
CAPTIONS = [f"a {COLOURS[i % 4]} thing" if i % 2 else None for i in range(4 * EACH)]
ROWS = range(1, 4 * EACH, 2)


def layout(dimensions=2, turn=1.0, seed=0) -> Projection:
    near = np.random.default_rng(seed).uniform(-3, 3, (4 * EACH, 2)).astype(np.float32)
    pictures = CORNERS[np.arange(4 * EACH) % 4] * turn + near
    coordinates = np.concatenate([pictures, pictures[ROWS] + np.float32([10, 0])])
    if dimensions == 3:
        coordinates = np.column_stack([coordinates, np.arange(len(coordinates)) % 7])
    return Projection(coordinates.astype(np.float32), "umap", 0, {"neighbours": 15})


def payload(projection=None, urls=(), **changes) -> str:
    colours = [COLOURS[i % 4] for i in range(4 * EACH)]
    arguments = {
        "names": NAMES,
        "captions": CAPTIONS,
        "text_rows": ROWS,
        "columns": {"colour": colours, "size": [None if i == 3 else i for i in range(4 * EACH)], "code": NAMES},
        "category_colours": {"red": "#e00000", "blue": "#0000e0", "teal": "teal", "gold": "gold"},
        "clusters": [*(i % 4 for i in range(4 * EACH)), *(i % 4 for i in ROWS)],
        "cluster_names": [f"{colour} corner" for colour in COLOURS],
        "sheet_urls": urls,
        "cell": 32,
        "title": "Corners",
    }
    return map_payload(projection or layout(), **arguments | changes)


def sheet_address(folder: Path) -> str:
    """Thumbnails of 32 pixels, 16 x 16 of them: the red one's red channel is its number."""
    sheet = Image.new("RGB", (512, 512), "white")
    for row in range(4 * EACH):
        sheet.paste((row, 200, 0), (row % 16 * 32, row // 16 * 32, row % 16 * 32 + 32, row // 16 * 32 + 32))
    file = folder / "thumbnails-000.webp"
    sheet.save(file, lossless=True)
    gr.set_static_paths(file)
    return f"gradio_api/file={file}"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    urls = [sheet_address(tmp_path_factory.mktemp("sheets"))]
    flat = payload(urls=urls)
    hostile = map_payload(
        layout(), [HOSTILE, *NAMES[1:]], [HOSTILE] * 80, ROWS, {HOSTILE: [HOSTILE] * 80}, title=HOSTILE
    )
    values = {
        "flat": flat,
        "solid": payload(layout(3), urls),
        "turned": payload(layout(turn=-1.0), urls),
        "regrouped": payload(urls=urls, clusters=[0] * 120, cluster_names=["everything"]),
        "few": map_payload(Projection(CORNERS, "pca", 3), list("abcd")),
        "one": map_payload(Projection(CORNERS[:1], "pca", 3), ["alone"]),
        "hostile": hostile,
        "broken": "bm90IGd6aXA=",
        "nothing": None,
    }
    with gr.Blocks(analytics_enabled=False) as demo:
        shown = embedding_map(plotly_url=plotly_url(), elem_id="main")
        said = gr.Textbox(label="Said")
        for name, value in values.items():
            gr.Button(name).click(lambda value=value: value, None, shown, api_visibility="private")
        light = gr.Button("light")
        light.click(
            lambda: gr.HTML(highlight=map_highlight(0, [4, 8, 100], [20, 15], "a question")),
            None, shown, api_visibility="private",
        )  # fmt: skip

        def chosen(event: gr.SelectData) -> str:
            return f"point {event.index}: {event.value}"

        def circled(event: gr.EventData) -> str:
            return f"points {event.indices}"

        shown.select(chosen, None, said, api_visibility="private")
        shown.lasso(circled, None, said, api_visibility="private")
        with gr.Tabs():
            gr.Tab("First")
            with gr.Tab("Second"):
                embedding_map(flat, plotly_url=plotly_url(), elem_id="tabbed")
        embedding_map(flat, plotly_url="nowhere.js", elem_id="lost", visible=False)
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield url
    demo.close()


class Map:
    """The page's main map, as a visitor handles it."""

    def __init__(self, page):
        self.page = page
        self.root = page.locator("#main")
        self.stage, self.card = self.root.locator(".stage"), self.root.locator(".card")
        page.locator("#main .mm-map").wait_for()

    def draws(self) -> int:
        return int(self.root.locator(".mm-map").get_attribute("data-drawn") or 0)

    def shown(self) -> int:
        return int(self.root.locator(".mm-map").get_attribute("data-shown"))

    def redrawn(self, act) -> None:
        before = self.draws()
        act()
        self.page.wait_for_function(
            "before => Number(document.querySelector('#main .mm-map').dataset.drawn) > before", arg=before
        )
        self.page.wait_for_timeout(50)

    def show(self, value: str) -> "Map":
        self.redrawn(self.page.get_by_role("button", name=value, exact=True).click)
        self.page.wait_for_function("() => document.querySelector('#main .plot').style.visibility !== 'hidden'")
        self.stage.scroll_into_view_if_needed()
        return self

    def ranges(self) -> tuple[list[float], list[float]]:
        drawn = self.page.evaluate(
            "() => { const { xaxis, yaxis } = document.querySelector('#main .plot').layout; "
            "return [xaxis.range, yaxis.range]; }"
        )
        return drawn[0], drawn[1]

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the plane is on the page."""
        box, (across, up) = self.stage.bounding_box(), self.ranges()
        border = 1
        width, height = box["width"] - 2 * border, box["height"] - 2 * border
        return (
            box["x"] + border + width * (x - across[0]) / (across[1] - across[0]),
            box["y"] + border + height * (up[1] - y) / (up[1] - up[0]),
        )

    def point(self, index: int, projection=None) -> tuple[float, float]:
        return self.pixel(*(projection or layout()).coordinates[index].tolist())

    def colour_by(self, name: str) -> None:
        self.redrawn(lambda: self.root.get_by_label("Colour by").select_option(label=name))

    def mode(self, name: str) -> None:
        self.root.get_by_text(name, exact=True).click()

    def drag(self, *places) -> None:
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def said(self, text) -> None:
        self.page.wait_for_function(
            "text => document.querySelector('[data-testid=textbox]').value === text", arg=text, timeout=5000
        )

    def legend(self) -> dict[str, str]:
        groups = self.root.locator(".group")
        return dict(
            groups.evaluate_all(
                "all => all.map(g => [g.querySelector('.group-name').textContent, "
                "g.querySelector('.group-count').textContent])"
            )
        )

    def settle(self) -> None:
        """Until a moved view is drawn."""
        self.page.wait_for_function("() => document.querySelector('#main .plot').style.transform === ''")
        self.page.wait_for_timeout(300)
        self.page.wait_for_function("() => document.querySelector('#main .plot').style.transform === ''")

    def over(self, x: float, y: float, width: int = 1) -> int:
        """The highest opacity of the overlay, 0 to 255, in pixels from a place of the page to the right."""
        box = self.stage.bounding_box()
        return self.root.locator(".over").evaluate(
            "(canvas, place) => Math.max(...canvas.getContext('2d').getImageData(...place, 1).data"
            ".filter((_, i) => i % 4 === 3))",
            [round(x - box["x"] - 1), round(y - box["y"] - 1), width],
        )


@pytest.fixture
def opened(visit, address):
    """A function that opens the page and shows a value."""

    def open_map(value="flat", width=1280, height=1000, theme="light") -> Map:
        shown = Map(visit(f"{address}?__theme={theme}", width, height))
        return shown.show(value) if value else shown

    return open_map


def test_before_there_is_a_collection_it_says_so_and_fetches_nothing(visit, address):
    page = visit("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_text("Choose a collection to see its map.").wait_for()
    assert not [url for url in asked if "plotly" in url]


def test_a_card_shows_thumbnail_name_caption_and_value_and_asks_only_for_the_sheet(opened):
    shown = opened()
    asked = []
    shown.page.on("request", lambda request: asked.append(request.url))
    shown.page.mouse.move(*shown.point(21))
    shown.card.wait_for()
    assert shown.card.inner_text().split("\n\n") == ["picture 21.png", "a blue thing", "cluster: blue corner"]
    shown.page.locator("#main .card canvas[data-drawn='21']").wait_for()
    middle = "c => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
    pixel = shown.card.locator("canvas").evaluate(middle)
    assert pixel == [21, 200, 0, 255]
    shown.page.mouse.move(*shown.point(80 + ROWS.index(21)))
    shown.page.locator("#main .card[data-point='90']").wait_for()
    assert "caption of picture 21.png" in shown.card.inner_text()
    assert len(asked) == 1 and "thumbnails-000.webp" in asked[0]
    shown.page.mouse.move(5, 5)
    shown.card.wait_for(state="hidden")


def test_a_click_tells_the_server_which_point(opened):
    shown = opened()
    shown.page.mouse.click(*shown.point(8))
    shown.said("point 8: picture 8.png")
    shown.page.mouse.click(*shown.point(80 + ROWS.index(33)))
    shown.said("point 96: a blue thing")


def test_points_are_lit_without_drawing_the_others_again(opened):
    shown = opened()
    shown.redrawn(lambda: shown.mode("cluster names"))  # they would lie over the points
    draws = shown.draws()
    light = shown.page.get_by_role("button", name="light", exact=True)
    light.click()
    shown.root.get_by_text("3 lit").wait_for()
    shown.stage.scroll_into_view_if_needed()
    assert shown.over(*shown.point(4)) == 255 and shown.over(*shown.point(14)) == 0
    assert shown.root.locator(".plot").evaluate("plot => plot.style.opacity") == "0.4"
    shown.root.get_by_role("button", name="clear selection").click()
    shown.said("points []")
    assert shown.over(*shown.point(4)) == 0
    light.click()
    shown.root.get_by_text("3 lit").wait_for(timeout=5000)  # the same wish again
    assert shown.draws() == draws


@pytest.mark.parametrize("mode", ["lasso", "box"])
def test_what_is_circled_is_told_and_escape_clears(opened, mode):
    shown = opened()
    shown.mode(mode)
    corners = [shown.pixel(x, y) for x, y in ((-4, -5), (4, -5), (4, 5), (-4, 5))]
    shown.drag(*(corners if mode == "lasso" else corners[::2]))
    expected = [i for i in range(80) if i % 4 == 0]
    shown.said(f"points {expected}")
    assert shown.root.locator(".said").inner_text().endswith("20 lit")
    shown.stage.focus()
    shown.page.keyboard.press("Escape")
    shown.said("points []")


def test_only_what_is_shown_can_be_circled(opened):
    shown = opened()
    shown.redrawn(lambda: shown.root.get_by_role("button", name="red corner").click())
    shown.mode("box")
    shown.drag(shown.pixel(-4, -5), shown.pixel(4, 35))
    shown.said(f"points {[i for i in range(80) if i % 4 == 2]}")


def test_the_legend_counts_and_filters_by_mouse_and_keyboard(opened):
    shown = opened()
    assert shown.legend() == {"red corner": "20", "blue corner": "40", "teal corner": "20", "gold corner": "40"}
    assert shown.shown() == 120
    blue = shown.root.get_by_role("button", name="blue corner")
    blue.focus()
    shown.redrawn(lambda: shown.page.keyboard.press("Enter"))
    assert shown.shown() == 80 and blue.get_attribute("aria-pressed") == "false"
    assert blue.evaluate("button => button === document.activeElement"), "the focus stays"
    shown.redrawn(shown.root.get_by_role("button", name="none", exact=True).click)
    assert shown.shown() == 0
    shown.redrawn(shown.root.get_by_role("button", name="all", exact=True).click)
    assert shown.shown() == 120
    shown.redrawn(lambda: shown.mode("captions"))
    assert shown.legend() == {"blue corner": "20", "gold corner": "20", "red corner": "0", "teal corner": "0"}
    assert shown.shown() == 40


def test_columns_colour_the_map(opened):
    shown = opened()
    shown.colour_by("colour")
    swatch = shown.root.get_by_role("button", name="red").locator(".swatch")
    assert swatch.evaluate("s => getComputedStyle(s).backgroundColor") == "rgb(224, 0, 0)"
    assert shown.root.locator(".plot").evaluate("plot => plot.data[0].marker.color[0]") == "rgba(224,0,0,1)"
    shown.colour_by("size")
    assert shown.root.locator(".scale").inner_text().split() == ["0", "79"]
    assert shown.root.get_by_text("no value: 1").is_visible()
    ends = shown.root.locator(".plot").evaluate("plot => [plot.data[0].marker.color[0], plot.data[0].marker.color[79]]")
    assert ends == ["rgba(91,75,196,1)", "rgba(226,198,46,1)"]
    shown.colour_by("code")
    assert len(shown.legend()) == 12 and shown.legend()["other (69)"] == "98"


def test_wheel_and_keys_move_the_view_and_zero_brings_it_back(opened):
    shown = opened()
    whole = shown.ranges()
    x, y = shown.pixel(30, 20)
    shown.page.mouse.move(x, y)
    shown.page.mouse.wheel(0, -100)
    shown.settle()
    (left, right), _ = shown.ranges()
    assert right - left == pytest.approx((whole[0][1] - whole[0][0]) * np.exp(-0.3), rel=1e-3)
    assert shown.pixel(30, 20) == pytest.approx((x, y), abs=0.5), "what is under the pointer stays there"
    shown.stage.focus()
    shown.page.keyboard.press("ArrowRight")
    shown.settle()
    assert shown.pixel(30, 20) == pytest.approx((x - 60, y), abs=0.5)
    shown.page.keyboard.press("0")
    shown.settle()
    assert np.allclose(shown.ranges(), whole)


def test_dragging_carries_the_drawn_picture_along(opened):
    shown = opened()
    x, y = shown.pixel(20, 15)
    shown.drag((x, y), (x + 120, y - 40))
    shown.settle()
    assert shown.pixel(20, 15) == pytest.approx((x + 120, y - 40), abs=1)


def test_distances_are_equal_along_both_axes(opened):
    shown = opened()
    (left, right), (bottom, top) = shown.ranges()
    box = shown.stage.bounding_box()
    assert (right - left) / (box["width"] - 2) == pytest.approx((top - bottom) / (box["height"] - 2), rel=1e-3)


def test_the_view_survives_new_colours_and_groups_but_not_another_collection(opened):
    shown = opened()
    shown.stage.focus()
    shown.page.keyboard.press("+")
    shown.settle()
    near = shown.ranges()
    shown.colour_by("size")
    assert np.allclose(shown.ranges(), near)
    shown.show("regrouped")
    assert np.allclose(shown.ranges(), near)
    assert shown.root.get_by_label("Colour by").input_value() == "cluster"  # who asks for groups wants to see them
    shown.show("few")
    assert np.ptp(shown.ranges()[0]) > 40 and shown.root.locator(".about").inner_text() == "PCA, seed 3."
    shown.show("flat")
    assert shown.root.get_by_label("Colour by").input_value() == "cluster"


def test_another_layout_of_the_same_points_is_fitted_anew(opened):
    shown = opened()
    shown.show("turned")
    shown.page.wait_for_timeout(800)
    turned = layout(turn=-1.0).coordinates
    (left, right), (bottom, top) = shown.ranges()
    assert left < turned[:, 0].min() and turned[:, 0].max() < right
    assert bottom < turned[:, 1].min() and turned[:, 1].max() < top
    shown.page.mouse.move(*shown.point(8, layout(turn=-1.0)))
    shown.page.locator("#main .card[data-point='8']").wait_for()


def test_enter_chooses_the_point_nearest_to_the_middle(opened):
    shown = opened("few")
    shown.stage.focus()
    for key in ("ArrowRight", "ArrowUp"):
        shown.page.keyboard.press(key)
    shown.settle()
    shown.page.keyboard.press("Enter")
    shown.said("point 3: d")


def test_names_and_density_can_be_switched(opened):
    shown = opened()
    x, y = (float(value) for value in np.median(layout().coordinates[0:80:4], axis=0))
    left, top = shown.pixel(x, y)
    assert shown.over(left - 40, top, 80) == 255
    shown.redrawn(lambda: shown.mode("cluster names"))
    assert shown.over(left - 40, top, 80) == 0
    shown.redrawn(lambda: shown.mode("density"))
    assert shown.root.locator(".plot .contourlevel").count() > 4


def test_three_dimensions_are_hovered_clicked_and_turned(opened):
    shown = opened("solid")
    shown.page.wait_for_timeout(500)
    assert shown.root.get_by_text("lasso", exact=True).is_hidden()
    box = shown.stage.bounding_box()
    for down in range(150, 500, 14):
        for right in range(250, 750, 45):
            shown.page.mouse.move(box["x"] + right, box["y"] + down, steps=2)
            if shown.root.locator(".stage.on-point").count():
                break
        else:
            continue
        break
    shown.card.wait_for()
    point = int(shown.card.get_attribute("data-point"))
    shown.page.mouse.down()
    shown.page.mouse.up()
    shown.said(f"point {point}: {NAMES[point] if point < 80 else CAPTIONS[ROWS[point - 80]]}")
    eye = "() => document.querySelector('#main .plot').layout.scene.camera?.eye"
    shown.stage.focus()
    shown.page.keyboard.press("ArrowRight")
    turned = shown.page.evaluate(eye)
    assert np.hypot(turned["x"], turned["y"]) == pytest.approx(1.25 * np.sqrt(2)) and turned["x"] != turned["y"]
    shown.colour_by("size")
    assert shown.page.evaluate(eye) == pytest.approx(turned), "the view survives"
    draws = shown.draws()
    shown.page.get_by_role("button", name="light", exact=True).click()
    shown.root.get_by_text("3 lit").wait_for()
    assert shown.root.locator(".plot").evaluate("plot => plot.data[2].x.length") == 3
    assert shown.draws() == draws
    shown.show("flat")
    shown.show("solid")


def test_a_single_point_is_a_map(opened):
    shown = opened("one")
    box = shown.stage.bounding_box()
    shown.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shown.said("point 0: alone")


def test_texts_never_become_markup(opened):
    shown = opened("hostile")
    shown.colour_by(HOSTILE)
    shown.page.mouse.move(*shown.point(0))
    shown.card.wait_for()
    assert HOSTILE in shown.card.inner_text() and HOSTILE in shown.legend()
    assert shown.root.locator("img").count() == 0 and shown.page.title() != "pwned"


def test_what_cannot_be_unpacked_is_said_and_the_next_map_is_shown(opened):
    shown = opened(None)
    shown.page.get_by_role("button", name="broken").click()
    shown.root.get_by_text("The map could not be drawn.").wait_for()
    assert shown.stage.is_hidden()
    shown.show("flat")
    shown.page.get_by_role("button", name="nothing").click()
    shown.root.get_by_text("Choose a collection to see its map.").wait_for()


def test_a_map_in_a_hidden_tab_is_drawn_when_the_tab_opens(opened):
    shown = opened(None)
    shown.page.get_by_role("tab", name="Second").click()
    shown.page.wait_for_selector("#tabbed .mm-map[data-drawn] .plot canvas")
    assert shown.page.locator("#tabbed .mm-map").get_attribute("data-shown") == "120"


def test_the_picture_has_points_and_legend(opened):
    shown = opened()
    with shown.page.expect_download() as download:
        shown.root.get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename == "map-corners.png"
    picture = Image.open(download.value.path()).convert("RGB")
    box = shown.stage.bounding_box()
    assert picture.width == 2 * (round(box["width"]) - 2 + 200)
    blue = np.abs(np.asarray(picture).astype(int) - (0, 114, 178)).sum(axis=2) < 100
    width = 2 * (round(box["width"]) - 2)
    assert blue[:, :width].sum() > 500, "points"
    assert blue[:, width:].sum() > 100, "the legend's mark"


def test_the_page_to_keep_works_from_a_file_without_asking_anyone(opened, chromium, tmp_path):
    shown = opened("hostile")
    with shown.page.expect_download() as download:
        shown.root.get_by_role("button", name="HTML").click()
    hostile = tmp_path / "hostile.html"
    download.value.save_as(hostile)
    shown.show("flat")
    with shown.page.expect_download() as download:
        shown.root.get_by_role("button", name="HTML").click()
    kept = tmp_path / download.value.suggested_filename
    assert kept.name == "map-corners.html"
    download.value.save_as(kept)

    asked, faults = [], []
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    for file in (hostile, kept):
        page.goto(file.as_uri())
        page.wait_for_selector(".mm-map[data-drawn]")
        assert page.title() != "pwned"
    ranges = page.evaluate(
        "() => { const l = document.querySelector('.plot').layout; return [l.xaxis.range, l.yaxis.range]; }"
    )
    box = page.locator(".stage").bounding_box()
    x, y = layout().coordinates[21].tolist()
    page.mouse.move(
        box["x"] + 1 + (box["width"] - 2) * (x - ranges[0][0]) / (ranges[0][1] - ranges[0][0]),
        box["y"] + 1 + (box["height"] - 2) * (ranges[1][1] - y) / (ranges[1][1] - ranges[1][0]),
    )
    page.locator(".card canvas[data-drawn='21']").wait_for()
    assert "picture 21.png" in page.locator(".card").inner_text()
    page.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_fingers_tap_and_pinch(chromium, address):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(address)
    shown = Map(page).show("flat")
    assert shown.stage.bounding_box()["height"] >= 320
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.touchscreen.tap(*shown.point(8))
    shown.said("point 8: picture 8.png")
    assert shown.card.is_visible()
    before = np.ptp(shown.ranges()[0])
    x, y = shown.pixel(20, 15)
    touch = page.context.new_cdp_session(page)
    for kind, spread in (("touchStart", 30), ("touchMove", 45), ("touchMove", 60), ("touchEnd", 0)):
        points = [{"x": x - spread, "y": y, "id": 1}, {"x": x + spread, "y": y, "id": 2}] if spread else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    shown.settle()
    assert np.ptp(shown.ranges()[0]) == pytest.approx(before / 2, rel=0.02)
    assert shown.pixel(20, 15) == pytest.approx((x, y), abs=2)
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(opened, theme):
    shown = opened(theme=theme)
    shown.page.get_by_role("button", name="light", exact=True).click()
    shown.root.get_by_text("3 lit").wait_for()
    shown.page.mouse.move(*shown.point(21))
    shown.card.wait_for()
    texts = set(shown.root.evaluate("root => [...root.querySelectorAll('*')].map(e => e.textContent.trim())"))
    faint = [said for said in shown.page.evaluate(FAINT_TEXTS) if re.sub(r": [\d.]+$", "", said) in texts - {""}]
    assert faint == []


def test_changing_the_theme_changes_the_inks(opened):
    shown = opened()
    shown.redrawn(lambda: shown.page.evaluate("() => document.body.classList.add('dark')"))
    image = Image.open(io.BytesIO(shown.stage.screenshot())).convert("RGB")
    assert np.asarray(image)[-30:, :30].mean() < 60
