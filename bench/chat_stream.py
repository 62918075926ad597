"""How fast answers stream into the page in headless Chromium, beside generation in this process.

Both write the same tokens about the same pictures and take turns. The browser's rate counts from the first words on the
page to the last ones, by its own clock; that of generation alone from its first token to its last.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image
from playwright.sync_api import Page

from bench import endless_llava, material
from bench.chromium import blank_page
from bench.random_llava import QUESTION_WORDS
from bench.report import Row, spread
from bench.served import served
from mmexplorer.placement import CPU
from mmexplorer.replies import Turn

MODEL, BUDGET = "toy-llava", 0.9


@dataclass(frozen=True)
class Answer:
    """What is asked of which model: a size of random_llava.SIZES, or "" for the toy LLaVA."""

    name: str
    size: str
    question: str
    pictures: int
    tokens: int
    budget: float | None = None


# The toy's tokens take 4 ms each, so that whatever else Python does in its process shows.
ANSWERS = (
    Answer("small", "small", " ".join(f"word{i}" for i in range(QUESTION_WORDS)), 3, 128, BUDGET),
    Answer("the toy LLaVA", "", "describe the picture", 1, 512),
)

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
SETTLED = """() => document.querySelector("#chat-meta").textContent.includes("written") && mmBench.grown.length > 1
  && performance.now() - mmBench.grown.at(-1)[0] > 300"""


def measure(runs: int, folder: Path) -> list[Row]:
    """Rows about tokens a second while an answer streams, and about the time from the click to its first words."""
    return [row for answer in ANSWERS for row in _measured(answer, runs, folder)]


def _measured(answer: Answer, runs: int, folder: Path) -> list[Row]:
    from mmexplorer.presets import preset

    row = preset(MODEL)
    os.environ["BENCH_LLAVA"] = answer.size
    chat = endless_llava.load(row, row.path, CPU)
    files = material.new_files(answer.pictures, folder)
    asked = Turn("user", answer.question, [Image.open(file).convert("RGB") for file in files])
    alone, browser, first, whole = [], [], [], []
    with served(endless_llava.ROOT / "bench" / "endless_llava.py") as (address, _), blank_page() as page:
        for run in range(runs + 1):  # the first of each, which loads the model, is not counted
            found = _alone(chat, asked, answer.tokens), _streamed(page, address, answer, files)
            if run:
                alone.append(found[0])
                for values, value in zip((browser, first, whole), found[1], strict=True):
                    values.append(value)
    ratio = median(browser) / median(alone)
    turns = f"{runs} + {runs}, in turn, of {answer.tokens} tokens"
    return [
        Row(
            f"tokens a second while an answer of {answer.name} streams into the page",
            _rates(browser),
            turns,
            f"generation alone: {_rates(alone)}",
            f"{ratio:.2f}",
            f"at least {answer.budget}" if answer.budget else "",
            ratio >= answer.budget if answer.budget else None,
        ),
        Row("  click to the first words", spread(first), f"{runs}"),
        Row("  click to the last word", spread(whole), f"{runs}"),
    ]


def _alone(chat, asked: Turn, tokens: int) -> float:
    """Tokens a second after the first token, which reads the prompt."""
    generation = chat.generate(chat.prompt([asked]), max_new_tokens=tokens)
    next(generation)
    started = time.perf_counter()
    count = sum(1 for _ in generation)
    return count / (time.perf_counter() - started)


def _streamed(page: Page, address: str, answer: Answer, files: list[Path]) -> tuple[float, float, float]:
    """Tokens a second from the first words to the last, and seconds from the click to either; in a new conversation."""
    page.goto(f"{address}/?tab=chat")
    page.locator("#chat-strip input[type=file]").first.set_input_files(files)
    page.locator("#chat-strip img").nth(len(files) - 1).wait_for()
    page.locator("#chat-settings button").first.click()
    page.locator("#chat-most input[type=number]").fill(str(answer.tokens))
    page.keyboard.press("Tab")
    page.locator("#chat-question textarea").fill(answer.question)
    page.evaluate(WATCH)
    page.locator("#chat-ask").click()
    page.wait_for_function(SETTLED, timeout=300_000)
    if f"{answer.tokens} tokens written" not in page.locator("#chat-meta").inner_text():
        raise RuntimeError("The page did not ask for as many tokens as it was told to.")
    seen = page.evaluate("mmBench")
    (start, begun), (stop, written) = seen["grown"][0], seen["grown"][-1]
    tokens = answer.tokens * (written - begun) / written
    return tokens / (stop - start) * 1000, (start - seen["click"]) / 1000, (stop - seen["click"]) / 1000


def _rates(values: list[float]) -> str:
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"
