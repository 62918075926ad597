"""Visitors over four tabs for some minutes: failures, how long each kind of click takes, and the server's memory.

The server has SERVER_CORES to itself as far as this program goes; the visitors press by plain HTTP from the others.
Between two clicks a visitor looks at what came, for a time drawn at random.
"""

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from bench import material
from bench.page_by_http import Failed, Visitor
from bench.report import Row, duration, percentile, size
from bench.served import served

SERVER_CORES = {0, 1}
LOOK_SECONDS = (5.0, 15.0)
SAMPLE_SECONDS = 1.0
SETTLED_SECONDS = 60.0  # from then on every model has been loaded
FLAT = 0.02
QUESTIONS = ("describe the picture", "how many shapes are there?", "what is this?")
SEARCHES = ("a red circle", "a blue square", "a green star", "two triangles")


def measure(visitors: int, minutes: float, folder: Path) -> list[Row]:
    """A row for each kind of click, one for failures and one for memory."""
    everything = os.sched_getaffinity(0)
    with _on(SERVER_CORES & everything or everything):
        server = served()
        address, _ = server.__enter__()
    try:
        with _on(everything - SERVER_CORES or everything):
            crowd = _Crowd(address, visitors, minutes, folder)
            crowd.run()
    finally:
        server.__exit__(None, None, None)
    return crowd.rows()


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """Whatever is started meanwhile has these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Crowd:
    def __init__(self, address: str, visitors: int, minutes: float, folder: Path):
        self._address, self._visitors, self._minutes, self._folder = address, visitors, minutes, folder
        [self._server] = psutil.Process().children()
        # Of each kind of click: the seconds from the common start, and those that it took.
        self._seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._failures: list[str] = []
        self._memory: list[int] = []

    def run(self) -> None:
        self._begun = time.perf_counter()
        self._end = self._begun + 60 * self._minutes
        threads = [threading.Thread(target=self._visit, args=(number,)) for number in range(self._visitors)]
        for thread in threads:
            thread.start()
        while time.perf_counter() < self._end:
            self._memory.append(self._server.memory_info().rss)
            time.sleep(SAMPLE_SECONDS)
        for thread in threads:
            thread.join()

    def rows(self) -> list[Row]:
        who = f"{self._visitors} visitors, {self._minutes:g} minutes"
        clicks = sorted(self._seconds.items())
        minute = int(60 / SAMPLE_SECONDS)
        late = median(self._memory[-minute:])
        early = median(self._memory[minute : 2 * minute] or self._memory)
        return [
            *(_percentiles(what, [taken for begun, taken in each if begun > SETTLED_SECONDS]) for what, each in clicks),
            Row(
                f"slowest click of the first {SETTLED_SECONDS:g} s, when all models are loaded",
                duration(max((t for _, each in clicks for begun, t in each if begun <= SETTLED_SECONDS), default=0)),
                "1",
            ),
            Row(
                f"failures, {who}",
                f"{len(self._failures)}{': ' + self._failures[0] if self._failures else ''}",
                f"{sum(len(each) for _, each in clicks):,} clicks",
                budget="none",
                met=not self._failures,
            ),
            Row(
                "the server's memory in the last minute",
                size(int(late)),
                "1",
                f"in the second minute: {size(int(early))}",
                f"{late / early:.3f}",
                f"within {FLAT:.0%}",
                abs(late / early - 1) <= FLAT,
            ),
        ]

    def _visit(self, number: int) -> None:
        """One visitor: looks around the tabs in an order of their own until the time is over."""
        chance = random.Random(number)
        time.sleep(chance.uniform(0, LOOK_SECONDS[1]))
        visitor = self._timed("open the page", lambda: Visitor(self._address, f"visitor-{number}"))
        if visitor is None:
            return
        tabs = [self._classify, self._chat, self._search, self._draw]
        chance.shuffle(tabs)
        while True:
            for tab in tabs:
                for what, click in tab(visitor, chance):
                    time.sleep(chance.uniform(*LOOK_SECONDS))
                    if time.perf_counter() > self._end:
                        visitor.close()
                        return
                    self._timed(what, click)

    def _timed(self, what: str, click: Callable):
        started = time.perf_counter()
        try:
            result = click()
        except Exception as error:
            self._failures.append(f"{what}: {error!r}")
            return None
        self._seconds[what].append((started - self._begun, time.perf_counter() - started))
        return result

    # What is clicked in each tab. Each click checks that something came of it.

    def _classify(self, visitor: Visitor, chance: random.Random) -> Iterator[tuple[str, Callable]]:
        [file] = material.new_files(1, self._folder)
        visitor["zs-picture"], visitor["zs-labels"] = visitor.upload(file), "\n".join(material.labels(10))
        yield "classify", lambda: _pressed(visitor, "zs-run", "click", "zs-scores")
        yield "memory line", lambda: visitor.press("mm-memory", "tick")

    def _chat(self, visitor: Visitor, chance: random.Random) -> Iterator[tuple[str, Callable]]:
        [file] = material.new_files(1, self._folder)
        visitor["chat-strip"] = [{"image": visitor.upload(file), "caption": None}]
        visitor["chat-question"] = chance.choice(QUESTIONS)
        yield "chat answer", lambda: _pressed(visitor, "chat-ask", "click", "chat-viewer")
        visitor["chat-heads"] = chance.choice(("mean", "max"))
        yield "other heads of an answer", lambda: visitor.press("chat-heads", "input")

    def _search(self, visitor: Visitor, chance: random.Random) -> Iterator[tuple[str, Callable]]:
        if not visitor["es-map"]:
            yield "open the map", lambda: visitor.see("es-map")
        visitor["es-words"] = chance.choice(SEARCHES)
        yield "map search", lambda: _pressed(visitor, "es-search", "click", "es-gallery")

    def _draw(self, visitor: Visitor, chance: random.Random) -> Iterator[tuple[str, Callable]]:
        visitor["draw-prompt"], visitor["draw-seed"] = chance.choice(SEARCHES), chance.randrange(1000)
        yield "drawing", lambda: _pressed(visitor, "draw-run", "click", "draw-viewer")
        visitor["draw-steps-shown"] = "one"
        for _ in range(2):
            step = chance.randint(1, 20)
            yield "film strip slider", lambda step=step: visitor.press("draw-strip", "step", {"number": step})


def _percentiles(what: str, seconds: list[float]) -> Row:
    if not seconds:
        return Row(what, "no clicks", "0")
    return Row(
        f"{what}, p50 / p95", f"{duration(median(seconds))} / {duration(percentile(seconds, 95))}", f"{len(seconds)}"
    )


def _pressed(visitor: Visitor, part: str, event: str, result: str) -> None:
    """Presses, and fails if no result comes of it."""
    visitor[result] = None
    visitor.press(part, event)
    if visitor[result] is None:
        raise Failed(f"{result} stays empty after {part}: {visitor[part.split('-')[0] + '-status']}")
