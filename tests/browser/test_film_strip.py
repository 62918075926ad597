"""The film strip in a real Chromium: the right pictures and numbers for every step, live without jumps, no requests."""

import json
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.film_strip import film_strip
from mmexplorer.drawings import DrawEvent, Drawing, Step
from mmexplorer.explore.truth import draw_scene
from mmexplorer.figures.film_strip import LiveStrip, film_strip_payload

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">${document.title='pwned'}{{value}}"
SIZE = 64


def drawing(count: int, *, guided=True, **fields) -> Drawing:
    """A scene that comes out of noise in `count` steps; the guidance vector of step i is i everywhere."""
    rng = np.random.default_rng(count)
    scene = draw_scene(3)[0].resize((SIZE, SIZE), Image.Resampling.BOX)
    grey = Image.new("RGB", scene.size, "grey")
    small = np.asarray(scene.resize((16, 16)), dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    clean = np.concatenate([small, small[:1]])
    noise = rng.standard_normal(clean.shape)
    steps = []
    for number in range(1, count + 1):
        level = 1 - (number - 1) / count
        latent = (1 - level) * clean + level * noise
        vector = np.full(clean.shape, number) if guided else None
        steps.append(Step(number, round(1000 * level), level, latent, clean, vector, 0.07))
    previews = tuple(Image.blend(grey, scene, number / count) for number in range(1, count + 1))
    return Drawing(scene, previews, None, fields.pop("settings", {"steps": count}), tuple(steps), **fields)


def live(count: int, total: int) -> list[str]:
    """The payloads of a drawing under way, from before its first step to after step `count`."""
    strip = LiveStrip(SIZE, SIZE, guided=True)
    previews = (None, *drawing(total).previews)
    return [
        strip.payload(DrawEvent(i, total, preview, seconds=0.1 * i, eta=0.7 * (total - i) if i else None))
        for i, preview in enumerate(previews[: count + 1])
    ]


TWENTY = drawing(20)
VALUES = {
    "twenty": film_strip_payload(TWENTY),
    "four": film_strip_payload(drawing(4, guided=False)),
    "one": film_strip_payload(drawing(1)),
    "stopped": film_strip_payload(drawing(7, ended="stopped", settings={"steps": 20})),
    "none": film_strip_payload(drawing(0)),
    "nothing": None,
    "fifty": film_strip_payload(drawing(50)),
    "hostile": json.dumps(json.loads(film_strip_payload(drawing(4))) | {"notes": [HOSTILE]}),
    "live 0": live(0, 20)[-1],
    "live 7": live(7, 20)[-1],
    "live 8": live(8, 20)[-1],
}


def build():
    main = film_strip(elem_id="main")
    told = gr.Textbox(elem_id="told")

    def tell(said: str, event: gr.EventData) -> str:
        return f"{said} {event.number}".strip()

    main.step(tell, told, told, api_visibility="private", show_progress="hidden")
    return main


@pytest.fixture(scope="module")
def address(component_page):
    with component_page(VALUES, build) as url:
        yield url


@pytest.fixture
def opened(visit, address):
    def open_page(value="twenty", width=1280, theme="light"):
        page = visit(f"{address}?__theme={theme}", width, 1000)
        page.locator("#main .empty").wait_for()
        show(page, value)
        return page

    return open_page


def show(page, value):
    page.get_by_role("button", name=value, exact=True).click()
    page.locator("#main .filled").wait_for()
    page.wait_for_function(
        "([total]) => document.querySelector('#main .step').textContent.endsWith('of ' + total)",
        arg=[json.loads(VALUES[value])["total"]],
    )


def slider(page):
    return page.get_by_role("slider", name="Denoising step")


def head(page) -> str:
    return page.locator("#main .head").inner_text()


def colours(page, selector) -> list[list[int]]:
    """The pixels [red, green, blue] that an img or a canvas of the component holds."""
    return page.locator(f"#main {selector}").evaluate(
        """async (node) => {
            if (node.decode) await node.decode();
            const [w, h] = [node.naturalWidth ?? node.width, node.naturalHeight ?? node.height];
            const context = Object.assign(document.createElement('canvas'), { width: w, height: h }).getContext('2d');
            context.fillRect(0, 0, w, h);
            context.drawImage(node, 0, 0);
            const { data } = context.getImageData(0, 0, w, h);
            return Array.from({ length: w * h }, (_, i) => [...data.slice(4 * i, 4 * i + 3)]);
        }"""
    )


def test_it_opens_at_the_finished_picture_and_says_what_each_step_is(opened):
    page = opened()
    assert head(page) == "Step 20 of 20 timestep 50, noise level 0.05 (share of noise), 70 ms"
    slider(page).fill("6")
    assert head(page) == "Step 7 of 20 timestep 700, noise level 0.70 (share of noise), 70 ms"
    expect(slider(page)).to_have_attribute("aria-valuetext", head(page).replace("20 timestep", "20, timestep"))
    expect(page.locator("#main .strip [aria-current] button")).to_have_attribute("aria-label", "Show step 7")
    captions = page.locator("#main figcaption").all_inner_texts()
    assert "What the network saw: 4 × 16 × 16 numbers, three channels as colours." in captions[0]
    assert "Conditional minus unconditional prediction; one scale for all steps." in captions[2]


def test_the_pictures_are_those_of_the_chosen_step(opened):
    page = opened()
    for number in (1, 7, 20):
        slider(page).fill(str(number - 1))
        expected = np.asarray(TWENTY.previews[number - 1]).reshape(-1, 3).tolist()
        assert colours(page, ".of-clean img") == expected
        assert colours(page, f".strip li:nth-child({number}) img") == expected
        frame = json.loads(VALUES["twenty"])["frames"][number - 1]
        expect(page.locator("#main .of-latent img")).to_have_attribute("src", frame["latent"])
        assert len(colours(page, ".of-latent img")) == 16 * 16


def test_guidance_has_one_colour_scale_for_all_steps(opened):
    page = opened()
    scale = colours(page, ".scale canvas")
    assert page.locator("#main .scale").inner_text().split("\n") == ["0", "20"]
    for number in (20, 5):
        slider(page).fill(str(number - 1))
        assert colours(page, ".of-guidance .frame canvas") == [scale[round(255 * number / 20)]] * 256


def test_the_marker_follows_the_line_and_the_thumb(opened):
    page = opened()
    for index in (0, 10, 19):
        slider(page).fill(str(index))
        chart, marker = (page.locator(f"#main {name}").bounding_box() for name in (".chart", ".marker"))
        x, y = marker["x"] + marker["width"] / 2 - chart["x"], marker["y"] + marker["height"] / 2 - chart["y"]
        assert x / chart["width"] == pytest.approx(index / 19, abs=0.01)
        assert y / chart["height"] == pytest.approx(index / 20, abs=0.03), "noise level 1 - index / 20, from the top"
    points = page.locator("#main .chart .line").get_attribute("d")
    assert points.startswith("M0.0000 0.0000L0.0526 0.0500L") and points.endswith("1.0000 0.9500")


def test_keyboard_mouse_and_strip_reach_every_step(opened):
    page = opened()
    slider(page).focus()
    for key, number in (("Home", 1), ("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 20)):
        page.keyboard.press(key)
        assert head(page).startswith(f"Step {number} of 20")
    page.get_by_role("button", name="Show step 4", exact=True).click()
    assert head(page).startswith("Step 4 of 20")
    expect(slider(page)).to_have_value("3")


def test_a_rest_on_a_step_tells_its_number_once_and_nothing_else_asks_the_server(opened):
    page = opened()
    page.wait_for_load_state("networkidle")
    slider(page).focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("#told textarea")).to_have_value("4")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")  # back before the rest is over
    page.wait_for_timeout(500)
    assert [url for url in requests if url.startswith("http")] == []
    page.keyboard.press("End")
    expect(page.locator("#told textarea")).to_have_value("4 20")


def test_play_runs_to_the_end_and_can_be_paused(opened):
    page = opened()
    play = page.locator("#main .play")
    play.click()
    expect(play).to_have_text("Pause")
    page.wait_for_function("document.querySelector('#main input').value >= 2")
    play.click()
    expect(play).to_have_text("Play")
    paused = slider(page).input_value()
    page.wait_for_timeout(450)
    assert slider(page).input_value() == paused != "19"
    show(page, "four")
    play.click()
    expect(slider(page)).to_have_value("3")
    expect(play).to_have_text("Play")


def test_playing_is_slow_where_little_motion_is_asked_for(opened):
    page = opened("four")
    page.emulate_media(reduced_motion="reduce")
    page.locator("#main .play").click()
    page.wait_for_timeout(600)
    expect(slider(page)).to_have_value("0")
    page.emulate_media(reduced_motion="no-preference")
    expect(slider(page)).to_have_value("3")


def test_without_guidance_there_is_no_guidance_picture(opened):
    page = opened("four")
    expect(page.locator("#main .of-guidance")).to_be_hidden()
    show(page, "twenty")
    expect(page.locator("#main .of-guidance")).to_be_visible()


def test_one_step_needs_no_scrubber(opened):
    page = opened("one")
    expect(slider(page)).to_be_hidden()
    assert head(page).startswith("Step 1 of 1")


def test_a_stopped_drawing_says_so(opened):
    page = opened("stopped")
    assert head(page).startswith("Step 7 of 20")
    assert page.locator("#main .notes").inner_text() == "Stopped after step 7 of 20."
    assert page.locator("#main .strip li").count() == 7


def test_without_a_step_it_says_what_to_do(opened):
    page = opened()
    for name in ("nothing", "none"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("#main .empty")).to_contain_text("Draw a picture")
        expect(page.locator("#main .filled")).to_be_hidden()
        show(page, "twenty")


def test_notes_are_text(opened):
    page = opened("hostile")
    assert page.locator("#main .notes").inner_text() == HOSTILE
    assert page.title() != "pwned"


def boxes(page) -> list:
    """Where everything is, within the component."""
    names = (".head", ".of-latent .frame", ".of-clean .frame", ".of-guidance .frame", ".transport", ".strip", ".filled")
    top = page.locator("#main").bounding_box()["y"]
    found = [page.locator(f"#main {name}").bounding_box() for name in names]
    return [[box["x"], box["y"] - top, box["width"], box["height"]] for box in found]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_previews_stream_in(opened, width):
    page = opened("live 0", width)
    before = boxes(page)
    assert head(page) == "Step 0 of 20"
    for name, said in (("live 7", "Step 7 of 20 about 9 s left"), ("live 8", "Step 8 of 20 about 8 s left")):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("#main .step")).to_have_text(said[:12])
        assert head(page).split() == said.split()
        assert boxes(page) == before
    show(page, "twenty")
    expect(page.locator("#main .facts")).to_contain_text("timestep 50")
    assert boxes(page) == before


def test_live_previews_replace_each_other_in_place(opened):
    page = opened("live 7")
    page.evaluate("window.nodes = [...document.querySelectorAll('#main .strip li, #main .of-clean img')]")
    page.get_by_role("button", name="live 8", exact=True).click()
    expect(page.locator("#main .step")).to_have_text("Step 8 of 20")
    assert page.evaluate("window.nodes.every((node) => node.isConnected)")
    assert page.locator("#main .strip button:enabled").count() == 8
    assert colours(page, ".of-clean img") == np.asarray(TWENTY.previews[7]).reshape(-1, 3).tolist()


def test_who_went_back_while_it_is_drawn_stays_there(opened):
    page = opened("live 7")
    page.get_by_role("button", name="Show step 3", exact=True).click()
    page.get_by_role("button", name="live 8", exact=True).click()
    expect(page.locator("#main .strip button:enabled")).to_have_count(8)
    assert head(page).startswith("Step 3 of 20")
    show(page, "twenty")
    expect(page.locator("#main .facts")).to_contain_text("timestep 900")
    expect(page.locator("#told textarea")).to_have_value("")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_state_fits_its_screen_and_is_readable(opened, width, theme):
    FOLDER.mkdir(exist_ok=True)
    page = opened("twenty", width, theme)
    for name in ("twenty", "four", "stopped", "fifty", "live 7"):
        show(page, name)
        if name in ("twenty", "fifty"):
            slider(page).fill("9")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT) == []
        page.locator("#main").screenshot(path=FOLDER / f"film-strip-{name.replace(' ', '-')}-{width}-{theme}.png")
