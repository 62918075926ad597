"""The chat tab in a real Chromium: conversations, and everything that can be asked about an answer."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

import mmexplorer
from mmexplorer import residency
from mmexplorer.explore import experiments
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.tabs.chat_inputs import EXAMPLES

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

PICTURES = ASSETS / "images" / "chat"
PAIR, STARS = PICTURES / "red-circle-blue-square.png", PICTURES / "three-yellow-stars.png"


def picture_of(tab) -> str:
    """What the viewer draws."""
    return tab.viewer.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")


def answered(*turns) -> str:
    *_, last = mmexplorer.chat(list(turns))
    return last.reply.text


def test_before_anything_is_asked_the_page_says_what_to_do_and_loads_nothing(chat):
    expect(chat.talk).to_contain_text("Add a picture, then ask about it")
    expect(chat.viewer).to_contain_text("Ask about a picture to see what each word looked at.")
    expect(chat.tokens).to_contain_text("Ask something")
    assert residency.loaded() == []


def test_an_example_is_asked_with_one_click_and_its_words_have_maps_and_truth(chat):
    name, question = EXAMPLES[1]
    answer = chat.example(1)
    expected = mmexplorer.answer(PICTURES / name, question)
    assert answer == expected.text and chat.said() == [question, answer]
    assert chat.chips() == [word.text for word in expected.attention.words]
    assert chat.tokens.locator(".token").count() == len(expected.tokens)
    expect(chat.page.locator("#chat-meta")).to_contain_text(f"{expected.image_tokens} image tokens read")
    expect(chat.viewer.get_by_role("button", name="Ground truth")).to_be_visible()
    chat.unfold("What the model sees")
    expect(chat.page.locator("#chat-views")).to_contain_text("64 × 64 pixels")
    expect(chat.page.locator("#mm-memory")).to_contain_text("toy-llava in memory")


def test_a_conversation_goes_on_is_edited_asked_again_taken_back_and_cleared(chat):
    chat.upload(PAIR)
    first = chat.ask("describe the picture")
    assert first == answered(("user", "describe the picture", [PAIR])) and chat.pictures() == 0 and chat.typed() == ""
    turns = [("user", "describe the picture", [PAIR]), ("assistant", first)]
    second = chat.ask("how many shapes are there?")
    assert second == answered(*turns, ("user", "how many shapes are there?"))
    chat.choose("which", "1. describe")  # the words of the earlier answer come back
    expect(chat.viewer.locator(".chip")).to_have_count(3 + len(first.split()))

    with chat.finished():
        chat.talk.get_by_role("button", name="Edit").nth(1).click()
        chat.talk.locator("textarea").fill("is there a <b>blue</b> square?")
        chat.talk.get_by_role("button", name="Submit").click()
    asked = "is there a <b>blue</b> square?"
    assert chat.said() == ["describe the picture", first, asked, answered(*turns, ("user", asked))]
    with chat.finished():
        chat.talk.get_by_role("button", name="Retry").click()
    assert chat.said()[2:] == [asked, answered(*turns, ("user", asked))]

    chat.talk.get_by_role("button", name="Undo").click()
    expect(chat.page.locator("#chat-question textarea")).to_have_value(asked)
    assert chat.said() == ["describe the picture", first]
    chat.talk.get_by_role("button", name="Undo").click()
    expect(chat.page.locator("#chat-strip button[aria-label^=Thumbnail]")).to_have_count(1)
    assert chat.typed() == "describe the picture" and chat.said() == []
    expect(chat.viewer).to_contain_text("Ask about a picture")

    chat.ask("what is this?")
    chat.talk.get_by_role("button", name="Clear").click()
    expect(chat.talk).to_contain_text("Add a picture, then ask about it")
    expect(chat.viewer).to_contain_text("Ask about a picture")


def test_editing_the_first_question_cuts_the_conversation_there_and_keeps_its_pictures(chat):
    chat.upload(PAIR)
    chat.ask("describe the picture")
    chat.ask("how many shapes are there?")
    with chat.finished():
        chat.talk.get_by_role("button", name="Edit").first.click()
        chat.talk.locator("textarea").fill("what is this?")
        chat.talk.get_by_role("button", name="Submit").click()
    assert chat.said() == ["what is this?", answered(("user", "what is this?", [PAIR]))]


def test_several_pictures_go_with_one_question_and_each_has_its_maps(chat):
    chat.upload(PAIR, STARS)
    chat.page.locator("#chat-strip").get_by_role("button", name="Delete image").first.click()
    expect(chat.page.locator("#chat-strip button[aria-label^=Thumbnail]")).to_have_count(1)
    chat.upload(PAIR)
    assert chat.ask("describe the picture") == answered(("user", "describe the picture", [STARS, PAIR]))
    expect(chat.page.locator("#chat-meta")).to_contain_text("128 image tokens read")
    before = chat.viewer.locator("img[data-part=picture]").get_attribute("src")
    chat.choose("picture", "2 of 2")
    expect(chat.viewer.locator("img[data-part=picture]")).not_to_have_attribute("src", before)


def test_another_token_is_forced_and_the_answer_goes_on_from_there(chat):
    chat.upload(PAIR)
    chat.ask("describe the picture")
    free = mmexplorer.answer(PAIR, "describe the picture")
    runner_up = free.tokens[1].alternatives[1]
    chat.tokens.locator(".token").nth(1).click()
    with chat.finished():
        chat.tokens.get_by_role("button", name="Continue").first.click()
    forced = mmexplorer.answer(PAIR, "describe the picture", forced={1: runner_up[0]})
    assert chat.said()[-1] == forced.text != free.text
    expect(chat.tokens.locator(".token.forced")).to_have_count(1)


def test_views_of_the_attention(chat):
    chat.example(0)
    shown = {"Attention": picture_of(chat)}
    for view in ("Minus the mean", "Relative to a neutral question"):
        chat.choose("view", view)
        shown[view] = picture_of(chat)
    chat.choose("heads", "One head")
    expect(chat.page.get_by_label("Layer of the head").first).to_be_visible()
    shown["one head"] = picture_of(chat)
    assert len(set(shown.values())) == len(shown)
    chat.choose("view", "Gradient x attention of one word")
    expect(chat.viewer.locator(".chip")).to_have_count(1)
    with chat.finished():
        chat.page.locator("#chat-sinks input").click()
    expect(chat.page.locator("#chat-status")).to_contain_text("sink")
    chat.ask("what colour is the circle?")  # whose first view is the default again, and the controls say so
    expect(chat.page.locator("#chat-view input")).to_have_value("Attention")
    expect(chat.page.locator("#chat-heads input")).to_have_value("Mean")
    expect(chat.page.locator("#chat-sinks input")).not_to_be_checked()
    expect(chat.page.get_by_label("Layer of the head").first).to_be_hidden()


def test_the_share_of_one_head_is_that_heads_own(chat):
    chat.example(1)
    chat.choose("heads", "One head")
    share = chat.viewer.locator(".facts dd").first.inner_text()
    expect(chat.viewer.locator(".segments [data-role=image] b")).to_have_text(share)


def test_a_word_chosen_in_the_list_is_shown_in_the_viewer(chat):
    chat.example(1)
    word = mmexplorer.answer(PICTURES / EXAMPLES[1][0], EXAMPLES[1][1]).attention.words[-2].text
    chat.page.locator("#chat-word input").click()
    chat.page.locator("li[role=option]").filter(has_text=word).first.click()
    expect(chat.viewer.locator(".chip[aria-selected=true]")).to_have_text(word)


def test_the_first_picture_can_come_from_the_camera_or_the_clipboard(chat):
    strip = chat.page.locator("#chat-strip")
    for name in ("Capture from camera", "Paste from clipboard"):
        button, frame = strip.get_by_label(name).bounding_box(), strip.bounding_box()
        assert button["y"] + button["height"] < frame["y"] + frame["height"]  # not cut off


def test_a_patch_lights_the_words_that_look_at_it_and_the_slider_moves_through_the_layers(chat):
    chat.example(1)
    before = picture_of(chat)
    chat.viewer.locator(".chip").last.press("[")
    chat.page.wait_for_function(
        "before => document.querySelector('#chat-viewer canvas').toDataURL() !== before", arg=before
    )
    stage = chat.viewer.locator("[data-part=stage]").bounding_box()
    chat.page.mouse.click(stage["x"] + stage["width"] * 0.3, stage["y"] + stage["height"] * 0.3)
    expect(chat.viewer).not_to_contain_text("Point at a patch of the picture")
    chip = chat.viewer.locator(".chip").last
    chip.click()
    expect(chat.page.locator("#chat-word input")).to_have_value(chip.inner_text())


def test_patches_are_hidden_and_the_question_is_asked_again(chat):
    chat.example(1)
    chat.unfold("Causal check")
    with chat.finished():
        chat.page.locator("#chat-run-check").click()
    causal = chat.page.locator("#chat-causal")
    expect(causal.locator("tbody tr")).to_have_count(3)
    expect(causal.locator("tbody tr").first).to_contain_text(chat.said()[-1])
    expect(causal.locator("figure img")).to_have_count(2)


def test_what_patches_say_and_where_the_tower_looks(chat):
    chat.example(0)
    chat.page.get_by_role("button", name="What each patch says").click()
    with chat.finished():
        chat.page.locator("#chat-read").click()
    expect(chat.page.locator("#chat-lens")).to_contain_text("Point at a patch to see its nearest words")
    chat.page.get_by_role("button", name="The vision tower's own attention").click()
    with chat.finished():
        chat.page.locator("#chat-see").click()
    expect(chat.page.locator("#chat-tower .chip").first).to_be_visible()


def test_temperature_draws_other_answers_and_asking_again_takes_the_next_seed(chat):
    chat.unfold("Settings")
    chat.page.locator("#chat-temperature input[type=number]").fill("2")
    chat.page.locator("#chat-temperature input[type=number]").press("Tab")
    chat.upload(PAIR)
    settings = {"temperature": 2.0, "seed": 0}
    assert chat.ask("describe the picture") == mmexplorer.answer(PAIR, "describe the picture", **settings).text
    with chat.finished():
        chat.talk.get_by_role("button", name="Retry").click()
    expect(chat.page.locator("#chat-seed input")).to_have_value("1")
    settings["seed"] = 1
    assert chat.said()[-1] == mmexplorer.answer(PAIR, "describe the picture", **settings).text


def test_a_drawn_scene_a_drawing_and_a_suggestion(chat):
    chat.page.locator("#chat-scene").click()
    expect(chat.page.locator("#chat-strip button[aria-label^=Thumbnail]")).to_have_count(1)
    chat.page.get_by_role("tab", name="Draw").click()
    box = chat.page.locator("#chat-drawing canvas").first.bounding_box()
    chat.page.mouse.move(box["x"] + 100, box["y"] + 100)
    chat.page.mouse.down()
    chat.page.mouse.move(box["x"] + 180, box["y"] + 180, steps=8)
    chat.page.mouse.up()
    chat.page.locator("#chat-draw").click()
    expect(chat.page.locator("#chat-strip button[aria-label^=Thumbnail]")).to_have_count(2)
    chat.page.get_by_role("button", name="how many shapes are there?").click()
    expect(chat.page.locator("#chat-question textarea")).to_have_value("how many shapes are there?")
    with chat.finished():
        chat.page.locator("#chat-question textarea").press("Enter")
    expect(chat.page.locator("#chat-meta")).to_contain_text("128 image tokens read")


def test_a_card_fills_the_inputs_and_begins_anew(chat):
    chat.example(0)
    card = experiments.cards("chat")[4]
    chat.open_card(card.title)
    expect(chat.page.locator("#chat-brief").first).to_contain_text(card.predict)
    expect(chat.viewer).to_contain_text("Ask about a picture")
    assert chat.typed() == card.settings["question"] and chat.pictures() == len(card.pictures)
    assert chat.ask(chat.typed()) == answered(("user", card.settings["question"], list(card.paths)))
    chat.unfold("Causal check")
    expect(chat.page.locator("#chat-hidden input[type=number]")).to_have_value(str(card.settings["hidden"]))


def test_small_print_is_read_and_looked_at_in_the_tiles(chat):
    card = experiments.cards("chat")[5]
    chat.open_card(card.title)
    expect(chat.page.locator("#chat-about")).to_contain_text("Toy LLaVA-NeXT")
    asked = ("user", card.settings["question"], list(card.paths))
    answer = chat.ask(chat.typed())
    *_, last = mmexplorer.chat([asked], model="toy-llava-next")
    assert answer == last.reply.text == "dog" != answered(asked)
    expect(chat.page.locator("#chat-meta")).to_contain_text("336 image tokens read")
    shown = {"Both, as density": picture_of(chat)}
    for part in ("Base view", "Tiles"):
        chat.choose("part", part)
        shown[part] = picture_of(chat)
    assert len(set(shown.values())) == len(shown)
    chat.unfold("What the model sees")
    expect(chat.page.locator("#chat-views")).to_contain_text("4 tiles")
    chat.page.locator("#chat-scene").click()
    expect(chat.page.locator("#chat-strip button[aria-label^=Thumbnail]")).to_have_count(1)
    assert chat.ask("describe the picture")
    expect(chat.viewer.get_by_role("button", name="Ground truth")).to_be_visible()


def test_downloads(chat):
    chat.upload(PAIR)
    answer = chat.ask("describe the picture")
    chat.page.get_by_role("button", name="Downloads").click()

    def taken(button: str) -> bytes:
        with chat.page.expect_download() as download:
            chat.page.locator(f"#chat-{button}").click()
        return download.value.path().read_bytes()

    assert json.loads(taken("json"))["exchanges"][0]["answer"]["text"] == answer
    assert answer in taken("markdown").decode()
    with zipfile.ZipFile(io.BytesIO(taken("zip"))) as archive:
        picture = next(name for name in archive.namelist() if name.endswith(".png"))
        assert np.array_equal(Image.open(archive.open(picture)), Image.open(PAIR).convert("RGB"))
        maps = next(name for name in archive.namelist() if name.endswith(".npz"))
        with np.load(io.BytesIO(archive.read(maps))) as arrays:
            assert arrays["mean"].shape[-1] == 64
