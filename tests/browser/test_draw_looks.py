"""The text-to-image tab as it looks: on a desk, on a phone and in the dark; saves what it sees into screenshots/."""

import threading
from pathlib import Path

import pytest

from mmexplorer.explore import experiments
from mmexplorer.models.diffusion_run import DrawingRun

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_state_fits_its_screen_and_is_readable(visit, address, draw_tab, width, theme):
    FOLDER.mkdir(exist_ok=True)
    tab = draw_tab(visit(f"{address}/?tab=draw&__theme={theme}", width, 900))

    def look(state: str) -> None:
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, state
        tab.page.screenshot(path=FOLDER / f"draw-{state}-{width}-{theme}.png", full_page=True)

    look("first")
    assert tab.page.evaluate(FAINT) == []
    tab.draw(prompt="a red circle to the left of a blue square")
    look("drawn")
    assert tab.page.evaluate(FAINT) == []
    tab.page.get_by_label("The film strip's step").click()
    expect(tab.viewer).to_contain_text("alone")
    tab.draw(seed=1, steps=2, width=10**6, negative="a star")
    tab.page.locator("#draw-way button").first.click()
    tab.page.locator("#draw-downloads button").first.click()
    assert tab.page.evaluate(FAINT) == []
    look("several-and-folds")
    tab.choose("card", experiments.cards("draw")[1].title)
    expect(tab.page.locator("#draw-brief").first).to_be_visible()
    look("card")


def test_on_a_phone_the_picture_comes_into_view_as_the_drawing_begins(visit, address, draw_tab, monkeypatch):
    tab = draw_tab(visit(f"{address}/?tab=draw", 390, 844))
    starting, begun, seen = DrawingRun._start, threading.Event(), threading.Event()

    def patient(self, total):
        begun.set()
        seen.wait(30)
        starting(self, total)

    monkeypatch.setattr(DrawingRun, "_start", patient)
    expect(tab.picture).not_to_be_in_viewport()
    with tab.finished():
        tab.page.locator("#draw-run").click()
        assert begun.wait(60)
        expect(tab.picture).to_be_in_viewport(ratio=1)
        seen.set()
