"""The page's frame in a real Chromium: readable in light and dark, on a phone, by an address that names a tab."""

import sys
import types
from pathlib import Path

import gradio as gr
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.tabs import TABS, server, shell

pytestmark = pytest.mark.browser

FAINT = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")


def build(page: shell.Page) -> None:
    """A tab with one of each common component."""

    def refuse():
        raise Refusal("There is no <b>such</b> thing.")

    with gr.Row():
        with gr.Column(scale=1):
            gr.Image(label="Picture")
            gr.Textbox(label="Labels", info="One a line.", placeholder="a red circle")
            gr.Dropdown(["toy", "large"], value=["toy"], multiselect=True, label="Models", info="Several at once.")
            gr.Checkbox(True, label="Contrast", info="With the others.")
            gr.Radio(["one", "two"], value="one", label="Kind")
            gr.Slider(0, 10, label="Scale")
            gr.Button("Ask", variant="primary").click(refuse, api_visibility="private")
            gr.Button("Stop", variant="stop")
            gr.Button("Other")
            with gr.Accordion("Settings", open=True):
                gr.Markdown("**Text** with a [link](#x) and `code`.")
        with gr.Column(scale=2):
            gr.Dataframe([[1, 2]], headers=["a", "b"])
            gr.File(label="Files")


@pytest.fixture(scope="module")
def address():
    module = types.ModuleType("one_of_each")
    module.build = build
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "one_of_each", module)
        patch.setattr(shell, "TABS", {"first": ("First", "one_of_each"), "second": ("Second", "one_of_each")})
        page = shell.build()
        server.launch(page, "127.0.0.1", None)
        yield page.local_url.rstrip("/")
        page.close(verbose=False)


@pytest.mark.parametrize(("query", "tab"), [("", "First"), ("?tab=second", "Second"), ("?tab=nonsense", "First")])
def test_the_address_selects_a_tab(visit, address, query, tab):
    page = visit(f"{address}/{query}")
    page.get_by_role("tab", name=tab, selected=True).wait_for()
    assert page.get_by_role("tab", selected=True).count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_enough_contrast(visit, address, theme):
    page = visit(f"{address}/?__theme={theme}")
    page.get_by_text("Help", exact=True).click()
    page.get_by_text("Toy models are small models").wait_for()
    page.get_by_label("Labels").wait_for()
    assert page.evaluate(FAINT) == []


def test_the_contrast_test_can_fail(visit, address):
    page = visit(address)
    page.locator("h1").evaluate("heading => { heading.style.color = '#888'; }")
    assert page.evaluate(FAINT) == ["mmexplorer: 3.54"]


def test_a_phone_scrolls_in_one_direction_only(visit, address):
    page = visit(address, width=390, height=844)
    page.get_by_text("Help", exact=True).click()
    page.get_by_label("Labels").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_there_is_one_first_heading(visit, address):
    page = visit(address)
    page.get_by_label("Labels").wait_for()
    assert page.get_by_role("heading", level=1).all_inner_texts() == ["mmexplorer"]


def test_a_refusal_is_a_toast_and_never_markup(visit, address):
    page = visit(address)
    page.get_by_role("button", name="Ask").click()
    toast = page.get_by_test_id("toast-body")
    toast.wait_for()
    assert "There is no <b>such</b> thing." in toast.inner_text()


def test_the_table_of_tabs_names_modules_that_build():
    for key, (label, module) in TABS.items():
        assert key == key.lower() and " " not in key
        assert label
        assert Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py").exists()
