"""What the zero-shot tab does on a click: asks `explore` and streams payloads to the page.

A Refusal becomes a toast and a line in the status slot; everything else on the page stays as it was.
"""

import html
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import gradio as gr

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore import labels, zero_shot
from mmexplorer.explore.zero_shot_code import python_code
from mmexplorer.figures.scores import scores_payload
from mmexplorer.figures.steps import steps_payload
from mmexplorer.figures.viewer import grounding_npz, viewer_payload
from mmexplorer.hub import Stopped
from mmexplorer.methods import METHODS
from mmexplorer.presets import Preset, preset
from mmexplorer.results import Classification, Grounding
from mmexplorer.tabs.background import with_status
from mmexplorer.tabs.zero_shot_inputs import Asked, collect, truth_of

OUTPUTS = ("status", "scores", "viewer", "which", "walk", "code", "archive", "asked")
PROMPTS_WITH_STEPS = 2_000  # a step-by-step account of more prompts than this helps nobody


def message(text: str, kind: str = "quiet") -> str:
    """One line for the status slot; kind is "quiet", "busy" or "note"."""
    return f'<p class="mmx-status mmx-{kind}" role="status">{html.escape(text)}</p>'


IDLE = message("Nothing is loaded yet. The first classification loads the model; a toy model takes a few seconds.")
STOPPED = message("Stopped. What was already there stays.", "note")


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
        archive=None,
        asked=None,
    )


def refused(refusal: Refusal) -> tuple:
    """The sentence of a refusal, as a toast and in the status slot."""
    gr.Warning(html.escape(str(refusal)), title="Not possible")
    return only(status=message(str(refusal), "note"))


def answer(*inputs) -> Iterator[tuple]:
    """Streams updates of OUTPUTS: status while loading, then scores, then heatmaps, then the steps."""
    *given, method, contrast, truths = inputs
    try:
        asked = collect(*given)
        summary = yield from _scores(asked)
        yield from _heatmaps(asked, 0, method, contrast, truths)
        yield from _steps(asked)
        yield only(status=summary)
    except Stopped:
        yield only(status=STOPPED)
    except Refusal as refusal:
        yield refused(refusal)


def ground_again(asked: Asked | None, which: int | None, method: str, contrast: bool, truths: dict) -> Iterator[tuple]:
    """Heatmaps of another picture, or by another method, for the classification on the page."""
    if asked is None:
        return
    try:
        yield from _heatmaps(asked, which or 0, method, contrast, truths)
        yield only(status=message(f"{METHODS[method].label}: {METHODS[method].one_sentence}"))
    except Stopped:
        yield only(status=STOPPED)
    except Refusal as refusal:
        yield refused(refusal)


def _scores(asked: Asked) -> Generator[tuple, None, str]:
    presets = [preset(key) for key in asked.models]
    started = time.perf_counter()

    def work(stop) -> list[Classification]:
        answers = []
        for key in asked.models:
            with residency.use(key, stop):  # fetching and loading can be stopped; the scoring itself is short
                pass
            answers.append(zero_shot.classify(asked.pictures, asked.labels, model=key, templates=asked.templates))
        return answers

    answers = yield from _told(work, presets)
    seconds = time.perf_counter() - started
    chart = scores_payload(
        answers,
        names=[p.label for p in presets],
        thumbnails=asked.pictures,
        picture_names=asked.names,
        remarks=asked.remarks + _cut(asked),
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
    if len(asked.labels) > zero_shot.MAX_GROUNDED:
        yield only(viewer=None, archive=None)
        return
    picture, presets = asked.pictures[which], [preset(asked.models[0])]

    def work(stop) -> Grounding:
        return zero_shot.ground_labels(
            picture,
            asked.labels,
            model=asked.models[0],
            method=method,
            templates=asked.templates,
            contrast=contrast,
        )

    grounding = yield from _told(work, presets)
    truth = truth_of(picture, truths)
    with tempfile.TemporaryDirectory() as folder:  # Gradio copies the file before it asks for the next update
        archive = Path(folder) / "heatmaps.npz"
        archive.write_bytes(grounding_npz(grounding))
        yield only(viewer=viewer_payload(grounding, truth and truth.masks_of(asked.labels)), archive=str(archive))


def _steps(asked: Asked) -> Iterator[tuple]:
    if len(asked.labels) * len(asked.templates) > PROMPTS_WITH_STEPS:
        yield only(walk=None)
        return

    def work(stop):
        return zero_shot.trace(asked.pictures[0], asked.labels, model=asked.models[0], templates=asked.templates)

    trace = yield from _told(work, [preset(asked.models[0])])
    yield only(walk=steps_payload(trace))


def _told(work: Callable, presets: Sequence[Preset]) -> Generator[tuple, None, object]:
    """The result of work(stop), telling the page meanwhile where its models stand."""
    job = with_status(work, lambda: _loading(presets))
    try:
        while True:
            yield only(status=message(next(job), "busy"))
    except StopIteration as end:
        return end.value
    finally:
        job.close()


def _loading(presets: Sequence[Preset]) -> str:
    for p in presets:
        status = residency.status(p.key)
        if status.stage != "ready":
            return f"{p.label}: {status.detail}"
    ahead = status.waiting - 1
    return f"Computing; {ahead} others are waiting." if ahead > 0 else "Computing."


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
    return f"{names}: {what}, {seconds:.2f} s.{toy}"


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
        gr.Warning(html.escape(str(refusal)), title="Not possible")
        return gr.skip()
