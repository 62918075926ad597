"""The gallery in a real Chromium: the card that is pressed is the point that is told, and text stays text."""

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer.components.gallery import gallery
from mmexplorer.explore.truth import draw_scene
from mmexplorer.figures.gallery import MAX_CARDS, Card, Lead, gallery_payload

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> ${document.title='pwned'} {{value}}"
SENTENCE = "a photo of a red circle above a blue square, to the left of a small green triangle and a yellow star"
EMPTY = "Nothing picked {{value}} ${1} <b>yet</b>."


def scene(seed, size=64):
    return draw_scene(seed)[0].resize((size, size), Image.Resampling.BOX)


def photo():
    ramp = np.linspace(0, 255, 300 * 200 * 3).reshape(200, 300, 3)
    return Image.fromarray(ramp.astype(np.uint8))


def picked(point=7, first=100):
    """A point and 12 neighbours, `first` and the following; every fourth a caption, every third of another class."""
    cards = [
        Card(
            first + i,
            None if i % 4 == 3 else scene(i),
            f"scene-{i:04}.png",
            SENTENCE if i % 2 else "a red circle",
            "red circle" if i % 3 else "blue square",
            score=0.95 - 0.08 * i,
            same=bool(i % 3),
        )
        for i in range(12)
    ]
    facts = (("class", "red circle"), ("objects", "4"), ("background", "grey"), ("split", "train"))
    lead = Lead(point, scene(99), "scene-0099.png", SENTENCE, facts)
    note = "Cosines of the toy CLIP."
    return gallery_payload(cards, heading="12 nearest neighbours", note=note, lead=lead, class_name="label")


def selection():
    """60 of 812 points, of 15 classes."""
    cards = [Card(i, photo() if i % 2 else scene(i), f"picture {i}", klass=f"class {i % 15}") for i in range(MAX_CARDS)]
    counts = [(f"class {i}", 100 - 5 * i) for i in range(15)]
    return gallery_payload(cards, heading="Selection", counts=counts, total=812)


def hostile():
    lead = Lead(0, None, HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),))
    cards = [Card(1, None, HOSTILE, HOSTILE, HOSTILE), Card(2, scene(0), HOSTILE, HOSTILE, HOSTILE, 0.5, True)]
    return gallery_payload(cards, heading=HOSTILE, note=HOSTILE, lead=lead, counts=[(HOSTILE, 3)], score_name=HOSTILE)


def caption():
    return gallery_payload(
        [Card(5, scene(5), "scene-0005.png", score=-0.25), Card(6, scene(6), "scene-0006.png", score=0.5)],
        heading="2 nearest pictures",
        lead=Lead(2007, None, "caption of scene-0007.png", SENTENCE),
    )


def hubs():
    cards = [Card(i, scene(i), f"hub {i}", score=score) for i, score in enumerate((1250, 400))]
    return gallery_payload(cards, score_name="times a neighbour")


@pytest.fixture(scope="module")
def address():
    values = {
        "Picked": picked(),
        "Selection": selection(),
        "Hostile": hostile(),
        "Caption": caption(),
        "Hubs": hubs(),
        "No hits": gallery_payload([], heading="No results"),
        "Clear": None,
    }
    with gr.Blocks(analytics_enabled=False) as demo:
        with gr.Row(elem_id="buttons"):
            for name in values:
                gr.Button(name, size="sm", min_width=40)
        main = gallery(empty=EMPTY, elem_id="main")
        told = gr.Textbox(elem_id="told")
        for button in demo.blocks.values():
            if isinstance(button, gr.Button):
                button.click(lambda value=values[button.value]: value, outputs=main, api_visibility="private")

        def tell(event: gr.SelectData):
            return f"{event.index} {event.value}", picked(111, 200) if event.index == 111 else gr.skip()

        main.select(tell, outputs=[told, main], api_visibility="private")
    demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield demo.local_url
    demo.close()


@pytest.fixture
def show(visit, address):
    """A function that opens the page and fills the gallery by one of the buttons."""

    def filled(name, width=1280, height=900, theme="light"):
        page = visit(f"{address}?__theme={theme}", width, height)
        page.get_by_role("button", name=name, exact=True).click()
        page.locator("#main .filled").wait_for()
        return page

    return filled


def cards(page):
    return page.locator("#main .card")


def told(page, text):
    sync_api.expect(page.locator("#told textarea")).to_have_value(text)


def focused(page):
    return page.evaluate("document.activeElement.dataset.point")


def test_without_a_value_it_says_what_to_do(visit, address, show):
    empty = visit(address).locator("#main .empty")
    assert empty.inner_text() == EMPTY
    page = show("Caption")
    sync_api.expect(page.locator("#main .empty")).to_be_hidden()
    page.get_by_role("button", name="Clear").click()
    sync_api.expect(page.locator("#main .empty")).to_be_visible()
    sync_api.expect(page.locator("#main .filled")).to_be_hidden()


def test_a_click_tells_the_point(show):
    page = show("Picked")
    cards(page).nth(5).click()
    told(page, "105 scene-0005.png")
    cards(page).nth(3).click()
    told(page, "103 scene-0003.png")


def test_arrow_keys_move_and_enter_and_space_press(show):
    page = show("Picked")
    page.keyboard.press("Tab")
    cards(page).first.focus()
    tops = cards(page).evaluate_all("all => all.map(card => card.getBoundingClientRect().top)")
    across = sum(top == tops[0] for top in tops)
    assert 1 < across < 12
    for key, point in (
        ("ArrowRight", 101),
        ("ArrowDown", 101 + across),
        ("ArrowUp", 101),
        ("ArrowLeft", 100),
        ("ArrowLeft", 100),
        ("ArrowUp", 100),
        ("End", 111),
        ("ArrowRight", 111),
        ("Home", 100),
        ("ArrowRight", 101),
    ):
        page.keyboard.press(key)
        assert focused(page) == str(point), key
    page.keyboard.press("Enter")
    told(page, "101 scene-0001.png")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    told(page, "102 scene-0002.png")


def test_the_tab_key_stops_once_and_comes_back_to_the_same_card(show):
    page = show("Picked")
    cards(page).first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert page.locator("#main .cards:focus-within").count() == 0
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "101"


def test_focus_stays_in_the_gallery_when_the_answer_comes(show):
    page = show("Picked")
    cards(page).nth(6).focus()
    for name, point in (("Selection", "0"), ("Picked", "100")):
        page.get_by_role("button", name=name, exact=True).evaluate("button => button.click()")
        page.wait_for_function(f"document.activeElement.dataset.point === '{point}'")


def test_a_card_that_becomes_the_lead_is_scrolled_to(show):
    page = show("Picked", 390, 800)
    cards(page).nth(11).click()
    sync_api.expect(cards(page).first).to_have_attribute("data-point", "200")
    page.wait_for_function("document.querySelector('#main .lead').getBoundingClientRect().top >= 0")


def test_neighbours_show_score_class_and_agreement_in_words(show):
    page = show("Picked")
    assert page.locator("#main .heading").inner_text() == "12 nearest neighbours"
    assert page.locator("#main .agreement").inner_text() == "✓ the same label: 8 of 12"
    assert cards(page).nth(1).locator(".class").inner_text() == "✓ red circle"
    assert cards(page).nth(0).locator(".class").inner_text() == "blue square"
    assert cards(page).nth(1).get_attribute("aria-label") == (
        f"scene-0001.png, {SENTENCE}, label red circle (the same), cosine 0.870"
    )
    assert cards(page).nth(0).get_attribute("aria-label") == (
        "scene-0000.png, a red circle, label blue square (another), cosine 0.950"
    )
    share = "score => parseFloat(getComputedStyle(score, '::after').width) / score.clientWidth"
    assert cards(page).nth(0).locator(".score").evaluate(share) == pytest.approx(0.95, abs=0.01)
    assert cards(page).nth(11).locator(".score").evaluate(share) == pytest.approx(0.07, abs=0.01)


def test_the_lead_has_its_picture_text_and_facts(show):
    lead = show("Picked").locator("#main .lead")
    assert lead.locator("h4").inner_text() == "scene-0099.png"
    assert lead.locator("blockquote").inner_text() == SENTENCE
    assert lead.locator("dl > div").all_inner_texts() == [
        "class\nred circle",
        "objects\n4",
        "background\ngrey",
        "split\ntrain",
    ]
    assert lead.locator("img").bounding_box()["width"] >= 200


def test_a_caption_leads_as_a_quote_and_negative_scores_have_no_bar(show):
    page = show("Caption")
    assert page.locator("#main .lead img").count() == 0
    assert page.locator("#main .lead blockquote").inner_text() == SENTENCE
    assert page.locator("#main .agreement").is_hidden()
    score = cards(page).nth(0).locator(".score")
    assert score.inner_text().split() == ["cosine", "−0.250"]
    assert score.evaluate("score => getComputedStyle(score, '::after').width") == "0px"


def test_tiny_pictures_keep_their_pixels_and_photos_are_smoothed(show):
    page = show("Selection")
    page.wait_for_function("[...document.querySelectorAll('#main img')].slice(0, 2).every(image => image.complete)")
    rendering = "image => getComputedStyle(image).imageRendering"
    assert cards(page).nth(0).locator("img").evaluate(rendering) == "pixelated"
    assert cards(page).nth(1).locator("img").evaluate(rendering) == "auto"


def test_a_selection_counts_classes_and_says_how_many_are_shown(show):
    page = show("Selection")
    assert cards(page).count() == MAX_CARDS
    assert page.locator("#main .shown").inner_text() == "60 of 812 shown"
    rows = [row.split("\n") for row in page.locator("#main .counts li").all_inner_texts()]
    assert len(rows) == 13
    assert rows[0] == ["class 0", "100", "10.3\u00a0%"]
    assert rows[12] == ["3 more", "105", "10.8\u00a0%"]
    widths = page.locator("#main .counts i").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert widths[1] / widths[12] == pytest.approx(95 / 105, abs=0.02)


def test_whole_scores_are_written_as_counts(show):
    page = show("Hubs")
    assert [text.split("\n")[-1] for text in cards(page).all_inner_texts()] == ["1,250", "400"]


def test_no_hits_leave_the_heading_alone(show):
    page = show("No hits")
    assert page.locator("#main .filled").inner_text().strip() == "No results"


def test_hostile_texts_stay_texts(show):
    page = show("Hostile")
    assert page.locator("#main .heading").inner_text() == HOSTILE
    assert page.locator("#main .lead blockquote").inner_text() == HOSTILE
    assert page.locator("#main .lead dd").inner_text() == HOSTILE
    assert page.locator("#main .counts .name").inner_text() == HOSTILE
    assert cards(page).nth(0).locator("q").text_content() == HOSTILE
    assert cards(page).nth(1).locator(".caption").text_content() == HOSTILE
    assert page.locator("#main img").count() == 1, "only the second card's picture"
    cards(page).nth(1).click()
    told(page, f"2 {HOSTILE}")
    assert page.title() != "pwned"


def test_a_phone_shows_two_columns_and_scrolls_no_way_sideways(show):
    page = show("Picked", 390, 800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [cards(page).nth(i).bounding_box() for i in range(3)]
    assert boxes[0]["y"] == boxes[1]["y"] < boxes[2]["y"]
    assert boxes[1]["x"] + boxes[1]["width"] <= 390
    caption = cards(page).nth(1).locator(".caption")
    height, line = caption.evaluate("text => [text.clientHeight, parseFloat(getComputedStyle(text).lineHeight)]")
    assert height == pytest.approx(2 * line, abs=1), "long captions are cut after two lines"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["Picked", "Selection"])
def test_every_text_can_be_read(show, name, theme):
    page = show(name, theme=theme)
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    page.evaluate("document.querySelectorAll('footer, #buttons, #told').forEach(other => other.remove())")
    page.wait_for_function("() => !document.querySelector('.pending')")  # Gradio pales what waits for an answer
    assert page.evaluate(FAINT) == []
