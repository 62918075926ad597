"""The five steps in a real Chromium: the picture's own numbers in every formula, and nothing asked of the server."""

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.steps import steps
from mmexplorer.figures.steps import steps_payload
from mmexplorer.results import Classification, Trace, probabilities

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> ${document.title='pwned'} {{value}}"
TEMPLATES = ("a photo of a {}", "{}", "one {}", "a drawing of a {}")


def trace(labels, cosines, *, scale=10.0, bias=0.0, activation="softmax"):
    """A picture that points along the first of four axes, and labels whose cosines are given."""
    cosines = np.asarray(cosines, np.float32)
    texts = np.zeros((len(labels), 4), np.float32)
    texts[:, 0], texts[:, 1] = cosines, -np.sqrt(1 - cosines**2)
    prompts = tuple(tuple(template.replace("{}", label) for template in TEMPLATES) for label in labels)
    tokens = tuple(tuple(("[BOS]", "a", "[UNK]", "of", "[EOS]") for _ in row) for row in prompts)
    scores = probabilities(cosines[None], scale, bias, activation)
    result = Classification(
        labels, cosines[None], scores, scale, bias, activation, TEMPLATES, None, ("photo",), "toy-clip"
    )
    seen = Image.new("RGB", (64, 48), "red")
    return Trace(seen, (0, 0, 64, 48), (6, 8), prompts, tokens, np.array([1, 0, 0, 0], np.float32), texts, result)


LABELS = ("red circle", "blue square", HOSTILE, "d", "e", "f", "g")
SOFTMAX = steps_payload(trace(LABELS, [0.3, 0.5, 0.2, -0.1, 0.1, 0.0, -0.2]))
SIGMOID = steps_payload(trace(("yes", "no"), [0.5, 0.1], bias=-4.0, activation="sigmoid"))


@pytest.fixture(scope="module")
def address():
    with gr.Blocks(analytics_enabled=False) as demo:
        main = steps(elem_id="main")
        for name, value in {"softmax": SOFTMAX, "sigmoid": SIGMOID, "nothing": None}.items():
            gr.Button(name).click(lambda value=value: value, None, main, api_visibility="private")
        with gr.Tabs():
            gr.Tab("shown")
            with gr.Tab("hidden"):
                steps(value=SIGMOID, elem_id="second")
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield url
    demo.close()


@pytest.fixture
def opened(chromium, address):
    """A function that opens the page; afterwards nothing may have been written to the console as an error."""
    pages, faults = [], []

    def open_page(width=1280):
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{address}?__theme=light")
        page.locator("#main .empty").wait_for()
        pages.append(page)
        page.get_by_role("button", name="softmax").click()
        page.locator("#main .steps > li").first.wait_for()
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def step(page, number, root="#main"):
    return page.locator(f"{root} .steps > li").nth(number - 1)


def table(page, root="#main"):
    return [row.split("\t") for row in page.locator(f"{root} .scores tbody tr").all_inner_texts()]


def test_every_step_shows_this_pictures_numbers(opened):
    page = opened()
    assert page.locator("#main h4").all_inner_texts() == [
        "Encode the picture",
        "Write the prompts",
        "Encode the prompts",
        "Compare: cosines",
        "Scale and softmax",
    ]
    assert "64 × 48 pixels, cut into 8 × 6 = 48 patches, become a vector of 4 numbers" in step(page, 1).inner_text()
    assert step(page, 1).locator("img").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [64, 48]
    assert step(page, 2).locator("li").all_inner_texts() == [
        "a photo of a blue square",
        "blue square",
        "one blue square",
    ]
    assert "and 1 more" in step(page, 2).inner_text()
    assert step(page, 3).locator(".vector").count() == 5
    assert "1.000 × 0.500 + 0.000 × (−0.866) + 0.000 × 0.000 + … (4 terms) = 0.5000" in step(page, 4).inner_text()
    assert "logit = 10.00 × 0.5000 = 5.000" in step(page, 5).inner_text()


def test_the_softmax_adds_up_over_all_labels(opened):
    page = opened()
    exponentials = np.exp(10 * np.array([0.5, 0.3, 0.2, 0.1, 0.0, -0.1, -0.2]) - 5)
    rows = table(page)
    assert [row[0] for row in rows] == ["blue square", "red circle", HOSTILE, "e", "f", "2 more labels", "sum"]
    assert [row[3] for row in rows] == [
        *(f"{value:.4f}" for value in exponentials[:5]),
        f"{exponentials[5:].sum():.4f}",
        f"{exponentials.sum():.4f}",
    ]
    assert rows[1][4] == f"{100 * exponentials[1] / exponentials.sum():.1f}\u00a0%"
    assert page.locator("#main tr.winner th").inner_text() == "blue square"


def test_another_label_can_be_followed_without_the_server(opened):
    page = opened()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.get_by_role("radio", name="blue square").focus()
    page.keyboard.press("ArrowRight")
    assert step(page, 2).locator("li").first.inner_text() == "a photo of a red circle"
    assert "= 0.3000" in step(page, 4).inner_text()
    assert "exp(3.000 − 5.000) / " in step(page, 5).inner_text()
    assert [url for url in requests if url.startswith("http")] == []


def test_unknown_tokens_stand_out(opened):
    chips = step(opened(), 3).locator(".tokens li")
    kinds = chips.evaluate_all("chips => chips.map((chip) => chip.className)")
    assert kinds == ["special", "word", "unknown", "word", "special"]
    assert "unknown" in chips.nth(2).text_content()


def test_barcodes_hold_the_vectors(opened):
    strip = step(opened(), 3).locator("canvas").first
    pixels = strip.evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, 1).data]")
    alpha = np.array(pixels).reshape(-1, 4)[:, 3]
    assert alpha / 255 == pytest.approx([0.5, np.sqrt(0.75), 0, 0], abs=0.01)
    positive, negative = np.array(pixels).reshape(-1, 4)[:2, :3]
    assert abs(positive - negative).max() > 100


def test_sigmoid_takes_the_bias_and_has_no_sum(opened):
    page = opened()
    page.get_by_role("button", name="sigmoid").click()
    page.get_by_text("Scale and sigmoid").wait_for()
    assert "logit = 10.00 × 0.5000 − 4.0 = 1.000" in step(page, 5).inner_text()
    expected = 1 / (1 + np.exp(-1.0))
    assert f"probability = 1 / (1 + exp(−1.000)) = {100 * expected:.1f}\u00a0%" in step(page, 5).inner_text()
    assert [row[0] for row in table(page)] == ["yes", "no"]


def test_empty_hidden_and_hostile(opened):
    page = opened()
    assert HOSTILE in page.locator("#main .follow label").all_inner_texts()
    assert page.locator("#main img").count() == 1 and page.title() != "pwned"
    page.get_by_role("tab", name="hidden").click()
    page.locator("#second .steps > li").first.wait_for()
    assert table(page, "#second")[0][0] == "yes"
    page.get_by_role("button", name="nothing").click()
    page.locator("#main .empty").wait_for()
    assert page.locator("#main .filled").is_hidden()


def test_no_sideways_scrolling_on_a_phone(opened):
    page = opened(390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    outside = page.locator("#main .mm-steps").evaluate("""root => [...root.querySelectorAll("*")].filter((node) =>
        node.offsetParent && !node.closest(".scores, .unseen") &&
        node.getBoundingClientRect().right > root.getBoundingClientRect().right).map((node) => node.className)""")
    assert outside == []
