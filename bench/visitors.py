"""Many visitors at once: each with a gradio_client and a picture of their own, all asking at the same moment.

The slowest answer of a rush, upload included, is the wall time of the whole rush.
"""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client, handle_file

from bench import material
from bench.report import Row, spread
from bench.served import served

VISITORS, LABELS = 20, 10


def measure(runs: int, folder: Path) -> list[Row]:
    """Rows for a process that has no model in memory yet, and for the same process asked again."""
    cold, warm = [], []
    for _ in range(runs):
        with served() as (address, _):
            clients = [Client(address, verbose=False) for _ in range(VISITORS)]
            cold.append(_rush(clients, folder))
            warm.append(_rush(clients, folder))
    return [
        _row(f"{VISITORS} visitors at once, no model loaded yet", cold),
        _row(f"{VISITORS} visitors at once, new pictures", warm),
    ]


def _rush(clients: list[Client], folder: Path) -> list[float | Exception]:
    """What became of each visitor: the seconds from the common start to the answer, or the error."""
    started = 0.0

    def start() -> None:
        nonlocal started
        started = time.perf_counter()

    together = threading.Barrier(len(clients), action=start)
    labels = material.labels(LABELS)

    def ask(client: Client, file: Path) -> float | Exception:
        together.wait()
        try:
            answer = client.predict([handle_file(file)], labels, "toy-clip", ["{}"], api_name="/classify")
            assert len(answer["probabilities"][0]) == len(labels)
        except Exception as error:
            return error
        return time.perf_counter() - started

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(ask, clients, material.new_files(len(clients), folder)))


def _row(measured: str, rushes: list[list[float | Exception]]) -> Row:
    failures = [outcome for rush in rushes for outcome in rush if isinstance(outcome, Exception)]
    answers = [[outcome for outcome in rush if isinstance(outcome, float)] for rush in rushes]
    if failures:
        print(f"{measured}: {failures[0]!r}", file=sys.stderr)
    return Row(
        measured,
        "slowest " + spread([max(seconds) for seconds in answers if seconds]) if any(answers) else "no answers",
        f"{len(rushes)} x {VISITORS}",
        budget=f"no failures, {len(failures)} of {len(rushes) * VISITORS}",
        met=not failures,
    )
