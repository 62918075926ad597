"""`mmexplorer.classify` beside the transformers pipeline: the same weights in float32, the same pictures, 1,000 labels.

The pipeline is transformers' own "zero-shot-image-classification", called with all pictures at once. It encodes every
label again for every picture and keeps nothing between calls; classify keeps embeddings, so each first call here
starts with a model loaded afresh.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from bench import material
from bench.report import Row, spread
from bench.served import ROOT

LABELS, PICTURES = 1_000, 20
BUDGET_FIRST, BUDGET_NEXT = 1.0, 20.0
PARITY = 1e-5


def measure_fresh(runs: int, folder: Path) -> Row:
    """One call in a process of its own, imports and loading included; the whole process is timed."""
    folder = folder / "fresh"
    folder.mkdir()
    material.new_files(PICTURES, folder)
    ours, theirs = [], []
    for _ in range(runs + 1):  # the first of each, which reads the libraries from disk, is not counted
        for tool, seconds in (("classify", ours), ("pipeline", theirs)):
            command = [sys.executable, "-m", "bench.one_call", tool, str(folder)]
            seconds.append(_timed(lambda command=command: subprocess.run(command, cwd=ROOT, check=True))[0])
    what = f"toy CLIP, {LABELS:,} labels x {PICTURES} pictures, a fresh process with imports"
    return _row(what, ours[1:], theirs[1:], f"{runs} + {runs}, in turn", BUDGET_FIRST)


def measure(model: str, label: str, runs: int, pipeline_pictures: int, folder: Path) -> list[Row]:
    """Four rows for a preset; the pipeline gets `pipeline_pictures` of the pictures, and its time is scaled up."""
    from mmexplorer import classify, residency
    from mmexplorer.presets import preset

    words = material.labels(LABELS)
    pipeline = load_pipeline(preset(model).path)
    times: dict[str, tuple[list[float], list[float]]] = {case: ([], []) for case in ("one", "all", "next")}
    difference = largest = 0.0
    warm_up = material.new_pictures(1)  # whatever torch does once a process is nobody's first call
    classify(warm_up, words[:10], model=model)
    ask_pipeline(pipeline, warm_up, words[:10])
    for _ in range(runs):
        for case, number in (("one", 1), ("all", PICTURES), ("next", PICTURES)):
            pictures = material.new_pictures(number)
            measured = pictures[:pipeline_pictures]
            if case != "next":
                residency.evict()
                with residency.use(model):
                    pass
            seconds, ours = _timed(lambda pictures=pictures: classify(pictures, words, model=model))
            times[case][0].append(seconds)
            seconds, theirs = _timed(lambda measured=measured: ask_pipeline(pipeline, measured, words))
            times[case][1].append(seconds * number / len(measured))
            difference = max(difference, float(np.abs(ours.probabilities[: len(measured)] - theirs).max()))
            largest = max(largest, float(theirs.max()))
    residency.evict()
    turns = f"{runs} + {runs}, in turn"
    scaled = (
        f"; pipeline: scaled up from {pipeline_pictures} of {PICTURES} pictures" if pipeline_pictures < PICTURES else ""
    )
    what = f"{label}, {LABELS:,} labels x"
    parity = f"{difference:.1e} (largest probability {largest:.2f})"
    compared = f"{runs * (1 + 2 * min(pipeline_pictures, PICTURES))} pictures"
    return [
        _row(f"{what} 1 picture, first call", *times["one"], turns, BUDGET_FIRST),
        _row(f"{what} {PICTURES} pictures, first call", *times["all"], turns + scaled, BUDGET_FIRST),
        _row(f"{what} {PICTURES} new pictures, known labels", *times["next"], turns + scaled, BUDGET_NEXT, faster=True),
        Row(
            f"{label}, largest difference of a probability",
            parity,
            compared,
            budget=f"at most {PARITY:.0e}",
            met=difference <= PARITY,
        ),
    ]


def load_pipeline(folder: Path):
    """The transformers pipeline; float32 because by default it would compute in the format that is stored."""
    import torch
    from transformers import pipeline

    from mmexplorer import runtime

    task = "zero-shot-image-classification"
    return pipeline(task, model=str(folder), dtype=torch.float32, device=runtime.device())


def ask_pipeline(pipeline, pictures: list, words: list[str]) -> np.ndarray:
    """Its probabilities (n, m) in the order of the labels."""
    answers = pipeline(pictures, candidate_labels=words, hypothesis_template="{}")
    found = [{score["label"]: score["score"] for score in answer} for answer in answers]
    return np.array([[scores[word] for word in words] for scores in found])


def _timed(work: Callable):
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _row(what: str, ours: list[float], theirs: list[float], runs: str, budget: float, faster: bool = False) -> Row:
    """Two lists of seconds as a row; the budget bounds ours / theirs from above, or the speed-up from below."""
    ratio = median(ours) / median(theirs)
    if faster:
        ratio_text, budget_text, met = f"{1 / ratio:.0f}x faster", f"{budget:.0f}x faster", 1 / ratio >= budget
    else:
        ratio_text, budget_text, met = f"{ratio:.3f}", f"ratio at most {budget:g}", ratio <= budget
    return Row(what, spread(ours), runs, f"pipeline: {spread(theirs)}", ratio_text, budget_text, met)
