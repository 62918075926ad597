"""Many visitors at once: each with a gradio_client and a picture of their own, all asking at the same moment."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client, handle_file

from bench import material
from bench.report import Row, duration, spread
from bench.served import served

VISITORS = 20


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
    """What became of each visitor: the seconds until the answer, or the error."""
    together = threading.Barrier(len(clients))
    labels = material.labels(10)

    def ask(client: Client, file: Path) -> float | Exception:
        together.wait()
        started = time.perf_counter()
        try:
            answer = client.predict([handle_file(file)], labels, "toy-clip", ["{}"], api_name="/classify")
            assert len(answer["probabilities"][0]) == len(labels)
        except Exception as error:
            return error
        return time.perf_counter() - started

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(ask, clients, material.new_files(len(clients), folder)))


def _row(measured: str, rushes: list[list[float | Exception]]) -> Row:
    outcomes = [outcome for rush in rushes for outcome in rush]
    seconds = [outcome for outcome in outcomes if isinstance(outcome, float)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failures:
        print(f"{measured}: {failures[0]!r}")
    slowest = duration(max(seconds)) if seconds else "none"
    return Row(
        f"{measured}, 1 picture x 10 labels each",
        f"all answered within {slowest}; {spread(seconds)} each" if seconds else "no answers",
        f"{len(rushes)} x {VISITORS}",
        budget=f"no failures: {len(failures)}",
        met=not failures,
    )
