"""The stages of a drawing in a real Chromium: every box with its own numbers, arrows in order, texts as texts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmexplorer.components.stages import stages
from mmexplorer.drawings import Drawing, Stage, Step
from mmexplorer.explore.truth import draw_scene
from mmexplorer.figures.stages import stages_payload

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">${document.title='pwned'}{{value}}"


def drawing() -> Drawing:
    noise = np.random.default_rng(0).standard_normal((4, 16, 16))
    steps = tuple(Step(i, 1000 - 50 * i, 1 - i / 20, noise, noise / 4, noise, 0.07) for i in range(1, 21))
    image = draw_scene(3)[0].resize((64, 64))
    return Drawing(
        image, (image,) * 20, None, {"steps": 20, "seed": 7}, steps,
        stages=(
            Stage("tokens", (8,)),
            Stage("text encoder", (32, 128), 340_000, 0.02),
            Stage("noise", (4, 16, 16), note="seed 7"),
            Stage("UNet", (4, 16, 16), 4_280_000, 1.4, "20 steps, each with and without the prompt"),
            Stage("VAE decoder", (3, 64, 64), 410_000, 0.03),
        ),
        tokens=("<|startoftext|>", "a</w>", "red</w>", "circle</w>", "above</w>", "a</w>", "zeb</w>", "<|endoftext|>"),
        unknown_words=("zeb",), model="toy-diffusion", seconds=1.45,
    )  # fmt: skip


def hostile() -> Drawing:
    stages = (Stage("tokens", (1,), note=HOSTILE), Stage(HOSTILE, (10**6,), 10**9, 0.5))
    return replace(drawing(), stages=stages, tokens=(HOSTILE, *["x" * 80] * 40), model=HOSTILE)


VALUES = {
    "toy": stages_payload(drawing()),
    "hostile": stages_payload(hostile()),
    "nothing": None,
    "no stages": stages_payload(replace(drawing(), stages=())),
}


@pytest.fixture(scope="module")
def address(component_page):
    with component_page(VALUES, lambda: stages(elem_id="main")) as url:
        yield url


@pytest.fixture
def opened(visit, address):
    def open_page(value="toy", width=1280, theme="light"):
        page = visit(f"{address}?__theme={theme}", width)
        page.locator("#main .empty").wait_for()
        page.get_by_role("button", name=value, exact=True).click()
        page.locator("#main .box").first.wait_for()
        return page

    return open_page


def box(page, name):
    return page.locator("#main .box", has=page.get_by_role("heading", name=name, exact=True))


def lines(page, name) -> list[str]:
    return [line for line in box(page, name).inner_text().replace("\u00a0", " ").split("\n") if line]


def test_the_stages_stand_in_order_with_their_own_numbers(opened):
    page = opened()
    assert page.locator("#main h4").all_inner_texts() == [
        "Tokens", "Text encoder", "Noise", "UNet", "Latent", "VAE decoder", "Picture",
    ]  # fmt: skip
    summary = page.locator("#main .summary").inner_text().replace("\u00a0", " ")
    assert summary == "toy-diffusion: 5.03 M parameters drew this picture in 1.4 s."
    unet = lines(page, "UNet")
    assert unet[1] == "4 × 16 × 16 numbers" and "cross-attention" in unet[2]
    assert unet[3:] == ["20 steps, each with and without the prompt", "4.28 M parameters", "1.4 s, 96.6 % of the time"]
    assert lines(page, "Text encoder")[-2:] == ["340 K parameters", "20 ms, 1.4 % of the time"]
    assert "seed 7" in lines(page, "Noise") and "64 × 64 pixels" in lines(page, "Picture")


def test_bars_are_shares_of_the_time(opened):
    page = opened()
    bars = page.locator("#main .track")
    shares = bars.evaluate_all("all => all.map((t) => t.firstChild.offsetWidth / t.offsetWidth)")
    assert shares == pytest.approx([0.02 / 1.45, 1.4 / 1.45, 0.03 / 1.45], abs=0.02)


def test_noise_latent_and_picture_are_shown(opened):
    page = opened()
    page.wait_for_function("[...document.querySelectorAll('#main img')].every((image) => image.naturalWidth)")
    images = page.locator("#main img")
    assert images.evaluate_all("all => all.map((image) => [image.alt, image.naturalWidth])") == [
        ["The noise of this drawing", 16],
        ["The latent of this drawing", 16],
        ["The picture of this drawing", 64],
    ]
    assert images.evaluate_all("all => all.map((i) => getComputedStyle(i).imageRendering)") == ["pixelated"] * 3


def test_tokens_are_chips_and_unknown_ones_are_marked(opened):
    page = opened()
    chips = page.locator("#main .chips li")
    assert chips.all_inner_texts() == [
        "<|startoftext|>", "a", "red", "circle", "above", "a", "zeb", "<|endoftext|>",
    ]  # fmt: skip
    assert [chip.split() for chip in chips.evaluate_all("all => all.map((c) => c.className)")] == [
        ["special"], ["word"], ["word"], ["word"], ["word"], ["word"], ["unknown"], ["special"],
    ]  # fmt: skip


def test_arrows_lead_from_box_to_box_and_noise_is_added(opened):
    page = opened()
    marks = page.locator("#main .box").evaluate_all(
        "all => all.map((b) => getComputedStyle(b, '::after').content.replaceAll('\"', ''))"
    )
    assert marks == ["→", "+", "→", "→", "→", "→", "none"]


def test_a_phone_has_one_column(opened):
    page = opened("toy", 390)
    boxes = [page.locator("#main .box").nth(i).bounding_box() for i in range(7)]
    assert len({box["x"] for box in boxes}) == 1
    assert all(one["y"] + one["height"] < other["y"] for one, other in pairwise(boxes))
    wide = opened("toy", 1280)
    assert len({wide.locator("#main .box").nth(i).bounding_box()["y"] for i in range(7)}) == 1


def test_hostile_names_are_text_and_without_stages_it_says_what_to_do(opened):
    page = opened("hostile")
    assert page.locator("#main h4").all_inner_texts()[1] == HOSTILE
    assert "and 25 more" in page.locator("#main .chips").inner_text()
    assert page.locator("#main img").count() == 1 and page.title() != "pwned", "only the picture"
    for name in ("nothing", "no stages"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("#main .empty")).to_contain_text("Draw a picture")
        expect(page.locator("#main .filled")).to_be_hidden()
        page.get_by_role("button", name="toy", exact=True).click()
        expect(page.locator("#main .filled")).to_be_visible()


def test_wrapped_rows_stay_inside(opened):
    page = opened("toy", 900)
    assert len({page.locator("#main .box").nth(i).bounding_box()["y"] for i in range(7)}) > 1
    ends = "all => Math.max(...all.map((box) => box.getBoundingClientRect().right + 26))"
    frame = page.locator("#main .mm-stages").bounding_box()
    assert page.locator("#main .box[data-to]").evaluate_all(ends) <= frame["x"] + frame["width"]


SCREENS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"), (900, "light")]


@pytest.mark.parametrize(("width", "theme"), SCREENS)
def test_it_fits_its_screen_and_is_readable(opened, width, theme):
    FOLDER.mkdir(exist_ok=True)
    for name in ("hostile", "toy"):
        page = opened(name, width, theme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT) == []
        page.locator("#main").screenshot(path=FOLDER / f"stages-{name}-{width}-{theme}.png")
