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


def measure_switches(cache: Path) -> list[Row]:
    """SWITCHES between two models under a budget that holds one, beside bare loads that take turns as well."""
    for key in (KEY, OTHER):
        published.place(key, cache)
    told = {way: _alone(cache, "switches", way, f"{KEY},{OTHER}", str(SWITCHES)) for way in ("ours", "bare")}
    seconds = {way: figures["seconds"][len((KEY, OTHER)) :] for way, figures in told.items()}
    return [
        *(
            _beside(f"one switch, budget for one model: to {key}", {way: each[i::2] for way, each in seconds.items()})
            for i, key in enumerate((KEY, OTHER))
        ),
        _memory(f"resident memory after {SWITCHES} switches", told, "resident"),
        _memory("  of it not mapped from files", told, "own"),
        Row(
            f"  after {SWITCHES} switches, all evicted",
            _left(told["ours"]),
            "1 of each",
            _left(told["bare"]),
        ),
    ]


def _left(told: dict) -> str:
    return f"{size(told['evicted'])}, glibc keeps {size(told['kept'])}"


def _memory(what: str, told: dict[str, dict], kind: str) -> Row:
    """After an even number of switches it is always the same model that is in memory."""
    (early, late), (bare_early, bare_late) = ((told[w][kind][SETTLED - 1], told[w][kind][-1]) for w in ("ours", "bare"))
    return Row(
        what,
        f"{size(late)}, after {SETTLED}: {size(early)}",
        "1 of each",
        f"from_pretrained and del: {size(bare_late)}, after {SETTLED}: {size(bare_early)}",
        f"{late / early:.3f}",
        f"within {FLAT:.0%} of that after {SETTLED}",
        abs(late / early - 1) <= FLAT,
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
