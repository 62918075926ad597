"""The memory panel in a real Chromium: opened by the keyboard, kept up to date, and how models are unloaded in it."""

import json
import sys
import types
from pathlib import Path

import gradio as gr
import pytest

from mmexplorer import residency
from mmexplorer.residency_status import Loaded, Memory
from mmexplorer.tabs import server, shell

pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
LOOK = """hidden => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


class Models(list):
    """A residency of models that are only names, most of a device's memory used up."""

    def memory(self):
        return Memory("NVIDIA L4", 3_100_000_000, 24_000_000_000, 20_000_000_000, tuple(self))

    def evict(self, key=None):
        gone = [model.key for model in self if not model.in_use and key in (None, model.key)]
        self[:] = [model for model in self if model.key not in gone]
        return gone


@pytest.fixture
def models(monkeypatch):
    three = Models(
        [
            Loaded("toy-clip", 4_000_000, False, 7300.0),
            Loaded("toy-diffusion", 5_600_000_000, False, 130.0),
            Loaded("toy-llava", 14_200_000_000, True),
        ]
    )
    monkeypatch.setattr(residency, "memory", three.memory)
    monkeypatch.setattr(residency, "loaded", lambda: list(three))
    monkeypatch.setattr(residency, "evict", three.evict)
    return three


@pytest.fixture(scope="module", params=[True], ids=["at the machine"])
def address(request):
    module = types.ModuleType("a_tab")
    module.build = lambda page: gr.Button("Other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "a_tab", module)
        patch.setattr(shell, "TABS", {"first": ("First", "a_tab")})
        page = shell.build(local=request.param)
        server.launch(page, "127.0.0.1", None)
        yield page.local_url.rstrip("/")
        page.close(verbose=False)


@pytest.fixture
def panel(visit, address, models):
    """A function that opens the page and its panel."""

    def opened(query: str = "", **size):
        page = visit(f"{address}/{query}", **size)
        page.get_by_text("3 models in memory, 19.8 GB of 20.0 GB").click()
        page.get_by_text("NVIDIA L4").wait_for()
        return page

    return opened


def names(page):
    return page.locator("#mm-memory .name").all_inner_texts()


def test_the_keyboard_opens_it_moves_through_it_and_closes_it(visit, address, models):
    page = visit(address)
    page.get_by_text("3 models in memory").wait_for()
    page.locator("#mm-memory summary").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Free memory").wait_for()
    page.keyboard.press("Tab")
    # The first row's model is in use, so its button is passed over.
    assert page.evaluate("document.activeElement.dataset.key") == "toy-diffusion"
    page.keyboard.press("Escape")
    assert not page.get_by_text("Free memory").is_visible()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_rows_tell_share_and_last_use(panel):
    page = panel()
    rows = page.locator("#mm-memory li")
    assert rows.count() == 3
    assert rows.nth(0).locator(".used").inner_text() == "In use" and rows.nth(0).get_by_role("button").is_disabled()
    assert rows.nth(1).locator(".used").inner_text() == "Last used 2 min ago"
    assert rows.nth(2).locator(".size").inner_text() == "4 MB, under 1%"
    widths = [row.evaluate("bar => bar.firstChild.offsetWidth / bar.offsetWidth") for row in page.locator(".bar").all()]
    assert widths == pytest.approx([0.71, 0.28, 0], abs=0.03)


def test_a_model_is_unloaded_and_the_keyboard_stays_in_the_panel(panel, models):
    page = panel()
    page.get_by_role("button", name="Unload Toy Stable Diffusion").press("Enter")
    page.get_by_text("2 models in memory, 14.2 GB of 20.0 GB").wait_for()
    assert [model.key for model in models] == ["toy-clip", "toy-llava"]
    assert page.evaluate("document.activeElement.closest('#mm-memory') !== null")


def test_unload_all_leaves_what_is_in_use_and_says_so(panel, models):
    page = panel()
    page.get_by_role("button", name="Unload all").click()
    page.get_by_text("Toy LLaVA is in use, so not everything was unloaded.").wait_for()
    page.get_by_text("toy-llava in memory").wait_for()
    assert len(names(page)) == 1 and page.get_by_role("button", name="Unload all").is_disabled()


def test_it_asks_while_somebody_looks_and_gets_no_more_than_what_has_changed(panel, models):
    page, answers = panel(), []
    page.wait_for_timeout(500)
    page.on("response", lambda response: answers.append(response))
    page.evaluate(LOOK, True)
    page.wait_for_timeout(300)
    assert answers == []
    page.evaluate(LOOK, False)
    page.wait_for_timeout(500)
    assert len(answers) == 1 and "models" not in json.dumps(answers[0].json()["data"])
    models.pop(0)
    page.evaluate(LOOK, False)
    page.get_by_text("2 models in memory").wait_for()
    assert page.get_by_text("NVIDIA L4").is_visible()  # the panel stays open


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_enough_contrast(panel, theme):
    assert panel(f"?__theme={theme}").evaluate(FAINT) == []


def test_a_phone_scrolls_in_one_direction_only(panel):
    page = panel(width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("address", [False], indirect=True, ids=["on a public page"])
def test_on_a_public_page_there_is_nothing_to_press(panel):
    page = panel()
    assert len(names(page)) == 3 and page.locator("#mm-memory button:visible").count() == 0
    page.get_by_text("Only who sits at the machine that runs the app can unload models.").wait_for()
