"""How fast an answer of the toy LLaVA streams into the page in headless Chromium, beside generation in this process.

Both write the same tokens about the same picture and take turns. The browser's rate counts from the first words on the
page to the last ones, by its own clock; that of generation alone from its first token to its last.
"""

import time
from pathlib import Path
from statistics import median

from PIL import Image
from playwright.sync_api import Page

from bench import endless_llava, material
from bench.chromium import blank_page
from bench.report import Row, duration, spread
from bench.served import served

MODEL, QUESTION, TOKENS = "toy-llava", "describe the picture", 512
BUDGET = 0.9

# Notes when Ask is clicked, and how long the answer's text is whenever it has grown.
WATCH = """() => {
  const seen = window.mmBench = { click: null, grown: [] };
  new MutationObserver(() => {
    const text = document.querySelector("#chat-talk [data-testid=bot]")?.textContent.trim() ?? "";
    if (text.length > (seen.grown.at(-1)?.[1] ?? 0)) seen.grown.push([performance.now(), text.length]);
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
  const note = (event) => seen.click = event.timeStamp;
  document.querySelector("#chat-ask").addEventListener("click", note, { once: true, capture: true });
}"""
# The line under the conversation says how fast it was once the answer is there; its text comes with it or before.
SETTLED = """() => document.querySelector("#chat-meta").textContent.trim() && mmBench.grown.length > 1
  && performance.now() - mmBench.grown.at(-1)[0] > 300"""


def measure(runs: int, folder: Path) -> list[Row]:
    """Rows about tokens a second while an answer streams, and about the time from the click to its first words."""
    from mmexplorer.presets import preset

    row = preset(MODEL)
    chat = endless_llava.load(row, row.path, "cpu")
    file = material.new_files(1, folder)[0]
    picture = Image.open(file).convert("RGB")
    alone, browser, first, whole = [], [], [], []
    with served(endless_llava.ROOT / "bench" / "endless_llava.py") as (address, _), blank_page() as page:
        for run in range(runs + 1):  # the first of each, which loads the model, is not counted
            found = _alone(chat, picture), _streamed(page, address, file)
            if run:
                alone.append(found[0])
                for values, value in zip((browser, first, whole), found[1], strict=True):
                    values.append(value)
    ratio = median(browser) / median(alone)
    turns = f"{runs} + {runs}, in turn, of {TOKENS} tokens"
    return [
        Row(
            "tokens a second while the toy LLaVA's answer streams into the page",
            _rates(browser),
            turns,
            f"generation alone: {_rates(alone)}",
            f"{ratio:.2f}",
            f"at least {BUDGET}",
            ratio >= BUDGET,
        ),
        Row("  click to the first words", spread(first), f"{runs}"),
        Row(
            "  click to the last word",
            spread(whole),
            f"{runs}",
            f"generation alone: {duration(TOKENS / median(alone))}",
        ),
    ]


def _alone(chat, picture: Image.Image) -> float:
    """Tokens a second after the first token, which reads the prompt."""
    generation = chat.generate(chat.prompt([("user", QUESTION, [picture])]), max_new_tokens=TOKENS)
    next(generation)
    started = time.perf_counter()
    count = sum(1 for _ in generation)
    return count / (time.perf_counter() - started)


def _streamed(page: Page, address: str, file: Path) -> tuple[float, float, float]:
    """Tokens a second from the first words to the last, and seconds from the click to either; in a new conversation."""
    page.goto(f"{address}/?tab=chat")
    page.locator("#chat-settings button").first.click()
    page.locator("#chat-most input[type=number]").fill(str(TOKENS))
    page.keyboard.press("Tab")
    page.locator("#chat-strip input[type=file]").first.set_input_files(file)
    page.locator("#chat-strip img").first.wait_for()
    page.locator("#chat-question textarea").fill(QUESTION)
    page.evaluate(WATCH)
    page.locator("#chat-ask").click()
    page.wait_for_function(SETTLED, timeout=120_000)
    seen = page.evaluate("mmBench")
    (start, begun), (stop, written) = seen["grown"][0], seen["grown"][-1]
    tokens = TOKENS * (written - begun) / written
    return tokens / (stop - start) * 1000, (start - seen["click"]) / 1000, (stop - seen["click"]) / 1000


def _rates(values: list[float]) -> str:
    return f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})"
