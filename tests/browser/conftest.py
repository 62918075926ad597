"""One way to start Chromium for all browser tests, and to open pages that must stay quiet and local.

Without Chromium the tests are skipped, unless CI is set: there they fail.
"""

import os
from pathlib import Path

import pytest

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


class ZeroShot:
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
