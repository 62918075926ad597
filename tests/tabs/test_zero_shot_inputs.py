"""The zero-shot tab's inputs: what becomes a question, what is refused, and what cards, scenes and examples fill in."""

import numpy as np
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import experiments, recordings, truth
from mmexplorer.explore.labels import TEMPLATE_SETS, labels_from_text
from mmexplorer.pictures import open_picture
from mmexplorer.presets import presets
from mmexplorer.tabs import zero_shot_inputs as inputs
from mmexplorer.tabs.truths import truth_of

RED, BLUE = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (40, 30), "blue")


def collect(
    mode="picture", picture=None, drawing=None, files=None, labels="a, b", templates="{}", models=("toy-clip",)
):
    return inputs.collect(mode, picture, drawing, files, labels, templates, list(models))


def values(update: tuple) -> dict:
    """An update of FILLED by name, without what stays as it was."""
    assert len(update) == len(inputs.FILLED)
    named = dict(zip(inputs.FILLED, update, strict=True))
    return {name: value for name, value in named.items() if not is_skipped(value)}


def is_skipped(value) -> bool:
    return isinstance(value, dict) and value == {"__type__": "update"}


@pytest.fixture
def red(tmp_path):
    path = tmp_path / "red.png"
    RED.save(path)
    return str(path)


# A question


def test_labels_templates_models_and_remarks(red):
    asked = collect(picture=red, labels="a red  circle\n\na star\na star\n", templates=" {} \n\na photo of {}\n")
    assert asked.labels == ("a red circle", "a star")
    assert asked.templates == ("{}", "a photo of {}")
    assert asked.models == ("toy-clip",)
    assert asked.names == ("red.png",)
    assert asked.remarks == ("Given more than once and counted once: 'a star'.",)


@pytest.mark.parametrize("templates", [None, "", " \n "])
def test_no_template_means_the_label_alone(red, templates):
    assert collect(picture=red, templates=templates).templates == ("{}",)


def test_a_drawing_is_a_picture_of_what_was_drawn():
    composite = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    composite.paste((255, 0, 0, 255), (0, 0, 16, 32))
    asked = collect("draw", drawing={"composite": composite})
    picture = open_picture(asked.pictures[0])
    assert asked.names == ("drawing.png",)
    assert picture.getpixel((2, 2)) == (255, 0, 0)
    assert picture.getpixel((30, 2)) == (255, 255, 255)  # where nothing was drawn


def test_several_files_keep_their_names_and_equal_names_are_told_apart(tmp_path):
    paths = []
    for folder, picture in (("one", RED), ("two", BLUE)):
        (tmp_path / folder).mkdir()
        picture.save(tmp_path / folder / "a.png")
        paths.append(str(tmp_path / folder / "a.png"))
    asked = collect("several", files=paths)
    assert asked.names == ("a.png", "2 a.png")
    assert [open_picture(p).getpixel((0, 0)) for p in asked.pictures] == [(255, 0, 0), (0, 0, 255)]


def test_a_question_holds_thumbnails_and_not_large_pictures(tmp_path):
    path = tmp_path / "large.jpg"
    Image.new("RGB", (3000, 1500), "red").save(path)
    asked = collect("several", files=[str(path)] * 3)
    assert [picture.size for picture in asked.thumbnails] == [(96, 48)] * 3
    assert all(isinstance(picture, str) for picture in asked.pictures)


def test_only_the_source_on_show_counts(red):
    empty = {"composite": Image.new("RGBA", (8, 8), (0, 0, 0, 0))}
    assert collect("picture", picture=red, drawing=empty, files=["gone.png"]).names == ("red.png",)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "There is no picture yet; upload, paste or draw one first."),
        ({"mode": "several"}, "There are no pictures yet; choose some files first."),
        ({"mode": "several", "files": ["a.png"] * 65}, "At most 64 pictures are scored at once, and there are 65."),
        ({"mode": "draw"}, "The canvas is empty; draw something first."),
        (
            {"mode": "draw", "drawing": {"composite": Image.new("RGBA", (8, 8), (0, 0, 0, 0))}},
            "The canvas is empty; draw something first.",
        ),
        ({"models": ()}, "No model is chosen; choose one above, such as Toy CLIP."),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(given, sentence):
    with pytest.raises(Refusal) as caught:
        collect(**given)
    assert str(caught.value) == sentence


def test_the_file_that_cannot_be_read_is_named(tmp_path, red):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(Refusal, match=r"broken\.png is not a picture"):
        collect("several", files=[red, str(broken)])


# Filling the inputs


def test_a_card_fills_the_inputs_and_says_what_to_predict():
    card = next(card for card in experiments.cards("zero_shot") if len(card.pictures) > 1)
    brief, *update = inputs.fill_card(card.key, {})
    filled = values(tuple(update))
    assert card.title in brief.value and card.predict in brief.value and card.look_for in brief.value
    assert filled["mode"] == "several"
    assert filled["files"] == [str(path) for path in card.paths]
    assert labels_from_text(filled["labels"]) == list(card.labels)
    assert filled["templates"].splitlines() == list(card.templates)
    assert filled["models"] == list(card.models)
    for path in card.paths:
        assert truth_of(open_picture(path), filled["truths"]).things == truth.load_truth(path).things


def test_every_card_asks_what_the_tab_can_answer():
    known = {preset.key for preset in presets()}
    for card in experiments.cards("zero_shot"):
        filled = values(inputs.fill_card(card.key, {})[1:])
        picture, files = filled.get("picture"), filled.get("files")
        asked = collect(filled["mode"], picture, None, files, filled["labels"], filled["templates"], filled["models"])
        assert (asked.labels, asked.templates, asked.remarks) == (card.labels, card.templates, ())
        assert set(asked.models) <= known


@pytest.mark.parametrize("key", ["", "no such card"])
def test_no_card_hides_the_brief_and_leaves_the_inputs(key):
    brief, *update = inputs.fill_card(key, {})
    assert brief.visible is False
    assert values(tuple(update)) == {}


def test_an_example_fills_what_its_results_were_recorded_for():
    for number, example in enumerate(recordings.recordings("zero_shot")):
        filled = values(inputs.fill_example(number, {}))
        assert filled["mode"] == "picture"
        assert filled["picture"] == str(example.path)
        assert filled["labels"].splitlines() == list(example.labels)
        assert TEMPLATE_SETS[filled["template_set"]] == example.templates


def test_a_drawn_scene_is_known_again_after_it_was_saved_as_png(tmp_path):
    filled = values(inputs.new_scene({}))
    filled["picture"].save(tmp_path / "scene.png")
    again = open_picture(tmp_path / "scene.png")
    known = truth_of(again, filled["truths"])
    labels = labels_from_text(filled["labels"])
    assert labels == list(dict.fromkeys(labels))
    assert set(known.masks_of(labels)) == {label for label in labels if known.mask_of(label) is not None} != set()
    changed = np.array(again)
    changed[0, 0] ^= 1
    assert truth_of(Image.fromarray(changed), filled["truths"]) is None
