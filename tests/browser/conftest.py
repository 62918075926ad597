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
