"""What watching costs: drawings with previews, and with word maps too, beside the bare pipeline and the naive way.

The four ways take turns in one process, which has the model loaded. Peaks of memory are those of processes of their
own, whose allocator gives large blocks back at once, because freed blocks that it keeps hide what a drawing needs.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from statistics import median

import numpy as np

from bench.draw_ways import TASKS, WAYS, Drawn, model_of
from bench.report import Row, size, spread
from bench.served import ROOT

BUDGETS = {"previews": 1.05, "maps": 1.25}
WITH = {"previews": "previews of every step", "maps": "previews and word maps"}
PARITY = 1e-4
ROUNDING = 2**-11  # relative, of the float16 that maps are kept in
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "1000000"}  # bytes; see mallopt(3)


def measure(runs: int, name: str) -> list[Row]:
    """Rows about time, memory, what is kept, and whether the ways agree; name is a key of draw_ways.TASKS."""
    task, memory = TASKS[name], _memory(name)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    equal = dict.fromkeys(BUDGETS, True)
    with model_of(task):
        for draw in WAYS.values():
            draw(replace(task, steps=2))
        for _ in range(runs * task.drawings):
            drawn: dict[str, Drawn] = {}
            for way, draw in WAYS.items():
                started = time.perf_counter()
                drawn[way] = draw(task)
                seconds[way].append(time.perf_counter() - started)
            for way in equal:
                equal[way] &= _apart(drawn, way) == 0
    rows = [_time(f"time of {task}, guidance {task.guidance:g}, with {WITH['previews']}", "previews", seconds, None)]
    rows.append(_time(f"  with {WITH['maps']}", "maps", seconds, task.seconds))
    rows += memory
    colours = len(drawn["bare"].image.getcolors(task.side**2))
    rows.append(
        Row(
            "  picture beside the bare pipeline's",
            ", ".join(f"with {way}: {'equal' if same else 'differs'}" for way, same in equal.items()),
            f"{len(seconds['bare'])} of each, {colours:,} colours",
            f"AttnProcessor: values of 0 to 255 differ by {_apart(drawn, 'naive')} at most",
            budget="equal",
            met=all(equal.values()),
        )
    )
    return [*rows, _parity(drawn)]


def _time(what: str, way: str, seconds: dict[str, list[float]], under: float | None) -> Row:
    bare, ours = median(seconds["bare"]), median(seconds[way])
    beside, budget = f"bare pipeline: {spread(seconds['bare'])}", f"at most {BUDGETS[way]} times bare"
    if way == "maps":
        naive = seconds["naive"]
        beside += f"; AttnProcessor everywhere: {spread(naive)}, {median(naive) / bare:.2f} times bare"
    if under is not None:
        budget += f", under {under} s"
    met = ours <= BUDGETS[way] * bare and (under is None or ours < under)
    turns = f"{len(seconds[way])} of each, in turn"
    return Row(what, spread(seconds[way]), turns, beside, f"{ours / bare:.3f}", budget, met)


def _memory(name: str) -> list[Row]:
    found = {way: _alone(way, name) for way in WAYS}
    bare, naive = found["bare"]["peak"], found["naive"]["peak"]
    rows = [
        Row(
            f"  peak memory beside the model, with {WITH[way]}",
            size(found[way]["peak"]),
            "1 of each, fresh processes",
            f"bare pipeline: {size(bare)}"
            + (f"; AttnProcessor everywhere: {size(naive)}, {naive / bare:.2f} times bare" if way == "maps" else ""),
            f"{found[way]['peak'] / bare:.3f}",
        )
        for way in BUDGETS
    ]
    kept = {way: size(found[way]["kept"]) for way in WAYS}
    return [
        *rows,
        Row(
            "  bytes kept beside the picture",
            f"with previews: {kept['previews']}, with maps: {kept['maps']}",
            "1",
            f"AttnProcessor's weights on the prompt's tokens: {kept['naive']}",
        ),
    ]


def _alone(way: str, name: str) -> dict:
    """The figures of one drawing in a process of its own."""
    command = [sys.executable, "-m", "bench.one_drawing", way, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | GIVE_BACK)
    if done.returncode:
        raise RuntimeError(done.stderr)
    print(f"{way}: {done.stdout.strip()}", file=sys.stderr, flush=True)
    return json.loads(done.stdout)


def _apart(drawn: dict[str, Drawn], way: str) -> int:
    """The largest difference of a colour value from the bare pipeline's picture."""
    ours, bare = (np.asarray(drawn[one].image, dtype=np.int16) for one in (way, "bare"))
    return int(np.abs(ours - bare).max())


def _parity(drawn: dict[str, Drawn]) -> Row:
    """How far word maps are from the sums and means of AttnProcessor's weights."""
    ours, expected = drawn["maps"].word_maps, drawn["naive"].weights.maps()
    difference = max(
        float((np.abs(maps.astype(np.float32) - expected[layer]) - ROUNDING * expected[layer]).max())
        for layer, maps in zip(ours.layers, ours.maps, strict=True)
    )
    largest = max(maps.max() for maps in expected.values())
    return Row(
        "  largest difference of word maps from AttnProcessor's, beyond half precision",
        f"{max(difference, 0):.1e} (largest weight {largest:.2f})",
        f"{sum(maps.size for maps in ours.maps):,} weights",
        budget=f"at most {PARITY:.0e}",
        met=difference <= PARITY,
    )
