"""What residency adds to loading a cached checkpoint, what a switch of models costs, and what it leaves in memory.

Everything is measured in processes of their own, which find checkpoints of the published sizes in a Hub cache.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench import hub_cache, published
from bench.report import Row, size, spread
from bench.served import ROOT

KEY, OTHER = "clip-vit-base-patch32", "siglip-base-patch16-224"
BUDGET = 1.05
SWITCHES, SETTLED, FLAT = 50, 10, 0.02


def measure_first(runs: int, cache: Path) -> Row:
    """A first click in a process that has nothing imported."""
    published.place(KEY, cache)
    seconds = {"ours": [], "bare": []}
    for way in ("ours", "bare"):  # the files come into the disk's cache
        _alone(cache, "first", way, KEY)
    for _ in range(runs):
        for way, measured in seconds.items():
            measured.append(_alone(cache, "first", way, KEY)["seconds"])
    return _beside(f"click to ready, {KEY}, fresh process, imports included", seconds)


def measure_loads(runs: int, cache: Path) -> Row:
    """Later clicks, in a process that has everything imported."""
    published.place(KEY, cache)
    return _beside(f"click to ready, {KEY}, libraries imported", _alone(cache, "loads", KEY, str(runs)))


def measure_switches(runs: int, cache: Path) -> list[Row]:
    """SWITCHES between two models under a budget that holds one: time beside bare loads, and memory."""
    bare = []
    for key in (KEY, OTHER):
        published.place(key, cache)
        bare.append(median(_alone(cache, "loads", key, str(runs))["bare"]))
    told = _alone(cache, "switches", f"{KEY},{OTHER}", str(SWITCHES))
    ours = [median(told["seconds"][first::2][1:]) for first in (0, 1)]
    seconds = told["seconds"][2:]
    ratio = sum(ours) / sum(bare)
    return [
        Row(
            f"one switch, {KEY} and {OTHER} in turn, budget for one",
            spread(seconds),
            f"{len(seconds)}",
            "bare from_pretrained of each: " + ", ".join(f"{each:.2f} s" for each in bare),
            f"{ratio:.2f}",
        ),
        _memory("resident memory", told["resident"]),
        _memory("  of it not mapped from files", told["own"]),
        Row(
            f"  after {SWITCHES} switches, all evicted",
            size(told["evicted"]),
            "1",
            f"glibc held {size(told['free'])} free before; malloc_trim leaves {size(told['trimmed'])}",
        ),
    ]


def _memory(what: str, resident: list[int]) -> Row:
    """After an even number of switches it is always the same model that is in memory."""
    early, late = resident[SETTLED - 1], resident[-1]
    growth = late / early - 1
    return Row(
        f"{what} after {SWITCHES} switches",
        size(late),
        "1",
        f"after {SETTLED}: {size(early)}",
        f"{late / early:.3f}",
        f"within {FLAT:.0%}",
        abs(growth) <= FLAT,
    )


def _beside(what: str, seconds: dict[str, list[float]]) -> Row:
    ratio = median(seconds["ours"]) / median(seconds["bare"])
    return Row(
        what,
        spread(seconds["ours"]),
        f"{len(seconds['ours'])} of each, in turn",
        f"from_pretrained of model and processor: {spread(seconds['bare'])}",
        f"{ratio:.3f}",
        f"ratio at most {BUDGET}",
        ratio <= BUDGET,
    )


def _alone(cache: Path, *arguments: str) -> dict:
    command = [sys.executable, "-m", "bench.one_residency", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=hub_cache.environment(cache))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)
