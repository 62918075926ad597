"""Charts in a real Chromium: the slider moves the figure without the server, and colours and width follow the page."""

import io
import re
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.chart import chart
from mmexplorer.components.plotly_source import plotly_url
from mmexplorer.explore.space import SpaceReport, measure
from mmexplorer.figures.space_charts import classes_figure, recall_figure
from mmexplorer.figures.space_gap import gap_figure

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> <a href='https://example.com'>x</a> ${1} {{value}}"


def report(seed: int = 0, count: int = 60) -> SpaceReport:
    random = np.random.default_rng(seed)
    meaning, apart = random.normal(size=(count, 8)), 1.5 * np.eye(8)[0]
    images, texts = (meaning + 0.7 * random.normal(size=(count, 8)) + side * apart for side in (1, -1))
    classes = [(HOSTILE, "red", "blue")[i % 3] for i in range(count)]
    return measure(images, texts, np.arange(count), captions=[str(i) for i in range(count)], classes=classes)


ONE, TWO = report(0), report(1)
NAMES = ["Toy CLIP", HOSTILE]


@pytest.fixture(scope="module")
def address():
    gap = gap_figure([ONE], NAMES[:1])
    values = {
        "Gap": gap,
        "Both": gap_figure([ONE, TWO], NAMES),
        "Recall": recall_figure([ONE, TWO], NAMES),
        "Classes": classes_figure([ONE, TWO], NAMES),
        "Nothing": None,
    }
    with gr.Blocks(analytics_enabled=False) as demo:
        main = chart(plotly_url=plotly_url(), elem_id="main", empty="Nothing is measured yet.")
        for name, value in values.items():
            gr.Button(name).click(lambda value=value: value, None, main, api_visibility="private")
        with gr.Accordion("More", open=False):
            chart(values["Recall"], plotly_url=plotly_url(), elem_id="folded")
        gr.HTML('<div style="height:2000px"></div>')
        chart(gap, plotly_url=plotly_url(), elem_id="below")
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield url
    demo.close()


def show(page, name: str, root: str = "#main") -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.locator(f"{root} .main-svg").first.wait_for()


def jump(page, name: str) -> None:
    page.locator("#main").get_by_role("button", name=name).click()


def written(page, root: str = "#main") -> list[str]:
    """The recall beside the moving markers."""
    return page.locator(f"{root} .textpoint").all_text_contents()


def expected(recall) -> list[str]:
    return [f"{100 * value:.1f} %" for value in recall]


def axis_title(page, panel: int) -> dict[str, float]:
    return page.locator(f"#main .x{panel + 1 if panel else ''}title").bounding_box()


def eventually(page, script: str, root: str = "#main") -> None:
    page.wait_for_function(f"root => {script}", arg=root, timeout=10_000)


def test_plotly_is_loaded_when_a_chart_is_first_seen_and_only_once(visit, address):
    page = visit("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "plotly" in request.url else None)
    page.goto(address)
    sync_api.expect(page.locator("#main .empty")).to_have_text("Nothing is measured yet.")
    assert page.locator("#below .main-svg").count() == 0 and asked == []
    show(page, "Gap")
    assert page.locator("#below .main-svg").count() == 0
    page.locator("#below").scroll_into_view_if_needed()
    page.locator("#below .main-svg").first.wait_for()
    assert len(asked) == 1


def test_slider_and_buttons_move_markers_and_clouds_without_the_server(visit, address):
    page = visit(address)
    show(page, "Gap")
    shift = ONE.shift
    slider = page.locator("#main").get_by_role("slider", name="Shift along the gap:")
    sync_api.expect(slider).to_have_attribute("aria-valuetext", "0.0")
    eventually(page, "document.querySelectorAll(`${root} .textpoint`).length === 2")
    assert written(page) == expected(shift.recall[5])
    cloud = "document.querySelector('#main .stage')._fullData.find(t => t.mode === 'lines+markers')"
    before = page.locator("#main .point").last.get_attribute("transform")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    sync_api.expect(page.locator("#main .now")).to_have_text("1.0")
    sync_api.expect(page.locator("#main .textpoint").first).to_have_text(expected(shift.recall[15])[0])
    assert written(page) == expected(shift.recall[15])
    assert page.evaluate(f"{cloud}.x[0]") == pytest.approx(float(shift.pictures[15, 0, 0]), abs=1e-6)
    pressed = page.locator("#main [aria-pressed=true]")
    sync_api.expect(pressed).to_have_text("centroids meet")
    jump(page, "mean-centred")
    eventually(page, f"Math.abs({cloud}.x[0] - ({float(shift.pictures[-1, 0, 0])})) < 1e-6")
    assert written(page) == expected(shift.recall[-1])
    sync_api.expect(slider).to_have_value("21")
    sync_api.expect(pressed).to_have_text("mean-centred")
    jump(page, "as it is")
    sync_api.expect(slider).to_have_value("5")
    sync_api.expect(page.locator("#main .textpoint").first).to_have_text(expected(shift.recall[5])[0])
    assert page.locator("#main .point").last.get_attribute("transform") == before
    assert asked == []


def test_another_value_replaces_figure_frames_and_controls(visit, address):
    page = visit(address)
    show(page, "Both")
    eventually(page, "document.querySelectorAll(`${root} .textpoint`).length === 4")
    show(page, "Recall")
    sync_api.expect(page.locator("#main .states")).to_be_hidden()
    eventually(page, "document.querySelectorAll(`${root} .bars .point`).length === 12")
    page.get_by_role("button", name="Nothing").click()
    sync_api.expect(page.locator("#main .empty")).to_have_text("Nothing is measured yet.")
    sync_api.expect(page.locator("#main .filled")).to_be_hidden()
    show(page, "Gap")
    jump(page, "mean-centred")
    eventually(page, "document.querySelectorAll(`${root} .textpoint`).length === 2")
    sync_api.expect(page.locator("#main .textpoint").first).to_have_text(expected(ONE.shift.recall[-1])[0])


def test_a_chart_in_a_closed_accordion_is_drawn_when_it_opens(visit, address):
    page = visit(address)
    page.get_by_role("button", name="More").wait_for()
    assert page.locator("#folded .main-svg").count() == 0
    page.get_by_role("button", name="More").click()
    page.locator("#folded .main-svg").first.wait_for()
    assert page.locator("#folded .main-svg").first.bounding_box()["width"] > 400


def test_colours_follow_the_theme_and_the_state_stays(visit, address):
    page = visit(address)
    show(page, "Gap")
    jump(page, "mean-centred")
    eventually(page, "document.querySelector(`${root} .stage`).data.find(t => t.text)?.x[0] > 1.8")
    light = page.locator("#main .xtitle").first.evaluate("text => getComputedStyle(text).fill")
    page.evaluate("document.body.classList.add('dark')")
    eventually(page, f"getComputedStyle(document.querySelector(`${{root}} .xtitle`)).fill !== {light!r}")
    dark = page.locator("#main .xtitle").first.evaluate("text => getComputedStyle(text).fill")
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (light, dark)]
    assert brightness[1] > brightness[0] + 200
    sync_api.expect(page.locator("#main .textpoint").first).to_have_text(expected(ONE.shift.recall[-1])[0])
    assert page.locator("#main .modebar-btn").count() == 1 and page.locator("#main .plotlyjsicon").count() == 0


def test_a_phone_stacks_the_panels_and_a_wider_page_puts_them_side_by_side(visit, address):
    page = visit(address, width=390)
    show(page, "Both")
    tops = [axis_title(page, panel)["y"] for panel in range(3)]
    assert tops[0] + 200 < tops[1] < tops[2] - 200
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})
    eventually(page, "document.querySelector(`${root} .main-svg`).clientWidth > 900")
    lefts = [axis_title(page, panel)["x"] for panel in range(3)]
    assert lefts[0] + 200 < lefts[1] < lefts[2] - 200


def test_names_are_letters_and_never_links(visit, address):
    page = visit(address)
    for name in ("Both", "Classes"):
        show(page, name)
        sync_api.expect(page.locator("#main .stage")).to_contain_text("<img src=x")
    assert page.locator("#main .stage img, #main .stage a[href^=http]").count() == 0
    assert page.title() != "pwned"


def test_png_has_the_pages_background(visit, address):
    page = visit(f"{address}?__theme=dark")
    show(page, "Recall")
    page.locator("#main .stage").hover()
    with page.expect_download() as download:
        page.locator("#main .modebar-btn").click()
    assert download.value.suggested_filename == "recall.png"
    image = np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("RGBA"))
    assert image.shape[1] > 1_000 and (image[..., 3] == 255).all()
    assert np.median(image[..., :3]) < 60


def test_without_the_drawing_library_the_chart_says_so(chromium, address):
    page = chromium.new_page()
    page.route("**/plotly.min.js", lambda route: route.abort())
    page.goto(address)
    page.get_by_role("button", name="Recall", exact=True).click()
    sync_api.expect(page.locator("#main .empty")).to_contain_text("could not be loaded")
    page.close()
