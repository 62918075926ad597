"""The viewer with a conversation in a real Chromium: flowing words, layer ranges, segments, sinks, events."""

import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.viewer import grounding_viewer
from mmexplorer.figures.viewer import ground_truth_score, viewer_payload
from mmexplorer.replies import ROLES
from mmexplorer.results import Grounding

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
WORDS = ("what", "is", "it", "?", "a", "red", "circle", "and", "a", "blue", "square", ".")
QUESTION = 4  # words
LAYERS, SIDE = 6, 4
USUAL = (2, 3)
SINK = 11  # row 3, column 4


def example(words=WORDS) -> Grounding:
    """Random maps, apart from the one of "red", whose strongest patch wanders from layer to layer; "?" has none."""
    random = np.random.default_rng(3)
    maps = random.random((LAYERS, len(words), SIDE, SIDE)).astype(np.float32) * 0.05
    for layer in range(LAYERS):
        maps[layer, 5, layer % SIDE, layer % SIDE] = 0.1 * (layer + 1)
    maps[:, 3] = 0
    return Grounding(
        image=Image.fromarray(random.integers(120, 220, (48, 64, 3), dtype=np.uint8)),
        words=words,
        maps=maps,
        layers=tuple(f"layer {layer + 1}" for layer in range(LAYERS)),
        image_share=segments(words)[..., ROLES.index("image")],
        box=(4, 0, 60, 48),
        method="attention, mean of heads",
        model="toy-llava",
    )


def segments(words=WORDS) -> np.ndarray:
    shares = np.random.default_rng(4).random((LAYERS, len(words), len(ROLES))).astype(np.float32)
    return shares / shares.sum(axis=-1, keepdims=True)


def masks() -> dict[int, np.ndarray]:
    rows, columns = np.mgrid[:48, :64]
    circle = (columns - 34) ** 2 + (rows - 28) ** 2 <= 13**2
    return {5: circle, 6: circle, 9: columns < 20}


def payload(words=WORDS, value=None, **options) -> str:
    roles = ["question"] * QUESTION + ["answer"] * (len(words) - QUESTION)
    options = {"layer_range": USUAL, "sinks": (SINK,), "word": 5, **options}
    return viewer_payload(
        value or example(words),
        masks(),
        quantity="attention",
        roles=roles,
        segments=(ROLES, segments(words)) if value is None else None,
        max_words=600,
        **options,
    )


@pytest.fixture(scope="module")
def address():
    single = example()
    single = replace(single, maps=single.maps[:1], layers=("layer 3, head 2",), image_share=single.image_share[:1])
    value = example()
    red = replace(value, words=("red",), maps=value.maps[:, 5:6], image_share=value.image_share[:, :1])
    alone = viewer_payload(red, roles=("answer",), layer_range=USUAL)
    many = WORDS + WORDS[QUESTION:] * 60
    values = {"Head": payload(value=single, layer_range=(0, 0)), "Answer": payload(), "Many": payload(many, word=400)}
    values |= {"Alone": alone, "Back": payload(word=None)}

    def tell(event: gr.EventData) -> str:
        return json.dumps(event._data)

    with gr.Blocks(analytics_enabled=False) as demo:
        viewer = grounding_viewer(payload(), elem_id="main")
        told = gr.Textbox(elem_id="told")
        viewer.word(tell, None, told, api_visibility="private")
        viewer.patch(tell, None, told, api_visibility="private")
        for name, value in values.items():
            gr.Button(name).click(lambda value=value: value, None, viewer, api_visibility="private")
    demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield demo.local_url
    demo.close()


@pytest.fixture
def page(visit, address):
    page = visit(address)
    page.locator("#main .chip").first.wait_for()
    return page


def chip(page, index):
    return page.locator("#main .chip").nth(index)


def part(page, name):
    return page.locator(f"#main [data-part={name}]")


def thumbs(page):
    return part(page, "from"), part(page, "to")


def figures(page) -> dict[str, str]:
    pairs = page.locator("#main .facts > div")
    return dict(
        pairs.evaluate_all("pairs => pairs.map(p => ['dt', 'dd'].map(tag => p.querySelector(tag).textContent))")
    )


def readings(page) -> dict[str, str]:
    items = part(page, "segments").locator("li")
    return dict(
        items.evaluate_all("items => items.map(i => ['span', 'b'].map(tag => i.querySelector(tag).textContent))")
    )


def percents(shares) -> dict[str, str]:
    return {name: f"{100 * x:.{1 if x < 0.0995 else 0}f} %" for name, x in zip(ROLES, shares, strict=True)}


def column(page, layer) -> tuple[float, float]:
    """The middle of a layer's column on the screen."""
    box = part(page, "chart").bounding_box()
    return box["x"] + box["width"] * (layer + 0.5) / LAYERS, box["y"] + box["height"] / 2


def told(page, **expected) -> None:
    page.wait_for_function(
        "expected => { const text = document.querySelector('#told textarea').value;"
        " return text && Object.entries(expected).every(([key, value]) => JSON.parse(text)[key] === value); }",
        arg=expected,
    )


def test_words_are_two_named_groups_of_flowing_text(page):
    groups = page.locator("#main .group")
    assert groups.evaluate_all("groups => groups.map(g => g.getAttribute('aria-label'))") == ["Question", "Answer"]
    assert groups.nth(0).locator(".chip").all_inner_texts() == list(WORDS[:QUESTION])
    assert groups.nth(1).locator(".chip").all_inner_texts() == list(WORDS[QUESTION:])
    expect(chip(page, 5)).to_have_attribute("aria-selected", "true")
    gaps = [
        chip(page, i + 1).bounding_box()["x"] - sum(chip(page, i).bounding_box()[k] for k in ("x", "width"))
        for i in (1, 2)
    ]
    assert gaps[1] < gaps[0], "a question mark stands closer to its word than another word"


def test_the_map_and_the_share_are_the_means_over_the_range(page):
    means = example().maps[USUAL[0] : USUAL[1] + 1, 5].mean(axis=0)
    assert float(part(page, "top").inner_text()) == pytest.approx(means.max(), rel=0.01)
    share = example().image_share[USUAL[0] : USUAL[1] + 1, 5].mean()
    assert figures(page)["of the attention fell on the image"] == f"{100 * share:.0f} %"
    assert part(page, "range-name").inner_text() == "Layers 3–4, mean"
    page.get_by_role("button", name="Same scale").click()
    top = example().maps[USUAL[0] : USUAL[1] + 1].mean(axis=0).max()
    assert float(part(page, "top").inner_text()) == pytest.approx(top, rel=0.01)
    page.get_by_role("button", name="Patches").click()
    shades = part(page, "heat").evaluate("c => [...c.getContext('2d').getImageData(0, 0, 4, 4).data]")
    light = np.array(shades).reshape(SIDE, SIDE, 4)[..., :3].sum(axis=-1)
    assert light.argmax() == means.argmax()
    page.locator("#main .stage").focus()
    page.keyboard.press("ArrowRight")  # to the patch where the word looks most
    row, place = np.unravel_index(means.argmax(), means.shape)
    assert f"row {row + 1}, column {place + 1}" in part(page, "patch-title").inner_text()
    first = part(page, "ranking").locator("li").first.locator("span").all_inner_texts()
    assert first[0] == "a red" and float(first[1]) == pytest.approx(means.max(), rel=0.01)


def test_keys_move_and_widen_the_range(page):
    chip(page, 5).focus()
    for key, name in (("]", "Layers 4–5"), ("}", "Layers 4–6"), ("}", "Layers 3–6"), ("[", "Layers 2–5"),
                      ("[", "Layers 1–4"), ("[", "Layers 1–4"), ("{", "Layers 1–3"), ("{", "Layers 1–2"),
                      ("{", "Layer 1"), ("{", "Layer 1"), ("]", "Layer 2")):  # fmt: skip
        page.keyboard.press(key)
        assert part(page, "range-name").inner_text().removesuffix(", mean") == name
    page.keyboard.press("Shift+BracketRight")
    assert part(page, "range-name").inner_text() == "Layers 2–3, mean"


def test_thumbs_set_the_range_and_may_pass_each_other(page):
    one, other = thumbs(page)
    other.fill("5")
    assert part(page, "range-name").inner_text() == "Layers 3–6, mean"
    one.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    other.fill("1")
    assert part(page, "range-name").inner_text() == "Layers 2–6, mean"
    page.get_by_role("button", name="Default: 3–4").click()
    assert (one.input_value(), other.input_value()) == ("2", "3")
    page.get_by_role("button", name="All", exact=True).click()
    assert (one.input_value(), other.input_value()) == ("0", "5")
    expect(page.get_by_role("button", name="All", exact=True)).to_have_attribute("aria-pressed", "true")


def test_columns_stand_over_their_thumbs(page):
    one, other = thumbs(page)
    one.fill("0")
    other.fill("5")
    for layer in (0, 5):
        # A press on the middle of a thumb that is under the column takes hold of it.
        x, _ = column(page, layer)
        box = one.bounding_box()
        page.mouse.move(x, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(column(page, 3)[0], box["y"], steps=3)
        page.mouse.up()
    assert part(page, "range-name").inner_text() == "Layer 4"


def test_pointing_at_a_column_names_its_values_and_passes(page):
    mean = segments()[USUAL[0] : USUAL[1] + 1, 5].mean(axis=0)
    assert readings(page) == percents(mean)
    assert next(iter(readings(page))) == "image", "at the bottom of the columns, where they can be compared"
    page.mouse.move(*column(page, 0))
    assert readings(page) == percents(segments()[0, 5])
    assert part(page, "range-name").inner_text() == "Layer 1"
    assert float(part(page, "top").inner_text()) == pytest.approx(0.1, rel=0.01), "the heatmap of that layer"
    page.mouse.move(5, 5)
    assert readings(page) == percents(mean)
    chip(page, 1).hover()
    assert readings(page) == percents(segments()[USUAL[0] : USUAL[1] + 1, 1].mean(axis=0))


def test_columns_are_as_high_as_the_shares(page):
    chip(page, 8).click()
    drawn = (
        part(page, "columns")
        .locator("path")
        .evaluate_all(
            "paths => paths.map(p => "
            "[p.dataset.role, [...p.getAttribute('d').matchAll(/v(-[0-9.e-]+)/g)].map(m => -m[1])])"
        )
    )
    for name, heights in drawn:
        assert heights == pytest.approx(segments()[:, 8, ROLES.index(name)].tolist(), abs=1e-5)
    box, chart = part(page, "columns").bounding_box(), part(page, "chart").bounding_box()
    assert box["height"] == pytest.approx(chart["height"], abs=1), "they add up to the whole"


def test_a_click_on_a_column_keeps_one_layer_and_a_stroke_a_range(page):
    page.mouse.click(*column(page, 4))
    page.mouse.move(5, 5)
    assert part(page, "range-name").inner_text() == "Layer 5"
    page.mouse.move(*column(page, 4))
    page.mouse.down()
    page.mouse.move(*column(page, 1), steps=4)
    page.mouse.up()
    page.mouse.move(5, 5)
    assert part(page, "range-name").inner_text() == "Layers 2–5, mean"


def test_ground_truth_of_every_range_is_what_python_says_of_its_mean(page):
    seen = page.evaluate(
        """([words, layers]) => {
            const part = (name) => document.querySelector(`#main [data-part=${name}]`);
            const result = [];
            for (const word of words) {
                document.querySelectorAll('#main .chip')[word].click();
                for (let first = 0; first < layers; first++) for (let last = first; last < layers; last++) {
                    [part('from').value, part('to').value] = [first, last];
                    part('to').dispatchEvent(new Event('input'));
                    const [, hit, iou] = [...document.querySelectorAll('#main .facts dd')].map((dd) => dd.textContent);
                    result.push([word, first, last, hit, Number(iou)]);
                }
            }
            return result;
        }""",
        [[5, 6, 9], LAYERS],
    )
    assert len(seen) == 3 * 21 and {hit for *_, hit, _ in seen} == {"hit", "miss"}
    value = example()
    for word, first, last, hit, iou in seen:
        mean = replace(value, maps=value.maps[first : last + 1].mean(axis=0, keepdims=True))
        expected = ground_truth_score(mean, 0, word, masks()[word])
        assert (hit == "hit", iou) == (expected[0], pytest.approx(expected[1], abs=0.016)), (word, first, last)


def test_a_sink_is_ringed_in_its_patch_and_said(page):
    ring, stage = part(page, "sinks"), page.locator("#main .stage").bounding_box()
    box = ring.bounding_box()
    centre = (box["x"] + box["width"] / 2 - stage["x"]) / stage["width"]
    assert centre == pytest.approx((4 + 56 * 3.5 / 4) / 64, abs=0.005)
    centre = (box["y"] + box["height"] / 2 - stage["y"]) / stage["height"]
    assert centre == pytest.approx(2.5 / 4, abs=0.005)
    assert box["width"] == pytest.approx(box["height"], abs=1), "round, although the picture is not square"
    expect(page.locator("#main .notes")).to_contain_text("Ringed: a patch that draws attention whatever is said")
    page.get_by_role("button", name="Sinks").click()
    expect(ring).to_be_hidden()


def test_a_word_without_a_map_says_so(page):
    expect(part(page, "nothing")).to_be_hidden()
    chip(page, 3).click()
    expect(part(page, "nothing")).to_be_visible()


def test_other_layers_come_and_go_and_the_range_is_remembered(page):
    chip(page, 5).focus()
    page.keyboard.press("]")
    page.get_by_role("button", name="Head").click()
    expect(part(page, "range")).to_be_hidden()
    expect(part(page, "layer-row")).to_be_hidden()
    page.get_by_role("button", name="Answer").click()
    expect(part(page, "range")).to_be_visible()
    assert part(page, "range-name").inner_text() == "Layers 4–5, mean"


def test_a_chosen_word_comes_back_after_a_view_of_one_word_alone(page):
    chip(page, 9).click()
    page.get_by_role("button", name="Alone").click()
    expect(page.locator("#main .chip")).to_have_count(1)
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#main .chip")).to_have_count(len(WORDS))
    expect(chip(page, 9)).to_have_attribute("aria-selected", "true")


def test_choosing_is_told_and_pointing_is_not(page):
    page.wait_for_load_state("networkidle")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    chip(page, 8).hover()
    page.mouse.move(*column(page, 1))
    page.mouse.click(*column(page, 1))
    thumbs(page)[1].fill("5")
    page.wait_for_timeout(300)
    assert requests == []
    chip(page, 9).click()
    told(page, index=9, value="blue")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    told(page, index=7, value="and")
    stage = page.locator("#main .stage").bounding_box()
    # The box begins a sixteenth into the picture: the third column and the second row of its patches.
    here = {"x": stage["width"] * (4 + 56 * 2.5 / 4) / 64, "y": stage["height"] * 1.5 / 4}
    page.locator("#main .stage").click(position=here)
    told(page, index=6, rows=4, columns=4)
    page.locator("#main .stage").click(position=here)
    told(page, index=None, rows=4, columns=4)


def test_several_hundred_words_stay_in_their_place_and_can_be_walked(page):
    height = page.locator("#main .viewer").bounding_box()["height"]
    page.get_by_role("button", name="Many").click()
    expect(page.locator("#main .chip")).to_have_count(len(WORDS) + 60 * (len(WORDS) - QUESTION))
    assert page.locator("#main .viewer").bounding_box()["height"] < height + 300
    expect(chip(page, 400)).to_have_attribute("aria-selected", "true")
    frame, box = part(page, "chips").bounding_box(), chip(page, 400).bounding_box()
    assert frame["y"] <= box["y"] < frame["y"] + frame["height"], "the word that is shown first is in sight"
    chip(page, 400).click()
    page.keyboard.press("ArrowDown")
    below = page.locator("#main .chip[aria-selected=true]").bounding_box()
    above = page.evaluate("() => document.querySelectorAll('#main .chip')[400].getBoundingClientRect().toJSON()")
    assert above["height"] / 2 < below["y"] - above["y"] < 1.6 * above["height"], "one line further down"
    assert abs(below["x"] - above["x"]) < 80
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    expect(page.locator("#main .chip").last).to_be_in_viewport()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_it_fits_its_screen_and_can_be_read(visit, address, width, theme):
    FOLDER.mkdir(exist_ok=True)
    page = visit(f"{address}?__theme={theme}", width)
    chip(page, 6).click()
    page.locator("#main .stage").click(position={"x": 150, "y": 110})
    page.mouse.move(1, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("footer").evaluate("footer => footer.remove()")  # Gradio's own
    assert page.evaluate(FAINT) == []
    page.locator("#main").screenshot(path=FOLDER / f"viewer-chat-{width}-{theme}.png")
    if width < 620:
        tops = [
            page.locator(f"#main {name}").bounding_box()["y"] for name in (".stage", ".chips", ".layers", ".controls")
        ]
        assert tops == sorted(tops), "the words come right after the picture, then the layers"
