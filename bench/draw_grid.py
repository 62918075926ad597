"""A grid of sixteen pictures, guidance by seed, beside sixteen single drawings and sixteen bare pipeline calls."""

import time
from collections.abc import Callable
from itertools import product
from statistics import median

import numpy as np
from PIL import Image

from bench.draw_ways import PROMPT, TASKS, Task, bare, model_of, previews
from bench.report import Row, spread
from mmexplorer.explore import drawing_grid

GUIDANCES, SEEDS = (2.0, 4.0, 6.0, 8.0), (1, 2, 3, 4)
BUDGET = 0.8


def measure(runs: int, name: str) -> list[Row]:
    """The grid's time, and how far its pictures are from single ones; name is a key of draw_ways.TASKS."""
    task = TASKS[name]
    ways: dict[str, Callable[[Task], list[Image.Image]]] = {"grid": _grid, "single": _single, "bare": _bare}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    pictures = {}
    with model_of(task):
        for _ in range(runs):
            for way, draw in ways.items():
                started = time.perf_counter()
                pictures[way] = draw(task)
                seconds[way].append(time.perf_counter() - started)
    ours = median(seconds["grid"])
    ratio, beside_bare = ours / median(seconds["single"]), ours / median(seconds["bare"])
    apart = [
        int(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max())
        for a, b in zip(pictures["grid"], pictures["single"], strict=True)
    ]
    return [
        Row(
            f"4 x 4 grid of guidance and seed, {task}",
            spread(seconds["grid"]),
            f"{runs} of each, in turn",
            f"sixteen drawings without maps: {spread(seconds['single'])}; sixteen calls of the bare pipeline: "
            f"{spread(seconds['bare'])}, of which it is {beside_bare:.2f}",
            f"{ratio:.3f}",
            f"at most {BUDGET} times sixteen drawings",
            ratio <= BUDGET,
        ),
        Row(
            "  its pictures beside single ones",
            f"{apart.count(0)} of {len(apart)} equal, values of 0 to 255 differ by {max(apart)} at most",
            f"{len(apart)} pictures",
        ),
    ]


def _grid(task: Task) -> list[Image.Image]:
    *_, last = drawing_grid.draw_grid(
        PROMPT,
        drawing_grid.Axis("guidance", GUIDANCES),
        drawing_grid.Axis("seed", SEEDS),
        model=task.model,
        steps=task.steps,
        width=task.side,
        height=task.side,
    )
    return [cell.image for cell in sorted(last.cells, key=lambda cell: (cell.row, cell.column))]


def _single(task: Task) -> list[Image.Image]:
    return [previews(task, guidance, seed).image for guidance, seed in product(GUIDANCES, SEEDS)]


def _bare(task: Task) -> list[Image.Image]:
    return [bare(task, guidance, seed).image for guidance, seed in product(GUIDANCES, SEEDS)]
