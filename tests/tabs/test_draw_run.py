"""The drawing tab's handlers without a page: what is shown when, what stays, and that nothing keeps the device."""

import json
import threading
import time
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing_asked
from mmexplorer.models.diffusion_run import DrawingRun
from mmexplorer.models.diffusion_vae import LatentDecoder
from mmexplorer.tabs import draw_facts
from mmexplorer.tabs import draw_run as run
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs import draw_show as show

MODEL = "toy-diffusion"
ANNA = SimpleNamespace(session_hash="anna")
PROMPT = "a red circle"


@pytest.fixture(autouse=True)
def free_afterwards():
    yield
    assert is_free()


def is_free() -> bool:
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    try:
        with residency.use(MODEL, stop):
            return True
    finally:
        timer.cancel()


class Gate:
    """Once it is shut lets drawings do three steps, and the rest when it is opened; stopped ones it lets through."""

    def __init__(self):
        self.free, self.open = 99, threading.Event()

    def shut(self) -> None:
        self.free = 3

    def wait(self, drawing) -> None:
        while len(drawing._steps) >= self.free and not self.open.is_set() and not drawing._stop.is_set():
            time.sleep(0.01)


@pytest.fixture
def gate(monkeypatch):
    held, following = Gate(), DrawingRun._step

    def patient(self, seen):
        held.wait(self)
        return following(self, seen)

    monkeypatch.setattr(DrawingRun, "_step", patient)
    yield held
    held.open.set()


def draw(prompt=PROMPT, drawing=None, history=(), visitor=ANNA, **changes):
    given = {"negative": "", "model": MODEL, "steps": 4, "guidance": 3.0, "scheduler": "", "seed": 1}
    given |= {"width": None, "height": None, "pictures": 1} | changes
    return run.draw(prompt, *given.values(), drawing, history, visitor)


def values(updates, name: str, names=run.STREAMED) -> list:
    """What updates gave to one of the named outputs."""
    found = [update[names.index(name)] for update in updates]
    return [value for value in found if value != gr.skip()]


def drawn(*given, **changes):
    return values(list(draw(*given, **changes)), "drawing")[-1]


def shown(updates, visitor=ANNA) -> dict:
    """What is on the page when a drawing's updates are over and everything about it has been shown."""
    updates = list(updates)
    states = [(values(updates, name) or [None])[-1] for name in ("drawn", "drawing", "history")]
    page = {name: found[-1] for name in run.STREAMED if (found := values(updates, name))}
    later = list(run.show_drawn(*states, visitor))
    return page | {name: found[-1] for name in run.OUTPUTS if (found := values(later, name, run.OUTPUTS))}


def wait_for(updates, text: str) -> list:
    """The updates up to the one whose status has the text."""
    seen = []
    for update in updates:
        seen.append(update)
        if text in str(update[0]):
            return seen
    raise AssertionError(f"{text!r} never came: {[u[0] for u in seen]}")


def test_a_drawing_is_followed_shown_and_remembered(gate):
    gate.shut()
    updates = draw()
    strip = next(found for update in updates for found in map(json.loads, values([update], "strip")) if found["newest"])
    while len(strip["frames"]) < 3:  # those between two updates are in the next one
        strip = next(json.loads(found) for update in updates for found in values([update], "strip"))
    assert (
        strip["live"]
        and strip["guided"]
        and strip["decoded"]
        and [frame["number"] for frame in strip["frames"]] == [1, 2, 3]
    )
    assert strip["total"] >= 4 and strip["size"] == list(draw_facts.learn(MODEL).size)
    gate.open.set()
    page = shown(updates)
    drawing = page["drawing"].value
    assert f"drew {len(drawing.steps)} steps" in page["status"] and "toy model" in page["status"]
    assert "data:image/png" in page["picture"] and "seed 1" in page["meta"] and "guidance 3" in page["meta"]
    finished = json.loads(page["strip"])
    assert not finished["live"] and finished["latent"]["mapped"] and len(finished["frames"]) == len(drawing.steps)
    assert json.loads(page["viewer"])["words"] == list(drawing.grounding.words)
    assert json.loads(page["stages"])["stages"]
    assert [one.whole for one in page["history"]] == [page["drawing"]] and page["drawn"] is False
    assert all(preview.size == drawing.image.size for preview in drawing.previews)  # a toy's are decoded


def test_a_picture_is_the_packages_own_and_its_code_draws_it():
    import mmexplorer

    page = shown(draw(seed=5, scheduler="ddim", negative="blue"))
    drawing = page["drawing"].value
    space = {"mmexplorer": mmexplorer, "print": lambda *_, **__: None}
    code = page["code"].replace('drawing.image.save("drawing.png")', "")
    exec(code.replace("import mmexplorer", ""), space)
    assert np.array_equal(np.asarray(space["drawing"].image), np.asarray(drawing.image))
    assert space["drawing"].settings == drawing.settings


def test_stop_keeps_the_picture_so_far(gate):
    gate.shut()
    updates = draw(steps=6)
    wait_for(updates, "step 3 of")
    session.stop_of(ANNA)
    page = shown(updates)
    drawing = page["drawing"].value
    assert drawing.ended == "stopped" and len(drawing.steps) == 4  # the step under way is done
    assert f"Stopped after step {len(drawing.steps)}" in page["status"]
    assert page["viewer"] and page["strip"]


def test_stop_before_the_first_step_leaves_the_last_picture(monkeypatch):
    before = drawn()
    starting = DrawingRun._start

    def stopped(self, total):
        session.stop_of(ANNA)
        starting(self, total)

    monkeypatch.setattr(DrawingRun, "_start", stopped)
    rest = list(draw(seed=2, drawing=before, history=(session.Drawn.of(before.value),)))
    assert "Stopped" in values(rest, "status")[-1]
    assert values(rest, "drawing") == values(rest, "history") == values(rest, "drawn") == []


def test_a_visitor_who_leaves_frees_the_device(gate):
    gate.shut()
    updates = draw()
    wait_for(updates, "step 3 of")
    updates.close()
    assert is_free()


def test_what_fails_midway_brings_the_last_picture_back(gate, monkeypatch):
    before = drawn()
    gate.shut()
    updates = draw(seed=2, drawing=before, history=(session.Drawn.of(before.value),))
    wait_for(updates, "step 3 of")

    def failing(self, latent):
        raise Refusal("The model is damaged.")

    monkeypatch.setattr(LatentDecoder, "preview", failing)
    gate.open.set()
    rest = list(updates)
    assert "The model is damaged." in values(rest, "status")[-1]
    assert values(rest, "picture")[-1] == show.picture(before.value.image, PROMPT)
    assert not json.loads(values(rest, "strip")[-1])["live"]
    assert values(rest, "drawing") == values(rest, "history") == values(rest, "drawn") == []


def test_what_is_refused_at_once_touches_nothing_but_the_status():
    before = drawn()
    for changes in ({"prompt": " "}, {"steps": 2.5}, {"seed": -1}, {"scheduler": "zzz"}, {"prompt": "a" * 30_000}):
        rest = list(draw(**{"drawing": before, "history": (session.Drawn.of(before.value),)} | changes))
        assert all(values(rest, name) == [] for name in run.STREAMED if name != "status"), changes
        assert list(run.show_drawn(False, before, (), ANNA)) == [run.only()]


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"steps": 10**6, "prompt": PROMPT}, "steps must be from"),
        ({"guidance": -3.0}, "guidance must be from"),
        ({"guidance": 10**6}, "guidance must be from"),
        ({"width": 10**6}, "width must be from"),
        ({"height": 1}, "height must be from"),
        ({"prompt": "a red circle " * 800}, "were not read"),
    ],
)
def test_absurd_wishes_are_brought_within_reason_and_that_is_said(changes, remark, monkeypatch):
    if "steps" in changes:
        monkeypatch.setattr(drawing_asked, "MAX_STEPS", 6)
    assert remark in shown(draw(**changes))["meta"]


@pytest.mark.parametrize(
    "prompt", ["赤い丸と青い四角", "красный круг", "🔴" * 40, "<b>a red</b> circle {{x}}", "\ud800 red"]
)
def test_prompts_in_any_script_are_drawn_and_shown_as_text(prompt):
    page = shown(draw(prompt))
    assert page["drawing"].value.image
    for name in ("meta", "picture", "viewer", "stages", "code"):
        json.dumps(page[name], ensure_ascii=False).encode()
    assert "<b>a red" not in page["meta"]


def test_several_pictures_take_one_seed_after_another():
    updates = list(draw(seed=3, pictures=3))
    page = shown(updates)
    assert [one.settings["seed"] for one in page["history"]] == [3, 4, 5]
    assert page["drawing"] is page["history"][-1].whole
    assert "Picture 2 of 3: Drawing" in "".join(values(updates, "status")) and len(json.loads(page["gallery"])) == 3
    assert np.array_equal(np.asarray(page["history"][1].whole.value.image), np.asarray(drawn(seed=4).value.image))
    assert len(shown(draw(pictures=10**6, steps=1))["history"]) == run.MOST_PICTURES


def test_stop_ends_several_pictures_with_the_one_under_way(gate):
    updates = draw(pictures=3, steps=6)
    seen = wait_for(updates, "Picture 1 of 3: Showing")
    gate.shut()
    seen += wait_for(updates, "Picture 2 of 3: Drawing: step 3")
    session.stop_of(ANNA)
    first, second = shown([*seen, *updates])["history"]
    assert (first.whole.value.ended, second.whole.value.ended) == ("end", "stopped")


def test_two_visitors_get_their_own_pictures():
    bert = SimpleNamespace(session_hash="bert")
    ended = {}

    def ask(visitor, seed):
        ended[seed] = drawn(visitor=visitor, seed=seed)

    threads = [threading.Thread(target=ask, args=given) for given in ((ANNA, 11), (bert, 12))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for seed in (11, 12):
        alone = drawn(seed=seed)
        assert np.array_equal(np.asarray(ended[seed].value.image), np.asarray(alone.value.image))


def test_a_new_drawing_takes_the_place_of_one_under_way(gate):
    gate.shut()
    first = draw()
    wait_for(first, "step 3 of")
    gate.free = 99
    second = drawn(seed=9)
    assert all(update == run.only(run.STREAMED) for update in first) and second.value.settings["seed"] == 9


def test_refused_in_place_of_a_drawing_under_way_shows_the_last_picture_again(gate):
    before = drawn()
    gate.shut()
    first = draw(seed=2, drawing=before)
    wait_for(first, "step 3 of")
    rest = list(draw(" ", drawing=before))
    assert "no prompt yet" in values(rest, "status")[-1]
    assert not json.loads(values(rest, "strip")[-1])["live"]
    assert all(update == run.only(run.STREAMED) for update in first)


def test_an_earlier_drawing_comes_back_with_everything():
    old, new = (session.Drawn.of(drawn(seed=seed).value) for seed in (1, 2))
    update = run.show_other((old, new), gr.EventData(None, {"index": 1}), ANNA)
    assert values([update], "drawing", run.OUTPUTS) == [old.whole]
    assert "seed 1" in values([update], "meta", run.OUTPUTS)[0]
    with pytest.raises(Refusal, match="not on the page any more"):
        run.show_other((old, new), gr.EventData(None, {"index": 2}), ANNA)


def test_settings_are_learned_where_the_model_ships_with_the_app(monkeypatch):
    monkeypatch.setattr(draw_facts, "_known", {})
    *_, (status, *controls) = run.learn(MODEL, ANNA)
    scheduler = dict(zip(draw_facts.OUTPUTS, controls, strict=True))["scheduler"]
    with residency.use(MODEL) as painter:
        assert [value for _, value in scheduler.choices] == ["", *painter.schedulers[1:]]
    assert "is loaded" in status
    assert list(run.learn(MODEL, ANNA)) == [(gr.skip(),) * (1 + len(draw_facts.OUTPUTS))]


def test_a_lent_gpu_is_not_asked_for_every_preview(monkeypatch):
    live = run._Live("a red circle", {"model": "toy-diffusion"})
    assert live.decodes
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert not live.decodes
