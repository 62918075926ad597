"""The chat tab as it looks: on a desk, on a phone and in the dark; saves what it sees into screenshots/."""

from pathlib import Path

import pytest

from mmexplorer.explore import experiments
from mmexplorer.explore.experiments import ASSETS

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
FOLDER = Path(__file__).parents[2] / "screenshots"
PICTURES = [ASSETS / "images" / "chat" / f"{name}.png" for name in ("three-yellow-stars", "red-circle-blue-square")]


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_state_fits_its_screen_and_is_readable(visit, address, chat_tab, width, theme):
    FOLDER.mkdir(exist_ok=True)
    tab = chat_tab(visit(f"{address}/?tab=chat&__theme={theme}", width, 900))

    def look(state: str) -> None:
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, state
        tab.page.screenshot(path=FOLDER / f"chat-{state}-{width}-{theme}.png", full_page=True)

    look("first")
    assert tab.page.evaluate(FAINT) == []
    tab.example(1)
    look("example")
    tab.upload(*PICTURES)
    tab.ask("how many shapes are there?")
    for name, button in (("Causal check", "run-check"), ("What each patch says", "read"), ("vision tower", "see")):
        tab.unfold(name)
        with tab.finished():
            tab.page.locator(f"#chat-{button}").click()
    tab.unfold("What the model sees")
    tab.unfold("Settings")
    assert tab.page.evaluate(FAINT) == []
    look("several-and-folds")
    tab.open_card(experiments.cards("chat")[1].title)
    expect(tab.page.locator("#chat-brief").first).to_be_visible()
    look("card")
