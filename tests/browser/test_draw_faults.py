"""The text-to-image tab when things go wrong: Stop, visitors who leave, absurd wishes, and pictures from elsewhere."""

import threading
import time

import pytest
from PIL import Image

import mmexplorer
from mmexplorer import residency
from mmexplorer.models.diffusion_run import DrawingRun

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

PROMPT = "a red circle"
MODEL = "toy-diffusion"


class Gate:
    """Lets drawings do so many steps, and then only those that are let through; stopped ones go on."""

    def __init__(self):
        self.free, self.open, self.ended = 99, threading.Event(), threading.Event()

    def wait(self, drawing) -> None:
        while len(drawing._steps) >= self.free and not self.open.is_set():
            if drawing._stop.is_set():
                self.ended.set()
                return
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


def begin(draw, steps: int = 6) -> None:
    """Starts a drawing and waits until a part of it is on the page."""
    draw.fill(prompt=PROMPT, steps=steps)
    draw.page.locator("#draw-run").click()
    expect(draw.status).to_contain_text("step 3 of", timeout=90_000)
    expect(draw.strip.locator(".step")).to_contain_text("Step 3", timeout=10_000)


def free_again() -> bool:
    """Whether somebody else can have the device, and nobody waits for it any more."""
    for _ in range(100):
        with residency.use(MODEL, threading.Event()):
            if residency.status(MODEL).waiting == 0:
                return True
        time.sleep(0.05)
    return False


def test_stop_keeps_the_picture_so_far_with_its_words_and_frees_the_device(draw, gate):
    gate.free = 3
    begin(draw)
    expect(draw.meta).to_have_css("opacity", "0.35")  # whatever it says, it is not of the picture that is coming
    with draw.finished():
        draw.page.locator("#draw-stop").click()
    expect(draw.meta).to_have_css("opacity", "1")
    assert gate.ended.wait(10)
    expect(draw.status).to_contain_text("Stopped after step")
    expect(draw.strip.locator(".notes")).to_contain_text("Stopped after step")
    assert draw.chips() == ["a", "red", "circle"] and draw.image()
    assert free_again()
    gate.open.set()
    assert "drew" in draw.draw(steps=2)


def test_stop_before_the_first_step_leaves_the_last_picture(draw, monkeypatch):
    draw.draw(prompt=PROMPT, steps=2)
    before, starting, reached = draw.image(), DrawingRun._start, threading.Event()

    def patient(self, total):
        reached.set()
        self._stop.wait(30)
        starting(self, total)

    monkeypatch.setattr(DrawingRun, "_start", patient)
    with draw.finished():
        draw.page.locator("#draw-run").click()
        assert reached.wait(30)
        draw.page.locator("#draw-stop").click()
    expect(draw.status).to_contain_text("Stopped")
    assert draw.image() == before and free_again()
    expect(draw.strip.locator(".play")).to_be_enabled()


def test_a_visitor_who_leaves_stops_the_computation(draw, gate):
    gate.free = 3
    begin(draw)
    draw.page.close()
    assert gate.ended.wait(30)
    assert free_again()


def test_two_visitors_get_their_own_pictures(draw, visit, address, draw_tab):
    other = draw_tab(visit(f"{address}/?tab=draw"))
    other.fill(prompt="a blue square", seed=8, steps=8)
    with other.finished():
        other.page.locator("#draw-run").click()
        draw.draw(prompt=PROMPT, seed=9, steps=8)
    expect(draw.meta).to_contain_text("a red circle")
    expect(draw.meta).to_contain_text("seed 9")
    expect(other.meta).to_contain_text("a blue square")
    expect(other.meta).to_contain_text("seed 8")
    assert draw.image() != other.image()


def test_wishes_that_cannot_be_granted_are_one_sentence_and_nothing_is_lost(draw):
    draw.draw(prompt=PROMPT, steps=2)
    before = draw.image()
    for values, sentence in (
        ({"prompt": " "}, "There is no prompt yet"),
        ({"prompt": "a" * 20_001}, "The prompt has 20,001 characters"),
        ({"prompt": PROMPT, "steps": 2.5}, "steps must be a whole number."),
        ({"steps": 2, "seed": -4}, "seed must be a whole number"),
    ):
        assert sentence in draw.draw(**values)
        assert sentence in draw.toast()
        assert draw.image() == before
    expect(draw.strip.locator(".strip li")).not_to_have_count(0)


def test_a_model_that_cannot_be_fetched_is_named_and_the_picture_stays(draw, monkeypatch):
    monkeypatch.setenv("MMEXPLORER_OFFLINE", "1")
    draw.draw(prompt=PROMPT, steps=2)
    before = draw.image()
    draw.choose("model", "SD-Turbo")
    expect(draw.page.locator("#draw-about")).to_contain_text("to download")
    assert "SD-Turbo is not on this disk and the app is offline" in draw.draw()
    assert draw.image() == before
    expect(draw.meta).to_contain_text("Toy Stable Diffusion")


def test_absurd_numbers_and_long_prompts_are_cut_and_that_is_said(draw):
    draw.draw(prompt="a red circle " * 770, steps=2, guidance=10**6, width=10**6, height=-3)
    for said in ("guidance must be from", "width must be from", "height must be from", "were not read"):
        expect(draw.meta).to_contain_text(said)
    expect(draw.picture.locator("img")).to_have_count(1)


@pytest.mark.parametrize(
    "prompt", ["赤い丸と青い四角", "🔴 красный круг", "<img src=x onerror=\"document.title='pwned'\"> {{x}}"]
)
def test_prompts_in_any_script_are_drawn_and_stay_text(draw, prompt):
    draw.draw(prompt=prompt, steps=2)
    expect(draw.meta).to_contain_text(prompt)
    assert draw.page.title() == "mmexplorer"
    expect(draw.picture.locator("img")).to_have_count(1)


def test_pictures_from_elsewhere_are_refused_in_one_sentence(draw, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    (tmp_path / "notes.txt").write_text("no picture")
    draw.fill(prompt="mine", seed=5)
    for name in ("other.png", "notes.txt"):
        with draw.finished():
            draw.drop(tmp_path / name)
        expect(draw.status).to_contain_text(f"{name} holds no settings of a picture that was drawn here")
    draw.wait_for_value("prompt", "mine")
    draw.wait_for_value("seed", "5")


def test_without_a_picture_downloads_say_so_and_nothing_offers_to_send_it(draw):
    expect(draw.page.locator("#draw-scheduler")).to_contain_text("fit this model", timeout=60_000)  # and not later
    draw.page.locator("#draw-downloads button").first.click()
    with draw.finished():
        draw.page.locator("#draw-png").click()
    expect(draw.status).to_contain_text("There is no picture to download yet.")
    for tab in ("chat", "zero-shot"):
        expect(draw.page.locator(f"#draw-send-{tab}")).to_be_hidden()


def test_the_package_draws_while_the_page_does_not(draw, gate):
    """Nothing of a stopped page drawing stays with the model."""
    gate.free = 3
    begin(draw)
    with draw.finished():
        draw.page.locator("#draw-stop").click()
    gate.open.set()
    *_, last = mmexplorer.draw(PROMPT, steps=2)
    assert last.drawing.ended == "end"
