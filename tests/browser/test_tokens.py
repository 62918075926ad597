"""The tokens of an answer in a real Chromium: every probability readable, by mouse, keyboard and touch."""

from pathlib import Path

import gradio as gr
import pytest

from mmexplorer.components.tokens import tokens
from mmexplorer.figures.tokens import tokens_payload
from mmexplorer.replies import Reply, TokenChoice

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">${document.title='pwned'}{{value}}"
OTHERS = ((91, " red", 0.05), (92, "\n", 0.03), (93, HOSTILE, 0.02), (2, "</s>", 0.01))


def choice(token, text, probability):
    """A token that is the likeliest above one half, and otherwise none of the likeliest."""
    own = ((token, text, probability),) if probability > 0.5 else ((90, " blue", 0.6),)
    return TokenChoice(token, text, probability, own + OTHERS)


def answer(texts, probabilities, **reply):
    pairs = enumerate(zip(texts, probabilities, strict=True), 10)
    chosen = [choice(number, text, probability) for number, (text, probability) in pairs]
    if reply.get("ended", "end") == "end":
        chosen.append(TokenChoice(2, "", 0.75, ((2, "</s>", 0.75), (91, " red", 0.1))))
    return tokens_payload(Reply("".join(texts), tuple(chosen), model="toy-llava", **reply))


VALUES = {
    "plain": answer(
        ("a", " red", " circle", " under", " squ", "are"),
        (0.99, 0.8, 0.55, 0.25, 0.9, 0.97),
        settings={"temperature": 0.7, "forced": {5: 15}},
    ),
    "hostile": answer(
        ("", HOSTILE, " \n", "\n\n", "x" * 400, " ", " \u202elive"), (0.9, 0.7, 0.3, 0.8, 0.6, 0.9, 0.9), ended="length"
    ),
    "long": answer([" word"] * 400, [0.6 + (i % 40) / 100 for i in range(400)], ended="length"),
    "nothing": None,
    "stopped at once": answer((), (), ended="stopped"),
}


def build():
    main = tokens(elem_id="main")
    told = gr.Textbox(elem_id="told")

    def tell(event: gr.EventData) -> str:
        return f"{event.position} {event.id} {event.index} {event.value}"

    main.force(tell, None, told, api_visibility="private")
    return main


@pytest.fixture(scope="module")
def address(component_page):
    with component_page(VALUES, build) as url:
        yield url


@pytest.fixture
def opened(visit, address):
    def open_page(value="plain", width=1280, theme="light"):
        page = visit(f"{address}?__theme={theme}", width)
        page.locator("#main .empty").wait_for()
        page.get_by_role("button", name=value, exact=True).click()
        page.locator("#main .token").first.wait_for()
        return page

    return open_page


def token(page, number):
    return page.locator("#main .token").nth(number)


def chosen(page) -> str:
    return page.locator("#main h4").text_content()


def kept(page) -> list[int]:
    return page.eval_on_selector_all(
        "#main .token", "all => all.map((t, i) => t.ariaSelected === 'true' ? i : -1).filter((i) => i >= 0)"
    )


def drawn_share(page, number) -> float:
    """The part of a token's width that its bar covers, as the browser computes it."""
    size = token(page, number).evaluate("t => getComputedStyle(t).backgroundSize")
    return float(size.split("%")[0].removeprefix("calc(")) / 100


def test_every_token_shows_its_probability(opened):
    page = opened()
    assert page.locator("#main .token").evaluate_all("all => all.map((t) => t.firstChild.textContent)") == [
        "a", "red", "circle", "under", "squ", "are", "</s>",
    ]  # fmt: skip
    assert page.locator("#main .flow").evaluate("f => f.innerText") == "a red circle under square </s>"
    assert [drawn_share(page, i) for i in range(4)] == pytest.approx([0.99, 0.8, 0.55, 0.25], abs=1e-3)
    assert token(page, 3).get_attribute("aria-label") == "“under”, 25.0\u00a0%"
    assert page.locator("#main .summary").inner_text() == (
        "7 tokens, 6 of them the likeliest. Least sure: “under”, 25.0\u00a0%."
    )
    page.get_by_role("button", name="Numbers").click()
    expect(token(page, 3).locator("small")).to_be_visible()
    assert token(page, 3).locator("small").inner_text() == "25.0\u00a0%"


def test_the_card_shows_what_else_was_likely(opened):
    page = opened()
    token(page, 1).click()
    assert chosen(page) == "␣red"
    assert "token 2 of 7, 80.0\u00a0%" in page.locator("#main .chosen").inner_text()
    rows = page.locator("#main .alternatives li")
    assert rows.locator(".name").all_text_contents() == ["␣red", "␣red", "↵", HOSTILE, "</s>"]
    assert rows.locator(".number").all_inner_texts() == [f"{p}\u00a0%" for p in ("80.0", "5.0", "3.0", "2.0", "1.0")]
    widths = rows.locator(".track").evaluate_all("all => all.map((t) => t.firstChild.offsetWidth / t.offsetWidth)")
    assert widths == pytest.approx([0.8, 0.05, 0.03, 0.02, 0.01], abs=0.02)
    # Only the others can be chosen, and a token outside the likeliest has a row of its own.
    assert rows.get_by_role("button").count() == 4
    token(page, 3).click()
    assert rows.locator(".name").last.text_content() == "␣under" and rows.count() == 6
    assert page.locator("#main .why").inner_text() == (
        "Not among the five likeliest here; drawn by chance at temperature 0.7."
    )


def test_pointing_shows_and_clicking_keeps(opened):
    page = opened("plain")
    token(page, 0).click()
    token(page, 2).hover()
    assert chosen(page) == "␣circle" and kept(page) == [0]
    page.locator("#main .summary").hover()
    assert chosen(page) == "a"


def test_it_opens_at_what_the_visitor_put_there_or_else_where_the_model_was_least_sure(opened):
    page = opened("long")
    assert chosen(page) == "␣word" and kept(page) == [0]
    page.get_by_role("button", name="plain").click()
    expect(token(page, 5)).to_have_attribute("aria-selected", "true")
    assert page.locator("#main .why").inner_text() == "The likeliest here; put there by you."
    assert "put there by you" in token(page, 5).get_attribute("aria-label")
    page.get_by_role("button", name="hostile").click()
    expect(page.locator("#main .of-forced")).to_be_hidden()
    assert kept(page) == [2]


def test_continue_tells_position_and_id_and_nothing_else_asks_the_server(opened):
    page = opened()
    page.wait_for_load_state("networkidle")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    for number in (0, 3, 1):
        token(page, number).hover()
        token(page, number).click()
    assert requests == []
    page.get_by_role("button", name="Continue with “↵” in place of “red”").click()
    expect(page.locator("#told textarea")).to_have_value("1 92 2 ↵")
    page.get_by_role("button", name="Continue with end of the answer in place of “red”").click()
    expect(page.locator("#told textarea")).to_have_value("1 2 4 </s>")


def test_keyboard_alone_is_enough(opened):
    page = opened("long")
    token(page, 0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert kept(page) == [2]
    page.keyboard.press("ArrowDown")
    below, above = token(page, kept(page)[0]).bounding_box(), token(page, 2).bounding_box()
    assert below["y"] > above["y"] and abs(below["x"] - above["x"]) < above["width"]
    page.keyboard.press("ArrowUp")
    assert kept(page) == [2]
    page.keyboard.press("End")
    assert kept(page) == [399]
    expect(token(page, 399)).to_be_in_viewport()
    page.keyboard.press("ArrowRight")
    assert kept(page) == [399]
    page.keyboard.press("Tab")  # one stop for all tokens, then what can be done with the chosen one
    page.keyboard.press("Enter")
    expect(page.locator("#told textarea")).to_have_value("399 91 1 red")
    page.keyboard.press("Escape")
    assert kept(page) == []
    expect(page.locator("#main .card")).to_contain_text("Point at a token")
    assert page.evaluate("document.activeElement.dataset.position") == "399"


def test_hostile_and_invisible_texts_are_harmless_and_readable(opened):
    page = opened("hostile")
    shown = page.locator("#main .token").evaluate_all("all => all.map((t) => t.firstChild.textContent)")
    assert shown == ["token 10", HOSTILE, "↵", "↵↵", "x" * 400, "␣", "‹U+202E›live"]
    assert page.locator("#main img").count() == 0 and page.title() != "pwned"
    assert page.locator("#main .flow br").count() == 3
    token(page, 4).click(position={"x": 20, "y": 10})
    outside = page.locator("#main .mm-tokens").evaluate(
        "root => [...root.querySelectorAll('*')].filter((n) => n.offsetParent && "
        "n.getBoundingClientRect().right > root.getBoundingClientRect().right).length"
    )
    assert outside == 0


def test_no_answer_and_an_answer_without_tokens_say_what_to_do(opened):
    page = opened()
    for name in ("nothing", "stopped at once"):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#main .empty")).to_contain_text("Ask something")
        expect(page.locator("#main .filled")).to_be_hidden()
        page.get_by_role("button", name="plain").click()
        expect(page.locator("#main .filled")).to_be_visible()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_state_fits_its_screen_and_is_readable(opened, width, theme):
    FOLDER.mkdir(exist_ok=True)
    page = opened("plain", width, theme)
    for name in ("plain", "hostile", "long"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("#main .flow")).to_contain_text({"plain": "are", "hostile": "live", "long": "word"}[name])
        token(page, 1).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT) == []
        page.locator("#main").screenshot(path=FOLDER / f"tokens-{name}-{width}-{theme}.png")
