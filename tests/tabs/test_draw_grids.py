"""The folds with several pictures, without a page: what streams in, what stays after Stop, and what is refused."""

import io
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore.drawing import draw
from mmexplorer.explore.drawing_change import Change
from mmexplorer.explore.drawing_grid import Axis
from mmexplorer.models import diffusion_batch
from mmexplorer.tabs import draw_between, draw_cells, draw_change, draw_grids
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs.shelf import Shelved

MODEL = "toy-diffusion"
ANNA = SimpleNamespace(session_hash="anna")
GIVEN = ("a red circle", "", MODEL, 2, None, "ddim", 0, None, None)
GRID = ("seed", "0, 1", "guidance", "2, 4, 8")


@pytest.fixture(autouse=True)
def free_afterwards():
    yield
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    with residency.use(MODEL, stop):
        timer.cancel()


def status(update):
    return update[0]


def grids(updates):
    return [update[2] for update in updates if update[2] != gr.skip()]


# The grid


def test_a_grid_streams_in_with_its_settings(monkeypatch):
    monkeypatch.setattr(diffusion_batch, "AT_ONCE", 2)
    updates = list(draw_grids.draw(*GRID, ANNA, *GIVEN))
    shown = grids(updates)
    counts = [len(grid.cells) for grid in shown]
    assert counts == sorted(counts) and counts[-1] == 6 and "drew 6 pictures" in status(updates[-1])
    last = shown[-1]
    assert (last.rows, last.columns, last.row_title, last.column_title) == (
        ("0", "1"),
        ("2", "4", "8"),
        "seed",
        "guidance",
    )
    settings = last.cells[1, 2].settings
    assert (settings["seed"], settings["guidance"], settings["steps"]) == (1, 8, 2) and "revision" not in settings
    payload = json.loads(updates[-1][1])
    assert payload["size"] == list(last.cells[0, 0].picture.size) and "up to rounding" in payload["note"]
    assert ["scheduler", "ddim"] in payload["cells"][0][0]["settings"]


def test_stop_keeps_what_is_there(monkeypatch):
    monkeypatch.setattr(diffusion_batch, "AT_ONCE", 1)
    original, stop = diffusion_batch._draw, draw_cells.stop_of("grid")
    calls = []

    def patient(*given):
        calls.append(given)
        if len(calls) == 3:
            stop(ANNA)
        return original(*given)

    monkeypatch.setattr(diffusion_batch, "_draw", patient)
    updates = list(draw_grids.draw(*GRID, ANNA, *GIVEN))
    assert "Stopped: 2 of 6 pictures" in status(updates[-1]) and sorted(grids(updates)[-1].cells) == [(0, 0), (0, 1)]


def test_stop_before_the_first_picture_leaves_what_was_there(monkeypatch):
    original = diffusion_batch._draw

    def stopped(*given):
        draw_cells.stop_of("grid")(ANNA)
        return original(*given)

    monkeypatch.setattr(diffusion_batch, "_draw", stopped)
    updates = list(draw_grids.draw(*GRID, ANNA, *GIVEN))
    assert "What was already there stays" in status(updates[-1]) and not grids(updates)


def test_stop_of_one_fold_leaves_the_others():
    with session.JOBS.job("anna", "grid") as grid, session.JOBS.job("anna", "between") as between:
        draw_cells.stop_of("between")(ANNA)
        assert between.is_set() and not grid.is_set()


def test_who_leaves_stops_it():
    updates = draw_grids.draw("seed", "0, 1", "guidance", "2, 4", ANNA, *GIVEN[:3], 150, *GIVEN[4:])
    next(updates)
    [job] = session.JOBS.running("anna", ("grid",))
    updates.close()
    assert job.is_set() and not session.JOBS.running("anna")


def test_early_steps_have_two_rows(monkeypatch):
    monkeypatch.setattr(draw_grids.drawing_early, "WHOLE", 4)
    assert 10 in draw_grids.drawing_early.COUNTS, "which is what the button asks about"
    monkeypatch.setattr(draw_grids.drawing_early, "COUNTS", (1, 4))
    updates = list(draw_grids.draw_early(ANNA, *GIVEN))
    last = grids(updates)[-1]
    assert last.columns == ["1", "4"] and len(last.cells) == 4 and last.cells[0, 0].settings["step"] == 1
    assert last.note.endswith(draw_grids.EARLY_NOTE)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("seed", "a", "guidance", "2"), "'a' is no number; the values of seed are numbers such as 0, 1, 2, 3"),
        (("seed", "1.5", "guidance", "2"), "seed must be a whole number"),
        (("seed", "nan", "guidance", "2"), "seed must be a whole number"),
        (("seed", " , ", "guidance", "2"), "axis seed has no values"),
        (("nothing", "", "nothing", ""), "A grid needs an axis"),
        (("seed", "1", "seed", "2"), "Both axes are seed"),
        (("scheduler", "pony", "nothing", ""), "does not fit"),
        (("seed", ",".join(map(str, range(65))), "nothing", ""), "at most 64 pictures"),
        (("size", "1", "nothing", ""), "is no axis"),
        (("seed", "9" * 30, "nothing", ""), "seed must be"),
        (("seed", "9" * 5000, "nothing", ""), "is no number"),
    ],
)
def test_what_cannot_be_drawn_is_said(asked, said):
    updates = list(draw_grids.draw(*asked, ANNA, *GIVEN))
    assert said in status(updates[-1]).replace("&#x27;", "'") and not grids(updates)


def test_an_axis_suggests_values_that_fit():
    no_axis = draw_grids._suggested("nothing", MODEL)
    assert not no_axis.visible and draw_grids._suggested("seed", MODEL).value == "0, 1, 2, 3"
    names = draw_grids.draw_facts.learn(MODEL).schedulers
    suggested = draw_grids._suggested("scheduler", MODEL)
    assert draw_grids.axis("scheduler", suggested.value).values == names[:4] and suggested.visible


def test_axes_are_read_as_typed():
    assert draw_grids.axis("guidance", "1, 2.5;4\n") == Axis("guidance", (1, 2.5, 4))
    assert draw_grids.axis("prompt", "a circle, red; blue\n\nx") == Axis("prompt", ("a circle, red", "blue", "x"))
    assert draw_grids.axis("scheduler", "euler a, ddim") == Axis("scheduler", ("euler a", "ddim"))
    assert draw_grids.axis("nothing", "1") is None
    assert draw_grids.axis("seed", "3, 1, 3").values == (3, 1)
    for kind, _ in draw_grids.VALUES.items():
        assert kind == "nothing" or draw_grids.axis(kind, draw_grids.VALUES[kind]).values


def test_a_pictures_settings_are_taken_over():
    *_, last = draw_grids.draw("guidance", "2.5", "seed", "7", ANNA, *GIVEN)
    settings, button = draw_grids._chosen(last[2], gr.EventData(None, {"row": 0, "column": 0}))
    assert button.value == "Use the settings of guidance 2.5, seed 7" and button.visible
    values = dict(zip(draw_grids.draw_inputs.FILLED, draw_grids._used(settings), strict=False))
    assert (values["prompt"], values["seed"], values["guidance"].value) == ("a red circle", 7, 2.5)
    with pytest.raises(Refusal, match="choose again"):
        draw_grids._chosen(last[2], gr.EventData(None, {"row": 0, "column": 1}))
    with pytest.raises(Refusal, match="choose again"):
        draw_grids._chosen(None, gr.EventData(None, {"row": 0, "column": 0}))
    assert "Press a picture" in draw_grids._used(None)[-1]


def test_a_grid_becomes_a_file():
    *_, last = draw_grids.draw("guidance", "2", "nothing", "", ANNA, *GIVEN)
    for file, said in draw_cells.writer("pictures.png", draw_grids.grid_png)(last[2]):
        assert Path(file).name == "pictures.png" and "Written to pictures.png" in said
        with Image.open(file) as sheet:
            assert min(sheet.size) > 150
    assert not Path(file).exists()
    [(file, said)] = draw_cells.writer("pictures.png", draw_grids.grid_png)(None)
    assert file is None and "no pictures here yet" in said


# Between


@pytest.mark.parametrize(("what", "name"), [(draw_between.PROMPTS, "other prompt"), (draw_between.SEEDS, "other seed")])
def test_a_way_has_its_shares_and_becomes_a_gif(what, name):
    *_, last = draw_between.draw(what, "blue", 5, 3, ANNA, *GIVEN)
    assert last[2].columns == ["0 %", "50 %", "100 %"]
    assert [last[2].cells[0, i].settings["share"] for i in range(3)] == [0, 0.5, 1]
    assert {cell.settings[name] for cell in last[2].cells.values()} == {"blue" if what == draw_between.PROMPTS else 5}
    assert ("euler a" in last[2].note) == (what == draw_between.SEEDS)
    with Image.open(io.BytesIO(draw_between.gif(last[2]))) as animation:
        assert animation.n_frames == 4  # there and back


@pytest.mark.parametrize(
    ("what", "prompt", "seed", "said"),
    [
        (draw_between.PROMPTS, "", 0, "no prompt yet"),
        (draw_between.PROMPTS, None, 0, "no prompt yet"),
        (draw_between.PROMPTS, "a red circle", 0, "Both ends are the same"),
        (draw_between.SEEDS, "", 0, "Both ends are the same"),
        (draw_between.SEEDS, "", -1, "seed must be a whole number"),
    ],
)
def test_ways_that_lead_nowhere(what, prompt, seed, said):
    *_, last = draw_between.draw(what, prompt, seed, 3, ANNA, *GIVEN)
    assert said in status(last) and last[2] == gr.skip()


# A word


@pytest.fixture(scope="module")
def drawing():
    *_, last = draw("a red circle, a red a", model=MODEL, steps=2)
    return last.drawing


def test_words_to_change_are_numbered_where_there_are_several(drawing):
    choices = draw_change.words(Shelved(drawing)).choices
    assert [text for text, _ in choices] == ["a (1)", "red (1)", "circle", "a (2)", "red (2)", "a (3)"]
    assert draw_change.words(Shelved(drawing)).value == choices[1][1] and draw_change.words(None).choices == []


def test_a_word_is_changed(drawing):
    index = dict(draw_change.words(Shelved(drawing)).choices)["red (2)"]
    *_, last = draw_change.draw(index, "blue", Shelved(drawing), ANNA)
    assert last[2].columns == ("a red circle, a red a", "a red circle, a blue a", last[2].columns[2])
    assert "of the pixels differ" in status(last) or "the same in every pixel" in status(last)
    assert json.loads(last[1])["rows"] == [""]


def test_the_difference_is_as_bright_as_it_is_large(drawing):
    difference = np.zeros((32, 32), np.float32)
    difference[0, :2] = 0.5, 0.25
    shown = draw_change.pictures(Change(drawing, drawing, difference))
    assert list(np.asarray(shown.cells[0, 2].picture)[0, :3]) == [255, 128, 0]
    assert shown.columns[2] == "difference, white is 50%"
    none = draw_change.pictures(Change(drawing, drawing, np.zeros((32, 32), np.float32))).cells[0, 2]
    assert not np.asarray(none.picture).any()


@pytest.mark.parametrize(
    ("index", "other", "said"),
    [(None, "x", "Choose a word"), (99, "x", "Choose a word"), (1, "RED", "the word that is there already")],
)
def test_changes_that_cannot_be_made(index, other, said, drawing):
    assert said in status(list(draw_change.draw(index, other, Shelved(drawing), ANNA))[-1])
    assert "no picture yet" in status(list(draw_change.draw(index, other, None, ANNA))[-1])
