"""The score chart in a real Chromium: its numbers against Python's, and that nothing it does asks the server."""

import csv
import io
import json
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.scores import score_chart
from mmexplorer.figures.scores import scores_payload
from mmexplorer.results import Classification, probabilities

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> ${document.title='pwned'} {{value}}"
FORMULA = '=HYPERLINK("http://example.org","-1")'
TEMPLATES = ("a photo of a {}", "{}", "a drawing of a {}")
random = np.random.default_rng(0)


def classification(cosines, labels, *, logit_scale=14.3, logit_bias=0.0, activation="softmax", **fields):
    cosines = np.asarray(cosines, np.float32)
    scores = probabilities(cosines, logit_scale, logit_bias, activation)
    return Classification(tuple(labels), cosines, scores, logit_scale, logit_bias, activation, **fields)


LABELS = ("red circle", "blue square", HOSTILE, FORMULA)
ONE = classification(
    [[0.25, 0.22, 0.19, -0.05]],
    LABELS,
    model="toy-clip",
    templates=TEMPLATES,
    template_cosines=np.array([[[0.3, 0.2, 0.1, 0]], [[0.2, 0.3, 0.1, 0]], [[0.27, 0.2, 0.1, 0]]], np.float32),
    unknown_words=("square",),
)
OTHER = classification([[0.1, 0.3, 0.2, 0.0]], LABELS, model="toy-clip", logit_scale=30.0)
MANY = classification(random.normal(0.2, 0.1, (6, 4)), LABELS, model="toy-clip")
THOUSAND = classification(random.normal(0.2, 0.1, (3, 1000)), [f"label {i}" for i in range(1000)], model="toy-clip")
SIGLIP = classification(
    [[0.12, 0.02, 0.1, 0]], LABELS, model="siglip", logit_scale=117.3, logit_bias=-12.9, activation="sigmoid"
)
COLOURS = ("red", "green", "blue", "orange", "purple", "teal")
THUMBNAILS = [Image.new("RGB", (64, 64), colour) for colour in COLOURS]
VALUES = {
    "one": scores_payload([ONE], thumbnails=THUMBNAILS[:1], picture_names=["my dog.png"], remarks=["A remark."]),
    "other": scores_payload([OTHER]),
    "many": scores_payload([MANY], thumbnails=THUMBNAILS, picture_names=COLOURS),
    "thousand": scores_payload([THOUSAND]),
    "models": scores_payload([ONE, OTHER, SIGLIP], names=["A", "B", "C"]),
    "nothing": None,
}


@pytest.fixture(scope="module")
def address():
    with gr.Blocks(analytics_enabled=False) as demo:
        chart = score_chart(elem_id="main")
        for name, value in VALUES.items():
            gr.Button(name).click(lambda value=value: value, None, chart, api_visibility="private")
        with gr.Tabs():
            gr.Tab("shown")
            with gr.Tab("hidden"):
                score_chart(value=VALUES["other"], elem_id="second")
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield url
    demo.close()


@pytest.fixture
def opened(chromium, address):
    """A function that opens the page; afterwards nothing may have been written to the console as an error."""
    pages, faults = [], []

    def open_page(value="one", width=1280, theme="light"):
        page = chromium.new_page(viewport={"width": width, "height": 900}, accept_downloads=True)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{address}?__theme={theme}")
        page.locator("#main .mm-scores").wait_for()
        pages.append(page)
        if value:
            show(page, value)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def show(page, value):
    """Press the button that sends a payload, and wait until the chart has drawn it anew."""
    page.locator("#main .bars > *").evaluate_all("parts => parts.forEach((part) => { part.dataset.stale = 1; })")
    page.get_by_role("button", name=value, exact=True).click()
    if VALUES[value]:
        page.wait_for_function(
            """() => document.querySelector("#main .rows li") && !document.querySelector("#main [data-stale]")"""
        )
    else:
        page.locator("#main .empty").wait_for()


def scores(page, root="#main"):
    """{label: probability} as the page holds them, in the order of its rows."""
    rows = page.locator(f"{root} .rows li")
    return dict(
        rows.evaluate_all(
            "rows => rows.map(r => [r.querySelector('.label').textContent, "
            "Number(r.querySelector('.number').dataset.value)])"
        )
    )


def assert_probabilities(page, result, picture=0, root="#main"):
    shown = scores(page, root)
    for label, expected in zip(result.labels, result.probabilities[picture], strict=True):
        assert shown[label] == pytest.approx(float(expected), abs=1e-6)


def set_scale(page, scale):
    page.locator("#main .scale-number").fill(str(scale))
    page.wait_for_timeout(60)


def choose(page, text):
    page.locator("#main fieldset").get_by_text(text, exact=True).click()


def test_numbers_equal_pythons_at_every_scale_and_activation(opened):
    page = opened()
    assert_probabilities(page, ONE)
    for scale in (1, 40, 100, 200):
        set_scale(page, scale)
        assert_probabilities(page, ONE.rescaled(scale))
    # By hand: at 100 the cosines .25, .22, .19 are 3 and 6 logits apart.
    set_scale(page, 100)
    assert scores(page)["red circle"] == pytest.approx(1 / (1 + np.exp(-3) + np.exp(-6) + np.exp(-30)), abs=1e-6)
    choose(page, "each on its own")
    assert_probabilities(page, ONE.rescaled(100, "sigmoid"))
    assert "Not calibrated" in page.locator("#main .caution").inner_text()


def test_a_sliding_scale_asks_the_server_nothing_and_keeps_rows_where_they_are(opened):
    page = opened("many")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    slider = page.get_by_label("Logit scale", exact=True)
    slider.focus()
    order, before = list(scores(page)), scores(page)
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(100)
    scale = 200 ** float(slider.input_value())
    assert scale == pytest.approx(14.3 * 200 ** (20 * 0.005), rel=0.02)
    assert_probabilities(page, MANY.rescaled(scale))
    assert scores(page) != before and list(scores(page)) == order
    assert slider.get_attribute("aria-valuetext") == f"{scale:.1f}"
    choose(page, "each on its own")
    choose(page, "as typed")
    choose(page, "cosine")
    page.locator("#main .matrix tbody button").nth(3).click()
    assert [url for url in requests if url.startswith("http")] == []


def test_order_and_winner(opened):
    page = opened("other")
    assert list(scores(page)) == ["blue square", HOSTILE, "red circle", FORMULA]
    winner = page.locator("#main .rows li:has(.winner)")
    assert winner.count() == 1 and "blue square" in winner.inner_text()
    choose(page, "as typed")
    assert list(scores(page)) == list(LABELS)
    assert page.locator("#main .rows li").first.locator(".cosine").inner_text().endswith("0.100")


def test_only_what_the_visitor_changed_survives_a_new_result(opened):
    page = opened()
    number, own = page.locator("#main .scale-number"), page.locator("#main .own")
    assert page.locator("#main .own-name").inner_text() == "model: 14.3"
    show(page, "other")
    assert (number.input_value(), own.inner_text()) == ("30", "the model's own")
    set_scale(page, 50)
    assert own.inner_text() == "changed by you"
    show(page, "one")
    assert number.input_value() == "50"
    assert_probabilities(page, ONE.rescaled(50))
    page.get_by_role("button", name="reset").click()
    assert_probabilities(page, ONE)
    show(page, "other")
    assert_probabilities(page, OTHER)


def test_matrix_rows_lead_to_bars_and_cells_tell_exact_values(opened):
    page = opened("many")
    rows = page.locator("#main .matrix tbody tr")
    assert rows.count() == 6 and rows.locator("img").count() == 6
    assert page.locator("#main .matrix td.winner").count() == 6
    for picture in (4, 1):
        rows.nth(picture).get_by_role("button").click()
        assert page.locator("#main .picture-name").inner_text() == COLOURS[picture]
        assert_probabilities(page, MANY, picture)
        best = MANY.labels[int(MANY.cosines[picture].argmax())]
        assert page.locator("#main .rows li:has(.winner) .label").inner_text() == best
    page.keyboard.press("ArrowDown")
    assert page.locator("#main .picture-name").inner_text() == COLOURS[2]
    rows.nth(3).locator("td[data-label='1']").hover()
    readout = page.locator("#main .readout").inner_text()
    assert readout.startswith("orange × blue square: probability")
    assert f"{100 * MANY.probabilities[3, 1]:.3f}" in readout
    assert f"{abs(MANY.cosines[3, 1]):.4f}" in readout
    cell = rows.nth(3).locator("td[data-label='0']")
    assert cell.inner_text() == f"{100 * MANY.probabilities[3, 0]:.0f}"
    choose(page, "cosine")
    assert float(cell.inner_text().replace("−", "-")) == pytest.approx(MANY.cosines[3, 0], abs=0.005)


def test_a_thousand_labels_show_twenty_until_asked(opened):
    page = opened("thousand")
    best = [f"label {i}" for i in np.argsort(-THOUSAND.cosines[0], kind="stable")[:20]]
    assert list(scores(page)) == best
    assert page.locator("#main .matrix thead th").count() == 21
    assert page.locator("#main .shown").inner_text() == "the 20 highest of 1,000 labels"
    page.get_by_label("Filter labels").fill("LABEL 99")
    assert set(scores(page)) == {"label 99", *(f"label {i}" for i in range(990, 1000))}
    # A filter hides rows; it does not let fewer labels compete.
    assert scores(page)["label 99"] == pytest.approx(float(THOUSAND.probabilities[0, 99]), abs=1e-6)
    page.get_by_label("Filter labels").fill("")
    page.get_by_role("button", name="Show all").click()
    assert_probabilities(page, THOUSAND)


def test_which_wording_wins(opened):
    page = opened()
    rows = page.locator("#main .templates tbody tr")
    assert [row.split("\t")[:2] for row in rows.all_inner_texts()] == [
        ["ensemble of 3", "red circle"],
        ["a photo of a {}", "red circle"],
        ["{}", "blue square"],
        ["a drawing of a {}", "red circle"],
    ]
    alone = probabilities(ONE.template_cosines, 14.3, 0.0, "softmax")[:, 0]
    assert f"{100 * alone[0, 0]:.1f}" in rows.nth(1).inner_text()
    sentence = page.locator("#main .spread .quiet").inner_text()
    assert "1 of 3 templates alone would choose another label" in sentence
    ranges = page.locator("#main .strips li").first.locator(".number").inner_text()
    assert ranges == f"{100 * alone[:, 0].min():.1f}\u00a0% – {100 * alone[:, 0].max():.1f}\u00a0%"
    show(page, "other")
    assert page.locator("#main .spread").is_hidden()


def test_models_side_by_side_start_at_their_own_scale_and_share_the_slider(opened):
    page = opened("models")

    def columns():
        script = (
            "rows => rows.map(r => [...r.querySelectorAll('.number[data-value]')].map(n => Number(n.dataset.value)))"
        )
        return np.array(page.locator("#main .rows li").evaluate_all(script))

    choose(page, "as typed")
    results = (ONE, OTHER, SIGLIP)
    assert columns() == pytest.approx(np.stack([r.probabilities[0] for r in results], axis=1), abs=1e-6)
    assert page.locator("#main .own-scale").all_inner_texts() == [
        "softmax, scale 14.3", "softmax, scale 30.0", "sigmoid, scale 117",
    ]  # fmt: skip
    assert page.locator("#main .model-name").all_inner_texts() == ["A", "B", "C"]
    set_scale(page, 60)
    assert columns() == pytest.approx(np.stack([r.rescaled(60).probabilities[0] for r in results], axis=1), abs=1e-6)
    choose(page, "compete")
    shared = [r.rescaled(60, "softmax").probabilities[0] for r in results]
    assert columns() == pytest.approx(np.stack(shared, axis=1), abs=1e-6)


def download(page, name):
    with page.expect_download() as waiting:
        page.locator("#main").get_by_role("button", name=name, exact=True).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_json_and_csv_downloads_are_complete(opened):
    page = opened()
    set_scale(page, 25)
    name, content = download(page, "JSON")
    assert name == "scores-toy-clip-my-dog.json"
    saved = json.loads(content)
    model = saved["models"][0]
    assert (saved["labels"], saved["pictures"]) == (list(LABELS), ["my dog.png"])
    assert (model["logit_scale"], model["model_logit_scale"], model["activation"]) == (25, 14.3, "softmax")
    assert model["templates"] == list(TEMPLATES)
    assert np.array_equal(np.array(model["cosines"], np.float32), ONE.cosines)
    assert np.array_equal(np.array(model["template_cosines"], np.float32), ONE.template_cosines)
    assert np.array(model["probabilities"]) == pytest.approx(ONE.rescaled(25).probabilities, abs=1e-6)

    name, content = download(page, "CSV")
    assert name == "scores-toy-clip-my-dog.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["label"] for row in rows] == ["red circle", "blue square", HOSTILE, "'" + FORMULA]
    assert [np.float32(row["cosine"]) for row in rows] == list(ONE.cosines[0])
    expected = pytest.approx(ONE.rescaled(25).probabilities[0], abs=1e-6)
    assert np.array([float(row["probability"]) for row in rows]) == expected
    assert {(r["model"], r["picture"], r["activation"], r["logit_scale"], r["templates"]) for r in rows} == {
        ("toy-clip", "my dog.png", "softmax", "25", " | ".join(TEMPLATES))
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_png_downloads_are_drawn_at_twice_the_size_in_the_theme(opened, theme):
    page = opened("many", theme=theme)
    name, content = download(page, "PNG")
    bars = Image.open(io.BytesIO(content)).convert("RGB")
    assert name == "scores-toy-clip-red.png" and bars.width >= 1200
    paper = bars.getpixel((3, 3))
    assert (sum(paper) > 600) == (theme == "light")
    accent = page.locator("#main .winner .bar").evaluate("bar => getComputedStyle(bar).backgroundColor")
    accent = tuple(int(c) for c in accent[4:-1].split(","))
    colours = {colour: count for count, colour in bars.getcolors(1 << 20)}
    # The winner's bar: 14 pixels high, its probability of 474 wide, twice each.
    assert colours[accent] == pytest.approx(28 * 2 * 474 * MANY.probabilities[0].max(), rel=0.02)
    name, content = download(page, "PNG of the matrix")
    matrix = Image.open(io.BytesIO(content)).convert("RGB")
    assert name == "scores-toy-clip-6-pictures-matrix.png"
    assert (255, 0, 0) in {colour for _, colour in matrix.getcolors(1 << 20)}  # the red thumbnail


def test_hostile_labels_are_shown_literally(opened):
    page = opened()
    assert HOSTILE in page.locator("#main .rows .label").all_inner_texts()
    assert page.locator("#main .rows img, #main .spread img").count() == 0
    assert page.title() != "pwned"
    assert page.locator("#main .remarks li").all_inner_texts() == ["A remark.", "toy-clip does not know: square."]


def test_nothing_to_show_says_what_to_do(opened):
    page = opened(None)
    empty = page.locator("#main .empty")
    assert empty.inner_text() == "Add a picture and labels, then press Classify."
    show(page, "one")
    assert empty.is_hidden()
    show(page, "nothing")
    assert empty.is_visible() and page.locator("#main .filled").is_hidden()


def test_charts_do_not_interfere_and_work_in_a_tab_that_was_hidden(opened):
    page = opened()
    set_scale(page, 100)
    page.get_by_role("tab", name="hidden").click()
    page.locator("#second .rows li").first.wait_for()
    assert_probabilities(page, OTHER, root="#second")
    page.locator("#second fieldset").get_by_text("each on its own", exact=True).click()
    assert_probabilities(page, OTHER.rescaled(30, "sigmoid"), root="#second")
    assert_probabilities(page, ONE.rescaled(100))


@pytest.mark.parametrize("value", ["one", "many", "thousand", "models"])
def test_no_sideways_scrolling_on_a_phone(opened, value):
    page = opened(value, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = page.locator("#main .mm-scores").evaluate("""root => [...root.querySelectorAll("*")].filter((node) =>
        node.offsetParent && !node.closest(".matrix-box, .templates, .unseen") &&
        node.getBoundingClientRect().right > root.getBoundingClientRect().right + 1).map((node) => node.className)""")
    assert inside == []
    if value == "thousand":
        box, head = page.locator("#main .matrix-box"), page.locator("#main .matrix tbody th").first
        before = head.bounding_box()["x"]
        box.evaluate("box => { box.scrollLeft = 200; }")
        assert box.evaluate("box => box.scrollLeft") == 200
        assert head.bounding_box()["x"] == before
