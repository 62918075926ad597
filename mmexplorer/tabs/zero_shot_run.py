"""What the zero-shot tab does on a click: asks `explore` and streams payloads to the page.

A Refusal becomes a toast and a line in the status slot; everything else on the page stays as it was.
"""

import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import gradio as gr
import numpy as np

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore import labels, zero_shot
from mmexplorer.explore.zero_shot_code import python_code
from mmexplorer.figures.scores import scores_payload
from mmexplorer.figures.steps import steps_payload
from mmexplorer.figures.viewer import grounding_npz, viewer_payload
from mmexplorer.methods import METHODS
from mmexplorer.presets import Preset, preset
from mmexplorer.results import Classification, Grounding
from mmexplorer.tabs.status import IDLE, loading, message, saying_how_it_ends, toast, told
from mmexplorer.tabs.truths import truth_of
from mmexplorer.tabs.zero_shot_inputs import Asked, collect

OUTPUTS = ("status", "scores", "viewer", "which", "walk", "code", "archive", "asked")
PROMPTS_WITH_STEPS = 2_000  # a step-by-step account of more prompts than this helps nobody


NOT_YET = message("Press Classify first; then heatmaps can be drawn in other ways.", "note")


def only(**values) -> tuple:
    """Values for some of OUTPUTS; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in OUTPUTS)


def empty() -> tuple:
    """All of OUTPUTS as before the first result."""
    return only(
        status=IDLE,
        scores=None,
        viewer=None,
        which=gr.Dropdown(visible=False),
        walk=None,
        code="",
        archive=download(None),
        asked=None,
    )


def download(path: str | None) -> gr.DownloadButton:
    """The archive's button, which can be pressed when there is something to download."""
    return gr.DownloadButton(value=path, interactive=path is not None)


def answer(*inputs) -> Iterator[tuple]:
    """Streams updates of OUTPUTS: status while loading, then scores, then heatmaps, then the steps."""
    *given, method, contrast, truths = inputs

    def work() -> Iterator[tuple]:
        asked = yield from told(lambda stop: collect(*given), lambda: "Reading the pictures.", _show)
        summary = yield from _scores(asked)
        yield from _heatmaps(asked, 0, method, contrast, truths)
        yield from _steps(asked)
        yield only(status=summary)

    yield from saying_how_it_ends(work(), _show)


def ground_again(asked: Asked | None, which: int | None, method: str, contrast: bool, truths: dict) -> Iterator[tuple]:
    """Heatmaps of another picture, or by another method, for the classification on the page."""

    def work() -> Iterator[tuple]:
        yield from _heatmaps(asked, which or 0, method, contrast, truths)
        yield only(status=message(f"{METHODS[method].label}: {METHODS[method].one_sentence}"))

    yield from saying_how_it_ends(work(), _show) if asked else [only(status=NOT_YET)]


def _show(status: str) -> tuple:
    return only(status=status)


def _scores(asked: Asked) -> Generator[tuple, None, str]:
    presets = [preset(key) for key in asked.models]
    started = time.perf_counter()

    def scored(key: str) -> Classification:
        return zero_shot.classify(asked.pictures, asked.labels, model=key, templates=asked.templates)

    # Whoever stops leaves the line, or ends fetching and loading; the scoring itself is short.
    def work(stop) -> tuple[list[Classification], tuple[str, ...]]:
        first, *others = asked.models
        with residency.held(first, stop):
            answers, cut = [scored(first)], _cut(asked)
        for key in others:
            with residency.held(key, stop):
                answers.append(scored(key))
        return answers, cut

    answers, cut = yield from told(work, lambda: loading(presets), _show)
    seconds = time.perf_counter() - started
    chart = scores_payload(
        answers,
        names=[p.label for p in presets],
        thumbnails=asked.thumbnails,
        picture_names=asked.names,
        remarks=asked.remarks + cut,
    )
    choices = [(name, i) for i, name in enumerate(asked.names)]
    summary = message(_summary(asked, presets, seconds))
    yield only(
        status=summary,
        scores=chart,
        which=gr.Dropdown(choices, value=0, visible=len(asked.pictures) > 1),
        code=_code(asked, presets[0], answers[0]),
        asked=asked,
    )
    return summary


def _heatmaps(asked: Asked, which: int, method: str, contrast: bool, truths: dict) -> Iterator[tuple]:
    picture, shared = asked.pictures[which], {"model": asked.models[0], "templates": asked.templates}

    def work(stop) -> Grounding:
        labels = asked.labels
        with residency.held(asked.models[0], stop):
            if len(labels) > zero_shot.MAX_GROUNDED:
                cosines = zero_shot.classify(picture, labels, **shared).cosines[0]
                best = sorted(np.argsort(-cosines, kind="stable")[: zero_shot.MAX_GROUNDED])
                labels = tuple(labels[i] for i in best)
            return zero_shot.ground_labels(picture, labels, method=method, contrast=contrast, **shared)

    grounding = yield from told(work, lambda: loading([preset(asked.models[0])], "Drawing heatmaps."), _show)
    truth = truth_of(grounding.image, truths)
    with tempfile.TemporaryDirectory() as folder:  # Gradio copies the file before it asks for the next update
        archive = Path(folder) / "heatmaps.npz"
        archive.write_bytes(grounding_npz(grounding))
        payload = viewer_payload(grounding, truth and truth.masks_of(grounding.words))
        yield only(viewer=payload, archive=download(str(archive)))


def _steps(asked: Asked) -> Iterator[tuple]:
    if len(asked.labels) * len(asked.templates) > PROMPTS_WITH_STEPS:
        yield only(walk=None)
        return

    def work(stop):
        with residency.held(asked.models[0], stop):
            return zero_shot.trace(asked.pictures[0], asked.labels, model=asked.models[0], templates=asked.templates)

    trace = yield from told(work, lambda: loading([preset(asked.models[0])], "Writing down the steps."), _show)
    yield only(walk=steps_payload(trace))


def _cut(asked: Asked) -> tuple[str, ...]:
    cut = zero_shot.cut_labels(asked.labels, model=asked.models[0], templates=asked.templates)
    shown = ", ".join(f"“{label[:40]}”" for label in cut[:3]) + (" and others" if len(cut) > 3 else "")
    return (f"Longer than the model reads, so that the end does not count: {shown}.",) if cut else ()


def _summary(asked: Asked, presets: Sequence[Preset], seconds: float) -> str:
    def number(count: int, noun: str) -> str:
        return f"{count:,} {noun}" + ("s" if count > 1 else "")

    names = ", ".join(p.label for p in presets)
    toy = " A toy model: it knows drawn shapes and about 160 words." if presets[0].tier == "toy" else ""
    what = f"{number(len(asked.pictures), 'picture')}, {number(len(asked.labels), 'label')}"
    most = zero_shot.MAX_GROUNDED
    fewer = f" Heatmaps are those of the {most} best labels." if len(asked.labels) > most else ""
    return f"{names}: {what}, {max(seconds, 0.01):.2f} s.{fewer}{toy}"


def _code(asked: Asked, used: Preset, answer: Classification) -> str:
    return python_code(
        picture_names=asked.names,
        labels=asked.labels,
        source=used.source,
        revision=used.revision,
        templates=asked.templates,
        logit_scale=answer.logit_scale,
        logit_bias=answer.logit_bias,
        activation=answer.activation,
    )


def labels_from_file(path: str | None):
    """The labels of an uploaded CSV as the text of the labels field."""
    try:
        return "\n".join(labels.labels_from_csv(path)) if path else gr.skip()
    except Refusal as refusal:
        toast(refusal)
        return gr.skip()
