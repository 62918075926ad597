"""The zero-shot tab as it looks: on a desk, on a phone and in the dark; saves what it sees into screenshots/."""

from pathlib import Path

import pytest

from mmexplorer.explore import experiments
from mmexplorer.explore.experiments import ASSETS

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

PICTURES = [ASSETS / "images" / "zero_shot" / name for card in experiments.cards("zero_shot") for name in card.pictures]
FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDS = ("Settings", "The five steps", "Downloads")
FOLDER = Path(__file__).parents[2] / "screenshots"


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_state_fits_its_screen_and_is_readable(visit, address, zero_shot_tab, width, theme):
    FOLDER.mkdir(exist_ok=True)
    tab = zero_shot_tab(visit(f"{address}/?__theme={theme}", width, 900))

    def look(state: str) -> None:
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, state
        tab.page.screenshot(path=FOLDER / f"zero-shot-{state}-{width}-{theme}.png", full_page=True)

    look("first")
    assert tab.page.evaluate(FAINT) == []
    tab.example(0)
    expect(tab.viewer.locator(".chip")).not_to_have_count(0)
    look("example")
    tab.choose("Experiment", experiments.cards("zero_shot")[0].title)
    expect(tab.page.locator("#zs-brief").first).to_be_visible()
    look("card")
    tab.classify()
    expect(tab.status).to_be_in_viewport()
    look("three-models")
    tab.choose("Experiment", experiments.cards("zero_shot")[2].title)
    expect(tab.page.get_by_role("tab", name="Picture", selected=True)).to_be_visible()
    for name in FOLDS:
        tab.page.get_by_role("button", name=name).click()
    tab.classify()
    expect(tab.page.locator("#zs-steps .steps > li")).to_have_count(5)
    assert tab.page.evaluate(FAINT) == []
    tab.page.get_by_role("button", name="The same in Python").click()  # its colours come by a filter, unseen by FAINT
    expect(tab.page.locator("#zs-code .cm-content")).to_be_visible()
    look("templates-and-folds")
    tab.several(PICTURES[:12])
    tab.choose("Ready-made labels", "Colours x shapes (90)")
    tab.classify()
    look("several-and-ninety-labels")
    tab.page.get_by_role("tab", name="Draw").click()
    expect(tab.page.locator("#zs-drawing canvas").first).to_be_visible()
    tab.classify()
    expect(tab.page.get_by_test_id("toast-text")).to_be_visible()
    look("draw-and-refusal")
