"""From a click on Classify to the bars, in headless Chromium: in a fresh process, and warm.

The clock is the browser's own: from the click event's time stamp to the moment the chart's bars change in the DOM.
Uploading the picture comes before the click and is not counted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median

from playwright.sync_api import Page

from bench import material
from bench.chromium import blank_page
from bench.report import Row, duration, percentile, spread
from bench.served import served

BUDGET_FIRST, BUDGET_STATUS, BUDGET_P95 = 8.0, 1.0, 0.150
FEWEST, MOST = 3, 10  # labels

# Notes when the next click happens, and when the status says something new, the bars change and the heatmaps change.
WATCH = """() => {
  const times = window.mmBench = { click: null, status: null, bars: null, viewer: null, last: null };
  const said = () => document.querySelector("#zs-status [role=status]")?.textContent;
  const before = said();
  const within = (node, place) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest(place);
  window.mmBenchObserver?.disconnect();
  window.mmBenchObserver = new MutationObserver((changes) => {
    if (times.click === null) return;
    times.last = performance.now();
    if (said() !== before) times.status ??= times.last;
    if (changes.some(({ target }) => within(target, "#zs-scores .bars"))) times.bars ??= times.last;
    if (changes.some(({ target }) => within(target, "#zs-viewer .viewer"))) times.viewer ??= times.last;
  });
  window.mmBenchObserver.observe(document.body, { childList: true, characterData: true, subtree: true });
  const note = (event) => times.click = event.timeStamp;
  document.querySelector("#zs-run").addEventListener("click", note, { once: true, capture: true });
}"""
# The steps, which come last and may be folded away, follow the heatmaps at once.
SETTLED = "() => mmBench.bars && mmBench.viewer && performance.now() - mmBench.last > 400"


def measure_first(runs: int, folder: Path) -> list[Row]:
    """Two rows: the first status and the first bars of a process that nobody has asked anything yet."""
    status, bars = [], []
    for file in material.new_files(runs, folder):
        with served() as (address, _), _opened(address) as page:
            _upload(page, file)
            times = _click(page)
            status.append(times["status"])
            bars.append(times["bars"])
    return [
        Row(
            f"fresh process: first click to {what}", spread(seconds), f"{runs} processes",
            budget=f"at most {budget:.0f} s, each", met=max(seconds) <= budget,
        )
        for what, seconds, budget in (("a status", status, BUDGET_STATUS), ("the bars", bars, BUDGET_FIRST))
    ]  # fmt: skip


def measure_warm(clicks: int, folder: Path) -> list[Row]:
    """A row for each case, from one process and one page."""
    with served() as (address, _), _opened(address) as page:
        _upload(page, material.new_files(1, folder)[0])
        words = material.labels(MOST * (clicks + 3))
        sizes = cycle(range(FEWEST, MOST + 1))
        fresh = ([words.pop() for _ in range(size)] for size in sizes)
        known = cycle([next(fresh), next(fresh)])
        for labels in (next(known), next(known)):
            _type(page, labels)
            _click(page)

        def seen_before() -> None:
            _type(page, next(known))

        def labels_edited() -> None:
            _type(page, next(fresh))

        def new_picture() -> None:
            _upload(page, material.new_files(1, folder)[0])

        def new_photo() -> None:
            _upload(page, material.new_photo(folder))

        return [
            _warm_row("both seen before", seen_before, page, clicks),
            _warm_row("labels edited", labels_edited, page, clicks),
            _warm_row("new picture", new_picture, page, clicks),
            _warm_row("new photo of 12 megapixels", new_photo, page, clicks, budget=None),
        ]


def _warm_row(
    case: str, prepare: Callable[[], None], page: Page, clicks: int, budget: float | None = BUDGET_P95
) -> Row:
    seconds = []
    for _ in range(clicks):
        prepare()
        seconds.append(_click(page)["bars"])
    p95 = percentile(seconds, 95)
    found = f"p50 {duration(median(seconds))}, p95 {duration(p95)}"
    if budget is None:
        return Row(f"click to bars, {case}", found, f"{clicks} clicks")
    limit = f"p95 at most {duration(budget)}"
    return Row(f"click to bars, {case}", found, f"{clicks} clicks", budget=limit, met=p95 <= budget)


@contextmanager
def _opened(address: str) -> Iterator[Page]:
    with blank_page() as page:
        page.goto(address)
        page.locator("#zs-run").wait_for()
        yield page


def _upload(page: Page, file: Path) -> None:
    remove = page.locator("#zs-picture").get_by_label("Clear")
    if remove.count():
        remove.click()
    page.locator("#zs-picture input[type=file]").set_input_files(file)
    page.locator(f"#zs-picture img[src*='{file.name}']").wait_for()


def _type(page: Page, labels: list[str]) -> None:
    page.locator("#zs-labels textarea").fill("\n".join(labels))


def _click(page: Page) -> dict[str, float]:
    """Seconds from the click to the first change of each part that changed; comes back with the whole answer there."""
    page.evaluate(WATCH)
    page.locator("#zs-run").click()
    page.wait_for_function(SETTLED, timeout=60_000)
    times = page.evaluate("mmBench")
    return {part: (times[part] - times["click"]) / 1000 for part in ("status", "bars") if times[part] is not None}
