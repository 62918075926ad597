"""What fills the drawing tab's inputs, what a model says that it takes, and what a visit remembers."""

import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer import presets
from mmexplorer.drawings import Drawing, Step, WordMaps
from mmexplorer.explore import experiments
from mmexplorer.explore.drawing_asked import checked
from mmexplorer.explore.drawing_views import ground
from mmexplorer.figures.drawing_file import drawing_png, read_settings
from mmexplorer.tabs import draw_downloads as downloads
from mmexplorer.tabs import draw_facts
from mmexplorer.tabs import draw_inputs as inputs
from mmexplorer.tabs import draw_send as send
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs import draw_show as show
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.toyworld.prompts import wanted

FACTS = draw_facts.Facts(("ddim", "euler"), 20, (1, 1000), 4.0, False, True, (64, 48), (32, 128), 8)
SETTINGS = {"prompt": "a red circle", "negative_prompt": "blue", "seed": 7, "steps": 30, "guidance": 2.5}
SETTINGS |= {"scheduler": "euler", "width": 64, "height": 48, "model": "painter", "revision": None}


@pytest.fixture(autouse=True)
def painter(monkeypatch):
    """Presets that draw, of which nothing is known before they are loaded."""
    row = replace(presets.preset("toy-clip"), key="painter", label="Painter", abilities=presets.DRAWS)
    rows = [*presets.presets(), row]
    if not any(one.key == "toy-diffusion" for one in rows):  # until it ships
        rows.append(replace(row, key="toy-diffusion"))
    monkeypatch.setattr(presets, "_PRESETS", tuple(rows))
    monkeypatch.setattr(draw_facts, "_known", {})


def known(**changes):
    draw_facts._known["painter"] = replace(FACTS, **changes)


def drawing(steps: int = 2, side: int = 8, **settings) -> Drawing:
    rng = np.random.default_rng(steps)
    maps = WordMaps(("red", "circle"), ("mid",), (rng.random((steps, 2, 4, 4)).astype(np.float16),), (1,))
    image = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
    latents = rng.normal(0, 0.2, (steps, 3, 4, 4)).astype(np.float16)
    taken = tuple(Step(i + 1, 1.0, 0.5, latents[i], latents[i], None, 0.1) for i in range(steps))
    # Previews by a known linear map: each channel is half a colour around grey.
    colours = [np.clip(latent.transpose(1, 2, 0).astype(float) / 2 + 0.5, 0, 1) for latent in latents]
    previews = tuple(Image.fromarray((colour * 255).round().astype(np.uint8)) for colour in colours)
    made = Drawing(image, previews, None, SETTINGS | settings, taken, maps, model="painter", seconds=1.0)
    return replace(made, grounding=ground(made))


def test_before_a_model_is_loaded_everything_is_its_own():
    controls = draw_facts.defaults("painter")
    assert controls["scheduler"].choices == [("The model's own", "")] and controls["scheduler"].value == ""
    assert all(controls[name].value is None for name in draw_facts.NUMBERS)
    assert {controls[name].placeholder for name in draw_facts.NUMBERS} == {"the model's own"}


def test_a_loaded_model_says_what_it_takes():
    known()
    controls = draw_facts.controls("painter")
    assert controls["scheduler"].choices == [("The model's own: ddim", ""), ("euler", "euler")]
    assert "value" not in controls["scheduler"]._constructor_args[0]  # what is chosen stays
    assert (controls["steps"].placeholder, controls["guidance"].placeholder) == ("20", "4")
    assert controls["steps"].info.startswith("1 to 150") and controls["height"].placeholder == "48"
    known(unguided=True)
    assert draw_facts.controls("painter")["guidance"].placeholder == "none"
    assert draw_facts.controls("painter")["negative"].info == "This model takes none."


def test_size_and_guidance_of_a_drawing_to_come():
    assert FACTS.sized(None, None) == (64, 48) and FACTS.sized(10**9, 1) == (128, 32)
    assert FACTS.guided(None) and not FACTS.guided(1) and not replace(FACTS, unguided=True).guided(9)


def test_settings_fill_the_inputs_and_what_they_leave_out_is_the_models_own():
    known()
    values = inputs.filled(SETTINGS)
    assert set(values) == set(inputs.FILLED)
    assert {name: values[name] for name in inputs.PLAIN} == {"prompt": "a red circle", "model": "painter", "seed": 7}
    assert {name: values[name].value for name in draw_facts.OUTPUTS} == {
        "steps": 30, "guidance": 2.5, "width": 64, "height": 48, "scheduler": "euler", "negative": "blue"
    }  # fmt: skip
    values = inputs.filled({"prompt": "x", "model": "painter"})
    assert [values[name].value for name in draw_facts.OUTPUTS] == [None, None, None, None, "", ""]
    assert inputs.filled(SETTINGS | {"scheduler": "ddim"})["scheduler"].value == ""  # its own by another name
    strange = inputs.filled(SETTINGS | {"scheduler": "lcm"})["scheduler"]
    assert strange.value == "lcm" and strange.choices[-1] == ("lcm", "lcm")  # for the model to judge


def test_a_picture_that_was_drawn_here_gives_its_settings_back(tmp_path):
    file = tmp_path / "mine.png"
    file.write_bytes(drawing_png(drawing()))
    values, status = inputs.reopened(str(file))
    assert values["prompt"] == "a red circle" and values["steps"].value == 30
    assert "mine.png are filled in; Draw makes the same picture again" in status
    file.write_bytes(drawing_png(drawing(revision="abc")))
    assert "has changed since" in inputs.reopened(str(file))[1]


@pytest.mark.parametrize(
    ("model", "sentence"), [("toy-clip", "does not draw"), ("sd-9000", "There is no model called")]
)
def test_a_picture_of_a_model_that_is_not_here_is_refused(tmp_path, model, sentence):
    file = tmp_path / "mine.png"
    file.write_bytes(drawing_png(drawing(model=model)))
    values, status = inputs.reopened(str(file))
    assert sentence in status and all(value == gr.skip() for value in values.values())


def test_a_foreign_picture_changes_nothing(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    values, status = inputs.reopened(str(tmp_path / "other.png"))
    assert "other.png holds no settings" in status and all(value == gr.skip() for value in values.values())


def test_every_card_fills_the_inputs_with_what_can_be_asked():
    for card in experiments.cards("draw"):
        _, settings = inputs.card_settings(card.key)
        assert set(settings) <= {*inputs.DEFAULTS, "prompt", "model"}, card.key
        values = inputs.filled(settings)
        given = {**inputs.DEFAULTS, **settings}
        numbers = {name: values[name].value for name in draw_facts.NUMBERS}
        checked(values["prompt"], seed=values["seed"], negative_prompt=given["negative_prompt"], **numbers)
        assert not checked(values["prompt"], **numbers).remarks
        assert wanted(values["prompt"]).items and not wanted(values["prompt"]).unknown_words
    assert inputs.card_settings("")[1] is None


def test_examples_remember_how_they_were_drawn():
    for image, settings in inputs.examples():
        assert image.size == (settings["width"], settings["height"])
        assert "draws" in presets.preset(settings["model"]).abilities and inputs.filled(settings)


@pytest.mark.parametrize("kind", downloads.WRITERS)
def test_every_file_can_be_opened(kind, tmp_path):
    updates = downloads.writer(kind)(Shelved(drawing()))
    file, said = next(updates)
    assert Path(file).name == f"a-red-circle-7.{kind}" and Path(file).name in said
    if kind in ("png", "gif"):
        assert Image.open(file).format.lower() == kind
    elif kind == "json":
        assert json.loads(Path(file).read_text())["settings"] == SETTINGS
    else:
        assert np.load(file)["words"].tolist() == ["red", "circle"]
    if kind == "png":
        assert read_settings(file) == SETTINGS
    assert list(updates) == [] and not Path(file).exists()


def test_files_have_names_that_every_disk_takes():
    assert downloads.stem(drawing(prompt="../../etc/pass wd <b>")) == "etc-pass-wd-b-7"
    assert downloads.stem(drawing(prompt="赤い丸")) == "drawing-7"
    assert len(downloads.stem(drawing(prompt="word " * 500))) <= 64


def test_nothing_to_write_is_said():
    assert list(downloads.writer("png")(None)) == [(None, downloads.NOTHING)]
    assert list(downloads.writer("npz")(Shelved(replace(drawing(), word_maps=None)))) == [(None, downloads.NO_MAPS)]


def test_small_pictures_are_sent_enlarged_pixel_for_pixel():
    sent = send.enlarged(drawing().image)
    assert sent.size == (256, 256) and np.array_equal(np.asarray(sent)[16::32, 16::32], np.asarray(drawing().image))
    assert send.enlarged(Image.new("RGB", (300, 200))).size == (300, 200)


def test_a_visit_remembers_as_many_drawings_as_fit(monkeypatch):
    history = ()
    for seed in range(session.MOST_DRAWINGS + 3):
        history = session.remembered(history, drawing(seed=seed))
    seeds = [one.settings["seed"] for one in history]
    assert seeds == list(range(3, session.MOST_DRAWINGS + 3))
    monkeypatch.setattr(session, "MOST_BYTES", 3 * history[0].whole.bytes)
    assert len(session.remembered(history, drawing(seed=99))) == 3
    monkeypatch.setattr(session, "MOST_BYTES", 1)
    assert len(session.remembered(history, drawing(seed=99))) == 1


def test_latents_are_coloured_by_the_map_that_makes_the_previews():
    expected = np.vstack([np.eye(3) / 2, np.full(3, 0.5)])
    np.testing.assert_allclose(show.latent_colours(drawing(8)), expected, atol=0.02)
    assert show.latent_colours(replace(drawing(), steps=(), previews=())) is None


def test_what_visitors_wrote_stays_text():
    made = drawing(prompt='<img src=x onerror="x">')
    assert "<img src=x" not in show.facts(made) and 'onerror="' not in show.picture(made.image, made.settings["prompt"])
