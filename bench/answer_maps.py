"""What attention rows cost: answers with them beside plain generate() and beside generate() with eager attention.

The same random LLaVA answers the same prompt greedily. Every answer has a process of its own, so that its peak of
memory is its own, and the three ways take turns. Time and memory count from the prepared prompt on, in a process that
has loaded the model and answered two tokens.

On a CPU, glibc keeps freed blocks, and how many changes with the number of threads, which hides what an answer needs.
So peaks are measured once more in processes whose allocator gives large blocks back at once; these are not timed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import numpy as np

from bench.report import Row, size, spread
from bench.served import ROOT

WAYS = ("plain", "ours", "eager")
BUDGET_TIME, BUDGET_MEMORY = 1.10, 1.2
PARITY = 1e-4
# Relative rounding of the formats in which rows are kept.
ROUNDING = {"mean": 2**-11, "max": 2**-11, "share": 0.0}
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "1000000"}  # bytes; see mallopt(3)


def measure(runs: int, model: str, device: str, tokens: int, folder: Path) -> list[Row]:
    """Rows about time, memory, what is kept, and whether the three ways agree; model is a key of random_llava.SIZES."""
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            found[way].append(_answer(way, model, device, tokens, folder / f"{way}.npz"))
    own_peaks = {way: [_answer(way, model, device, tokens, folder / f"{way}.npz", GIVE_BACK)] for way in WAYS}
    ours = found["ours"][0]
    if ours is None or found["plain"][0] is None:
        return [Row(f"{model} on {device}", "out of memory", "1")]
    what = f"{tokens} tokens after {ours['prompt']:,} ({ours['image']:,} of pictures), {model} on {device}"
    turns = f"{runs} of each, in turn, fresh processes"
    rows = [Row(f"time of {what}", *_compared(found, "seconds", spread, turns, BUDGET_TIME))]
    rows.append(
        Row("  of it for the attention rows", spread([one["rows_seconds"] for one in found["ours"]]), f"{runs}")
    )
    peaks = _compared(own_peaks, "peak", _sizes, "1 of each, fresh processes", BUDGET_MEMORY)
    rows.append(Row("  peak memory beside the model", *peaks))
    if device == "cpu":
        *cells, _, _ = _compared(found, "peak", _sizes, turns, BUDGET_MEMORY)
        rows.append(Row("  the same with freed blocks that the allocator keeps", *cells))
    kept = f"{size(ours['kept'])}, and until it is dropped a cache of {size(ours['cache'])}"
    beside = f"eager: {size(found['eager'][0]['kept'])}" if found["eager"][0] else "eager: out of memory"
    rows.append(Row("  bytes kept after the answer", kept, "1", beside))
    return rows + _agreement(folder, on_cpu=device == "cpu", with_eager=found["eager"][0] is not None)


def _answer(
    way: str, model: str, device: str, tokens: int, file: Path, environment: Mapping[str, str] | None = None
) -> dict | None:
    """The figures of one answer; None if memory did not suffice."""
    command = [sys.executable, "-m", "bench.one_answer", way, model, device, str(tokens), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | (environment or {}))
    if done.returncode and "out of memory" in done.stderr:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr)
    print(f"{way}: {done.stdout.strip()}", file=sys.stderr, flush=True)
    return json.loads(done.stdout)


def _compared(found: dict, figure: str, text, turns: str, budget: float) -> tuple:
    """A row's cells: ours, runs, plain and eager, ours / plain, and the budget of that."""
    values = {way: [one[figure] for one in found[way] if one] for way in WAYS}
    plain = median(values["plain"])
    ratio = median(values["ours"]) / plain
    eager = "out of memory"
    if values["eager"]:
        eager = f"{text(values['eager'])}, {median(values['eager']) / plain:.2f} times plain"
    beside = f"plain generate(): {text(values['plain'])}; eager: {eager}"
    return text(values["ours"]), turns, beside, f"{ratio:.3f}", f"at most {budget:.2f} times plain", ratio <= budget


def _sizes(values: list[int]) -> str:
    return f"{size(median(values))} ({size(min(values))} to {size(max(values))})"


def _agreement(folder: Path, on_cpu: bool, with_eager: bool) -> list[Row]:
    """Whether token ids are equal, and how far rows are from eager's; GPUs round too much in bfloat16 for a budget."""
    answers = {way: np.load(folder / f"{way}.npz") for way in (WAYS if with_eager else WAYS[:2])}
    ids = {way: answer["ids"].tolist() for way, answer in answers.items()}
    others = [way for way in ids if way != "ours"]
    equal = {way: ids[way] == ids["ours"] for way in others}
    verdict = ", ".join(f"{way}: {'equal' if equal[way] else 'differ'}" for way in others)
    different = f"{len(ids['ours'])} tokens, {len(set(ids['ours']))} different"
    rows = [Row("  token ids beside the other ways'", verdict, different, met=all(equal.values()) if on_cpu else None,
                budget="equal" if on_cpu else "")]  # fmt: skip
    if equal.get("eager"):
        ours, eager = answers["ours"], answers["eager"]
        difference = max(
            float((np.abs(ours[part].astype(np.float32) - eager[part]) - rounding * eager[part]).max())
            for part, rounding in ROUNDING.items()
        )
        rows.append(
            Row(
                "  largest difference from eager's weights and sums of them, beyond half precision",
                f"{max(difference, 0):.1e} (largest weight {eager['max'].max():.2f})",
                f"{ours['mean'].size:,} weights",
                budget=f"at most {PARITY:.0e}" if on_cpu else "",
                met=difference <= PARITY if on_cpu else None,
            )
        )
    return rows
