"""50,000 points in the embedding map, in headless Chromium: until usable, frames a second, hover and click.

The page holds the map alone (map_page.py). Chromium draws WebGL on the processor here, which a graphics card does far
faster: there a moving flat map carries along the picture that it has drawn and draws anew when it rests, while a solid
one is drawn anew in every frame. The clock is the browser's own; frames are the intervals between its animation frames
while a mouse drags or its wheel turns.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Page

from bench.chromium import blank_page
from bench.map_page import PICTURES
from bench.report import Row, duration, percentile, spread
from bench.served import ROOT, served

COUNT = f"{2 * PICTURES:,} points"
USABLE_SECONDS, ANSWER_SECONDS = 5.0, 0.3
GESTURE_SECONDS, SETTLE_MILLISECONDS = 3.0, 800
ASKED = 10  # points hovered and clicked on each page

# From the button to the first frame after the one that shows the points.
SHOW = """(name) => new Promise((done) => {
  const map = document.querySelector("#map .mm-map"), button = document.querySelector(`#${name}`);
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - started) / 1000)));
  }).observe(map, { attributeFilter: ["data-drawn"] });
  const started = performance.now();
  button.click();
})"""
FRAMES = """() => {
  const frames = window.mmFrames = { intervals: [], on: true };
  let last = null;
  requestAnimationFrame(function next(now) {
    if (last !== null) frames.intervals.push((now - last) / 1000);
    last = now;
    if (frames.on) requestAnimationFrame(next);
  });
}"""
# Where every thousandth picture is on the page.
PLACES = """() => {
  const { data, layout } = document.querySelector("#map .plot");
  const box = document.querySelector("#map .stage").getBoundingClientRect();
  const share = (value, [low, high]) => (value - low) / (high - low);
  const points = [...data[0].x.keys()].filter((point) => point % 1000 === 7);
  return points.map((point) => [
    box.left + box.width * share(data[0].x[point], layout.xaxis.range),
    box.bottom - box.height * share(data[0].y[point], layout.yaxis.range),
  ]);
}"""
# From the pointer's last movement to the card, from the release of the button to the server's answer on the page.
HOVER = """() => { window.mmAnswer = new Promise((done) => {
  const card = document.querySelector("#map .card"), stage = document.querySelector("#map .stage");
  let moved = 0;
  stage.addEventListener("pointermove", (event) => { moved = event.timeStamp; });
  new MutationObserver((_, observer) => {
    if (card.hidden) return;
    observer.disconnect();
    requestAnimationFrame(() => done((performance.now() - moved) / 1000));
  }).observe(card, { attributeFilter: ["hidden"] });
}); }"""
CLICK = """() => { window.mmAnswer = new Promise((done) => {
  const said = document.querySelector("#said textarea, #said input"), before = said.value;
  document.querySelector("#map .stage").addEventListener("pointerup", ({ timeStamp }) => {
    const look = () => {
      if (said.value === before) requestAnimationFrame(look);
      else done((performance.now() - timeStamp) / 1000);
    };
    look();
  }, { once: true });
}); }"""


def measure(runs: int, folder: Path) -> Iterator[Row]:
    """Rows for the flat map, each run in a new browser, and for turning the solid one."""
    usable, pans, zooms, hovers, clicks = [], [], [], [], []
    with served(ROOT / "bench" / "map_page.py") as (address, _):
        for _ in range(runs):
            with blank_page() as page:
                usable.append(_shown(page, address, "flat"))
                for x, y in page.evaluate(PLACES)[:ASKED]:
                    hovers.append(_answer(page, HOVER, lambda x=x, y=y: page.mouse.move(x, y, steps=5)))
                    clicks.append(_answer(page, CLICK, lambda x=x, y=y: page.mouse.click(x, y)))
                pans += _frames(page, _drag)
                zooms += _frames(page, _wheel)
        with blank_page() as page:
            _shown(page, address, "solid")
            turns = _frames(page, _drag)
    yield Row(
        f"{COUNT}: from the button to the drawn map", spread(usable), f"{runs} browsers",
        budget=f"at most {duration(USABLE_SECONDS)}, each", met=max(usable) <= USABLE_SECONDS,
    )  # fmt: skip
    yield _frame_row(f"{COUNT}: frames while dragging", pans)
    yield _frame_row(f"{COUNT}: frames while zooming", zooms)
    for what, seconds in (("pointer on a point to its card", hovers), ("click to the server's answer", clicks)):
        yield Row(
            f"{COUNT}: {what}", spread(seconds), f"{len(seconds)} points",
            budget=f"at most {duration(ANSWER_SECONDS)}, each", met=max(seconds) <= ANSWER_SECONDS,
        )  # fmt: skip
    yield _frame_row(f"{COUNT} in 3-D: frames while turning", turns)


def _shown(page: Page, address: str, name: str) -> float:
    page.goto(address)
    for part in ("#map .mm-map", f"#{name}"):
        page.locator(part).wait_for()
    seconds = page.evaluate(SHOW, name)
    page.locator("#map .stage").scroll_into_view_if_needed()
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    return seconds


def _answer(page: Page, watch: str, act: Callable[[], None]) -> float:
    page.evaluate(watch)
    act()
    return page.evaluate("mmAnswer")


def _frames(page: Page, gesture: Callable[[Page, float, float], None]) -> list[float]:
    """Seconds between animation frames while the gesture lasts."""
    box = page.locator("#map .stage").bounding_box()
    page.evaluate(FRAMES)
    gesture(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    intervals = page.evaluate("() => { mmFrames.on = false; return mmFrames.intervals; }")
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    return intervals


def _drag(page: Page, x: float, y: float) -> None:
    page.mouse.move(x, y)
    page.mouse.down()
    for step in _steps():
        page.mouse.move(x + 4 * abs(step % 80 - 40) - 160, y + step % 30)
    page.mouse.up()


def _wheel(page: Page, x: float, y: float) -> None:
    page.mouse.move(x, y)
    for step in _steps():
        page.mouse.wheel(0, -40 if step % 40 < 20 else 40)


def _steps() -> Iterator[int]:
    """Numbers, one every ten milliseconds, as long as a gesture lasts."""
    started, step = time.monotonic(), 0
    while time.monotonic() - started < GESTURE_SECONDS:
        yield step
        step += 1
        time.sleep(0.01)


def _frame_row(measured: str, intervals: list[float]) -> Row:
    rate = len(intervals) / sum(intervals)
    longest = f"interval {duration(median(intervals))}, p95 {duration(percentile(intervals, 95))}"
    return Row(
        measured, f"{rate:.0f} a second, {longest}, longest {duration(max(intervals))}", f"{len(intervals)} frames"
    )
