"""One way to start Chromium for all browser tests, and to open pages that must stay quiet and local.

Without Chromium the tests are skipped, unless CI is set: there they fail.
"""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest

from mmexplorer.components.shell import theme

MUST_RUN = os.environ.get("CI", "").lower() in {"1", "true"}
try:
    from playwright.sync_api import sync_playwright
except ImportError:
    if MUST_RUN:
        raise
    sync_playwright = None

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def chromium():
    """A browser for the tests of one file; not for the session, as it keeps an event loop running in this thread."""
    if sync_playwright is None or not CHROMIUM.exists():
        missing = f"The browser tests need playwright and {CHROMIUM}."
        pytest.fail(missing) if MUST_RUN else pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def component_page():
    """A function that serves a page with one component, and a button for each value that the component can be given.

    Its first argument are the values by the buttons' names, its second builds the page and returns the component.
    """

    @contextmanager
    def serve(values, build):
        with gr.Blocks(analytics_enabled=False) as demo:
            main = build()
            for name, value in values.items():
                press = gr.Button(name).click
                press(lambda value=value: value, None, main, show_progress="hidden", api_visibility="private")
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", theme=theme())
        yield url
        demo.close()

    return serve


@pytest.fixture
def visit(chromium):
    """A function that opens an address; in the end no page may have logged an error or asked another machine."""
    faults = []
    pages = []

    def note(request) -> None:
        if not request.url.startswith(("http://127.0.0.1", "http://localhost", "data:", "blob:")):
            faults.append(f"asked {request.url}")

    def open_page(address: str, width: int = 1280, height: int = 900):
        page = chromium.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.on("request", note)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not faults


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The whole page, served from another folder than the repository's, with no model in memory."""
    from mmexplorer import residency
    from mmexplorer.tabs import server, shell

    residency.evict()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        page = shell.build()
        server.launch(page, "127.0.0.1", None)
        yield page.local_url.rstrip("/")
        page.close(verbose=False)


class Tab:
    """What visitors do in every tab."""

    def unfold(self, title: str) -> None:
        """Opens a fold, by a part of its title."""
        self.page.locator("button.label-wrap:visible", has_text=title).first.click()
        # The fields of a fold are built when it opens, and for some 30 ms they still forget what is typed into them.
        self.page.wait_for_timeout(300)


class ZeroShot(Tab):
    """The zero-shot tab on a page, as a visitor handles it."""

    def __init__(self, page):
        self.page = page
        self.status = page.locator("#zs-status .mmx-status")
        self.scores, self.viewer = page.locator("#zs-scores"), page.locator("#zs-viewer")
        page.locator("#zs-run").wait_for()

    def labels(self, text: str) -> None:
        self.page.locator("#zs-labels textarea").fill(text)

    def typed(self) -> list[str]:
        return self.page.locator("#zs-labels textarea").input_value().splitlines()

    def upload(self, path) -> None:
        """One picture, in place of the one that is there."""
        remove = self.page.locator("#zs-picture").get_by_role("button", name="Remove Image")
        if remove.count():
            remove.click()
        self.page.locator("#zs-picture input[type=file]").first.set_input_files(str(path))
        self.page.locator("#zs-picture img").wait_for(state="attached")

    def several(self, paths) -> None:
        self.page.get_by_role("tab", name="Several").click()
        self.page.locator("#zs-files input[type=file]").set_input_files([str(path) for path in paths])
        self.page.locator("#zs-files .file").nth(len(paths) - 1).wait_for()

    def choose(self, label: str, option: str) -> None:
        """An option of a list, by a part of its name."""
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option).click()

    def example(self, number: int) -> None:
        self.page.locator("#zs-examples button").nth(number).click()

    def classify(self) -> str:
        """Presses Classify and waits until the answer is complete; the status line then."""
        self.status.evaluate("line => { line.dataset.old = 'yes'; }")
        self.page.locator("#zs-run").click()
        # Between its parts the answer shows a quiet status for a moment.
        self.page.wait_for_function(
            """() => {
                const line = document.querySelector('#zs-status .mmx-status');
                const quiet = line && !line.dataset.old && !line.classList.contains('mmx-busy');
                window.quietSince = quiet ? window.quietSince ?? Date.now() : undefined;
                return quiet && Date.now() - window.quietSince > 500;
            }"""
        )
        return self.status.inner_text()

    def shown(self) -> dict[str, float]:
        """{label: probability} of the bars, from top to bottom."""
        return dict(
            self.scores.locator(".rows li").evaluate_all(
                "rows => rows.map(r => [r.querySelector('.label').textContent, "
                "Number(r.querySelector('.number').dataset.value)])"
            )
        )

    def toast(self) -> str:
        """The sentence of the newest toast, which is then put away."""
        text = self.page.get_by_test_id("toast-text").last
        text.wait_for()
        said = text.inner_text()
        self.page.get_by_test_id("toast-close").last.click()
        text.wait_for(state="detached")
        return said


@pytest.fixture
def zero_shot_tab():
    """A function that makes a page the zero-shot tab of a visitor."""
    return ZeroShot


@pytest.fixture
def tab(visit, address):
    """The zero-shot tab, freshly opened."""
    return ZeroShot(visit(address))


class Viewing(Tab):
    """What visitors read in tabs that have one big viewer."""

    def chips(self) -> list[str]:
        return self.viewer.locator(".chip").all_inner_texts()

    def toast(self) -> str:
        text = self.page.get_by_test_id("toast-text").last
        text.wait_for()
        return text.inner_text()


class Chat(Viewing):
    """The chat tab on a page, as a visitor handles it."""

    def __init__(self, page):
        self.page = page
        self.status = page.locator("#chat-status .mmx-status")
        self.talk, self.viewer, self.tokens = (page.locator(f"#chat-{name}") for name in ("talk", "viewer", "tokens"))
        page.locator("#chat-ask").wait_for()

    def upload(self, *paths) -> None:
        """Pictures for the next question, beside those that are there."""
        there = self.pictures()
        self.page.locator("#chat-strip input[type=file]").first.set_input_files([str(path) for path in paths])
        self.page.locator("#chat-strip button[aria-label^=Thumbnail]").nth(there + len(paths) - 1).wait_for()

    def pictures(self) -> int:
        return self.page.locator("#chat-strip button[aria-label^=Thumbnail]").count()

    def typed(self) -> str:
        return self.page.locator("#chat-question textarea").input_value()

    def choose(self, name: str, option: str) -> None:
        """An option, by a part of its name, of the list with that id; waits until the answer to that is there."""
        with self.finished():
            self.page.locator(f"#chat-{name} input").click()
            self.page.get_by_role("option", name=option).click()

    def open_card(self, title: str) -> None:
        self.page.locator("#chat-card input").click()
        self.page.get_by_role("option", name=title).click()

    @contextmanager
    def finished(self):
        """Waits until what the block starts has come to an end, whatever that is."""
        self.status.evaluate("line => { line.dataset.old = 'yes'; }")
        yield
        self.page.wait_for_function(
            """() => {
                const line = document.querySelector('#chat-status .mmx-status');
                return line && !line.dataset.old && !line.classList.contains('mmx-busy');
            }""",
            timeout=90_000,
        )

    def ask(self, question: str) -> str:
        """The answer, with all that the page shows of it."""
        with self.finished():
            self.page.locator("#chat-question textarea").fill(question)
            self.page.locator("#chat-ask").click()
        return self.said()[-1]

    def example(self, number: int) -> str:
        self.page.locator("#chat-examples button").nth(number).click()
        self.page.wait_for_function(
            "() => document.querySelector('#chat-meta').textContent.includes('written')", timeout=90_000
        )
        self.viewer.locator(".chip").first.wait_for()
        return self.said()[-1]

    def said(self) -> list[str]:
        """The texts of the conversation, questions and answers in turn."""
        texts = self.talk.locator("[data-testid=user] .message-content, [data-testid=bot] .message-content")
        return [text.replace("\u200b", "").strip() for text in texts.all_inner_texts() if text.strip()]


@pytest.fixture
def chat_tab():
    """A function that makes a page the chat tab of a visitor."""
    return Chat


@pytest.fixture
def chat(visit, address):
    """The chat tab, freshly opened."""
    return Chat(visit(f"{address}/?tab=chat"))


class Draw(Viewing):
    """The text-to-image tab on a page, as a visitor handles it."""

    def __init__(self, page):
        self.page = page
        self.status = page.locator("#draw-status .mmx-status")
        names = ("picture", "meta", "strip", "viewer", "stages", "gallery")
        for name in names:
            setattr(self, name, page.locator(f"#draw-{name}"))
        page.locator("#draw-run").wait_for()
        # A box for a number is empty, which is the model's own, only once the page has been told so.
        page.wait_for_function("() => document.querySelector('#draw-seed input').value === '0'")
        self.page.locator("#draw-settings button").first.click()
        self.wait_for_value("steps", "")
        self.page.locator("#draw-settings button").first.click()

    def wait_for_value(self, name: str, value: str) -> None:
        selector = f"#draw-{name} input, #draw-{name} textarea"
        self.page.wait_for_function(
            "([selector, value]) => document.querySelector(selector)?.value === value", arg=[selector, value]
        )

    def choose(self, name: str, option: str) -> None:
        """An option of the list with that id, by its name, after which only facts may follow."""
        self.page.locator(f"#draw-{name} input").click()
        self.page.get_by_role("option", name=re.compile(f"^{re.escape(option)}( ·|$)")).click()

    def fill(self, **values) -> None:
        """Values for the boxes with those ids; those of the settings are opened first if they are folded."""
        for name, value in values.items():
            box = self.page.locator(f"#draw-{name} input, #draw-{name} textarea").first
            if not box.is_visible():
                self.unfold("Settings")
            box.fill(str(value))

    @contextmanager
    def finished(self):
        """Waits until what the block starts has come to an end, whatever that is."""
        self.status.evaluate("line => { line.dataset.old = 'yes'; }")
        yield
        # Between the picture and its exact previews the line is quiet for a moment.
        self.page.wait_for_function(
            """() => {
                const line = document.querySelector('#draw-status .mmx-status');
                const quiet = line && !line.dataset.old && !line.classList.contains('mmx-busy');
                window.quietSince = quiet ? window.quietSince ?? Date.now() : undefined;
                return quiet && Date.now() - window.quietSince > 700;
            }""",
            timeout=90_000,
        )

    def draw(self, **values) -> str:
        """Draws with those values and returns the status line at the end."""
        self.fill(**values)
        with self.finished():
            self.page.locator("#draw-run").click()
        return self.status.inner_text()

    def drop(self, path) -> None:
        """A picture on the place where old ones are opened again."""
        self.page.locator("#draw-file input[type=file]").set_input_files(str(path))

    def download(self, kind: str):
        """The file behind one of the buttons under Downloads."""
        button = self.page.locator(f"#draw-{kind}")
        if not button.is_visible():
            self.page.locator("#draw-downloads button").first.click()
        with self.page.expect_download() as download:
            button.click()
        return download.value

    def image(self) -> str:
        """The large picture's address."""
        return self.picture.locator("img").get_attribute("src")


@pytest.fixture
def draw_tab():
    """A function that makes a page the text-to-image tab of a visitor."""
    return Draw


@pytest.fixture
def draw(visit, address):
    """The text-to-image tab, freshly opened."""
    return Draw(visit(f"{address}/?tab=draw"))
