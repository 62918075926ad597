"""Cells are the single drawings of their settings, come as they are done, and the device is free whatever happens."""

import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest

from mmexplorer import presets
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing, drawing_cells
from mmexplorer.explore.drawing import draw
from mmexplorer.explore.drawing_between import interpolate
from mmexplorer.explore.drawing_early import draw_early
from mmexplorer.explore.drawing_grid import Axis, draw_grid
from mmexplorer.hub import Stopped
from mmexplorer.models import diffusion_batch

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_residency.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

BASE = {"model": "tiny", "steps": 2, "scheduler": "ddim", "guidance": 3.0}
SEEDS, SCALES = Axis("seed", (1, 2)), Axis("guidance", (2.0, 5.0, 8.0))


@pytest.fixture(scope="module")
def own_residency(tmp_path_factory):
    return tiny.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def lent(own_residency, monkeypatch):
    for module in (drawing, drawing_cells):
        monkeypatch.setattr(module, "residency", own_residency)
    monkeypatch.setattr(presets, "_PRESETS", tiny.rows())
    yield own_residency
    tiny.assert_free(own_residency)


def grid(rows=SEEDS, columns=SCALES, prompt="a red circle", **changes):
    return list(draw_grid(prompt, rows, columns, **{**BASE, **changes}))


def single(settings):
    asked = {name: value for name, value in settings.items() if name not in ("prompt", "revision")}
    *_, last = draw(settings["prompt"], maps=False, **asked)
    return last.drawing.image


def farthest(image, other):
    return int(np.abs(np.asarray(image).astype(int) - np.asarray(other)).max())


def places(event):
    return [(cell.row, cell.column) for cell in event.cells]


# The grid


def test_each_cell_is_the_drawing_of_its_settings():
    *_, last = grid()
    assert sorted(places(last)) == [(row, column) for row in range(2) for column in range(3)]
    for cell in last.cells:
        assert (cell.settings["seed"], cell.settings["guidance"]) == (1 + cell.row, (2.0, 5.0, 8.0)[cell.column])
        assert farthest(cell.image, single(cell.settings)) <= 2
    assert last.ended == "end" and last.total == 6 and last.remarks == ()


@pytest.mark.parametrize(
    ("axis", "settings"),
    [
        (Axis("steps", (1, 3)), [{"steps": 1}, {"steps": 3}]),
        (Axis("scheduler", ("euler", "euler a")), [{"scheduler": "euler"}, {"scheduler": "euler a"}]),
        (Axis("guidance", (0, 1.0, 4.0)), [{"guidance": 0}, {"guidance": 1}, {"guidance": 4}]),
        (Axis("prompt", ("blue", "a circle")), [{"prompt": "blue"}, {"prompt": "a circle"}]),
    ],
)
def test_every_kind_of_axis(axis, settings):
    for rows, columns in ((axis, None), (None, axis)):
        *_, last = grid(rows, columns)
        cells = sorted(last.cells, key=lambda cell: (cell.row, cell.column))
        expected = {"prompt": "a red circle", "steps": 2, "scheduler": "ddim", "guidance": 3.0}
        for number, (cell, said) in enumerate(zip(cells, settings, strict=True)):
            assert (cell.row, cell.column) == ((number, 0) if rows else (0, number))
            assert {name: cell.settings[name] for name in expected} == expected | said
            assert farthest(cell.image, single(cell.settings)) <= 2


def test_a_prompt_with_a_slot_is_filled():
    *_, last = grid(None, Axis("prompt", ("red", "blue")), prompt="a {} circle")
    assert [cell.settings["prompt"] for cell in last.cells] == ["a red circle", "a blue circle"]


def test_cells_come_batch_by_batch(monkeypatch):
    monkeypatch.setattr(diffusion_batch, "AT_ONCE", 2)
    events = grid(columns=Axis("guidance", (0.0, 2.0, 5.0)))
    seen = [len(event.cells) for event in events]
    assert sorted(set(seen)) == [0, 2, 4, 6] and seen == sorted(seen)
    assert places(events[-1]) == [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (1, 2)]  # those without guidance first
    steps = [event.steps_done for event in events]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == events[-1].steps_total == 6
    assert events[0].eta is None and events[-1].eta == 0 and all(event.seconds >= 0 for event in events)
    assert [event.ended for event in events] == [""] * (len(events) - 1) + ["end"]


def test_a_grid_draws_several_pictures_at_once_and_reads_each_prompt_once(monkeypatch):
    sizes, read = [], []
    for name, seen in (("draw_batch", lambda painter, batch, *_: sizes.append(len(batch.wishes))),
                       ("encode", lambda pipe, prompt, *_: read.append(prompt))):  # fmt: skip
        original = getattr(diffusion_batch, name)
        spy = lambda *given, seen=seen, original=original: (seen(*given), original(*given))[1]  # noqa: E731
        monkeypatch.setattr(diffusion_batch, name, spy)
    grid(columns=Axis("prompt", ("red", "blue", "a circle", "red", "a")))
    assert sizes == [5, 5] and sorted(read) == ["a", "a circle", "blue", "red"]


def test_what_was_changed_is_said_once():
    *_, last = grid(SEEDS, None, model="turbo", steps=1, scheduler=None, guidance=50, width=500)
    assert [cell.settings["width"] for cell in last.cells] == [64, 64]
    assert len(last.remarks) == len(set(last.remarks)) == 3 and "64 was taken instead of 500" in " ".join(last.remarks)


def test_what_cannot_be_asked_is_refused_at_once():
    for rows, columns, said in (
        (SEEDS, Axis("seed", (1,)), "Both axes are seed"),
        (Axis("size", (1,)), None, "'size' is no axis"),
        (Axis("seed", ()), None, "has no values yet"),
        (Axis("seed", ("x",)), None, "seed must be a whole number"),
        (Axis("steps", (2.5,)), None, "steps must be a whole number"),
        (Axis("guidance", (None, "a lot")), None, "guidance must be a number"),
        (Axis("prompt", ("",)), None, "no prompt yet"),
        (Axis("seed", tuple(range(13))), Axis("steps", (1, 2, 3, 4, 5)), "at most 64 pictures, and 13 x 5 are 65"),
    ):
        with pytest.raises(Refusal, match=said):
            draw_grid("a red circle", rows, columns, **BASE)
    with pytest.raises(Refusal, match="does not draw; choose tiny or turbo"):
        draw_grid("a red circle", SEEDS, None, model="toy-clip")
    with pytest.raises(Refusal, match="'pony' does not fit"):
        grid(Axis("scheduler", ("ddim", "pony")), None)


# Ending early


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.setattr(diffusion_batch, "AT_ONCE", 2)


def test_stop_keeps_the_cells_that_are_there(pairs):
    stop, events = threading.Event(), []
    for event in draw_grid("a red circle", SEEDS, SCALES, **BASE, stop=stop):
        events.append(event)
        if len(event.cells) == 2:
            stop.set()
    assert places(event) == [(0, 0), (0, 1)] and event.ended == "stopped" and event.total == 6


def test_stop_before_the_first_picture():
    stop = threading.Event()
    events = draw_grid("a red circle", SEEDS, SCALES, **BASE, stop=stop)
    next(events)
    stop.set()
    with pytest.raises(Stopped, match="before its first picture"):
        list(events)


def test_others_draw_between_two_batches_and_after_leaving(pairs, own_residency):
    events = draw_grid("a red circle", SEEDS, SCALES, **BASE)
    turns = []

    def other():
        with own_residency.use("tiny"):
            turns.append("other")

    next(events)
    visitor = threading.Thread(target=other)
    visitor.start()
    for event in events:
        if event.cells:
            break
    visitor.join(10)
    assert turns == ["other"] and len(event.cells) == 2
    events.close()
    tiny.assert_free(own_residency)


# Between two prompts or seeds


@pytest.mark.parametrize(("to", "name"), [("blue", "other_prompt"), (9, "other_seed")])
def test_a_way_begins_and_ends_with_the_pictures_themselves(to, name):
    *_, last = interpolate("a red circle", to, 5, **BASE, seed=3)
    shares = [cell.settings["share"] for cell in last.cells]
    assert shares == [0, 0.25, 0.5, 0.75, 1] and places(last) == [(0, i) for i in range(5)]
    assert {cell.settings[name] for cell in last.cells} == {to}
    ends = {"seed": 3, **BASE}, {"seed": 9, **BASE} if name == "other_seed" else {"seed": 3, **BASE}
    prompts = "a red circle", "blue" if name == "other_prompt" else "a red circle"
    for cell, prompt, settings in zip((last.cells[0], last.cells[-1]), prompts, ends, strict=True):
        assert farthest(cell.image, single({"prompt": prompt, **settings})) <= 2
    assert farthest(last.cells[2].image, last.cells[0].image) > 5


def test_both_prompts_of_a_way_are_read():
    *_, last = interpolate("a red circle", "a circle " * 9, 2, **BASE)
    assert [said for said in last.remarks if "were not read" in said] == list(last.remarks) and len(last.remarks) == 1


def test_ways_that_cannot_be_gone_are_refused_at_once():
    for to, frames, said in (
        ("a red circle", 5, "Both ends are the same"),
        (0, 5, "Both ends are the same"),
        ("blue", 1, "from 2 to 64"),
        ("blue", 65, "from 2 to 64"),
        ("blue", 2.5, "from 2 to 64"),
        (" ", 5, "no prompt yet"),
        (-1, 5, "seed must be a whole number"),
        (None, 5, "seed must be a whole number"),
    ):
        with pytest.raises(Refusal, match=said):
            interpolate("a red circle", to, frames, **BASE)


# Step 2 of 4 is not a drawing of 2 steps


def test_early_steps_beside_short_drawings(own_residency):
    given = {"model": "tiny", "scheduler": "ddim", "seed": 3}
    *_, last = draw_early("a red circle", whole=4, counts=(1, 2, 4), **given)
    cells = {(cell.row, cell.column): cell for cell in last.cells}
    assert sorted(cells) == [(row, column) for row in range(2) for column in range(3)] and last.ended == "end"
    *_, long = draw("a red circle", steps=4, maps=False, **given)
    with own_residency.use("tiny") as painter:
        predicted = painter.decode([step.clean for step in long.drawing.steps])
    for column, count in enumerate((1, 2, 4)):
        assert cells[0, column].settings["step"] == count and cells[0, column].settings["steps"] == 4
        assert cells[1, column].settings["steps"] == count
        assert farthest(cells[1, column].image, single(cells[1, column].settings)) == 0
        expected = long.drawing.image if count == 4 else predicted[count - 1]
        assert farthest(cells[0, column].image, expected) == 0
    assert farthest(cells[0, 1].image, cells[1, 1].image) > 5 and farthest(cells[0, 2].image, cells[1, 2].image) == 0
    *_, only = draw_early("a red circle", whole=3, counts=(3,), **given)
    assert len(only.cells) == 2 and only.ended == "end"


def test_early_steps_of_a_scheduler_that_looks_twice_at_one():
    *_, last = draw_early("a red circle", whole=3, counts=(1, 3), model="tiny", scheduler="pndm")
    cells = {(cell.row, cell.column): cell for cell in last.cells}
    assert [cells[0, column].settings["step"] for column in (0, 1)] == [1, 3]
    assert farthest(cells[0, 1].image, cells[1, 1].image) == 0 and farthest(cells[0, 0].image, cells[0, 1].image) > 5


def test_too_many_steps_are_as_many_as_there_can_be():
    events = draw_early("a red circle", whole=10**6, counts=(1,), model="tiny", scheduler="ddim")
    assert next(events).steps_total == 151
    events.close()
    with pytest.raises(Refusal, match="from 1 to 150"):
        draw_early("a red circle", whole=10**6, counts=(151,), model="tiny")


def test_stop_keeps_what_a_long_drawing_predicted():
    stop = threading.Event()
    events = []
    for event in draw_early("a red circle", whole=3, counts=(1, 2), model="tiny", scheduler="ddim", stop=stop):
        events.append(event)
        if event.cells:
            stop.set()
    assert places(event) == [(0, 0), (0, 1)] and event.ended == "stopped"
    with pytest.raises(Refusal, match="from 1 to 3"):
        draw_early("a red circle", whole=3, counts=(4,), model="tiny")
