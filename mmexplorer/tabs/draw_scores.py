"""The drawing tab's fold with scores: whether CLIP finds the prompt in the picture, and what the picture shows."""

from collections.abc import Iterator
from types import SimpleNamespace

import gradio as gr

from mmexplorer.components.drawing_scores import drawing_scores as scores_shown
from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing_scores
from mmexplorer.explore.drawing_scores import DrawingScores
from mmexplorer.figures.drawing_scores import EMPTY, scores_html
from mmexplorer.presets import preset, presets
from mmexplorer.tabs import draw_cells
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.tabs.status import loading, message, told

OWN = "The usual one for this model"
IDLE = message("Scores the picture above; nothing is drawn.")
MEANING = """\
**What this shows.** The CLIP score is 2.5 · max(cosine, 0) of the embeddings of picture and bare prompt (Hessel et al.
2021, arXiv 2104.08718). The twin has nearly the same words and means another picture: a CLIP that reads a bag of words
scores it alike. The exact grade of a toy model's picture is read from the pixels by rules, without any trained model.
**What it does not prove.** Scores of different CLIPs are not comparable, and a high one does not mean that colours sit
on the right things: look at the twin, and ask the judge “Toy CLIP, swaps withheld” too. The exact grade is strict: it
names no shape whose outline is far from what it should be, and seldom one that touches another of its colour or that
the border cuts off.
"""


def fold(parts: SimpleNamespace) -> None:
    """Lays the fold out."""
    judges = [(row.label, row.key) for row in presets() if "embeds" in row.abilities]
    toy, other = (f"“{preset(key).label}”" for key in (drawing_scores.TOY_CLIP, drawing_scores.CLIP))
    with gr.Accordion("Scores", open=False, elem_id="draw-scores-fold"):
        with gr.Row(elem_classes="mmx-tight"):
            parts.scores_clip = gr.Dropdown(
                [(OWN, ""), *judges],
                value="",
                label="Judge",
                info=f"Usually {toy} for toy models, and {other} for the others.",
                elem_id="draw-scores-clip",
            )
        with gr.Row(elem_classes="mmx-tight"):
            parts.scores_run = gr.Button(
                "Score the picture", variant="primary", scale=3, min_width=150, elem_id="draw-scores-run"
            )
            parts.scores_stop = gr.Button("Stop", scale=1, min_width=70, elem_id="draw-scores-stop")
        parts.scores_status = gr.HTML(IDLE, elem_id="draw-scores-status", apply_default_css=False)
        parts.scores = scores_shown(EMPTY, elem_id="draw-scores")
        gr.Markdown(MEANING, elem_classes="mmx-meaning")


def wire(parts: SimpleNamespace, page) -> None:
    """Connects the fold; scores of a picture leave the page with it."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [parts.scores_status, parts.scores]
    scored = parts.scores_run.click(score, [parts.scores_clip, parts.drawing], outputs, trigger_mode="once", **private)
    scored.then(page.refresh, None, page.status, queue=False, **private)
    parts.scores_stop.click(draw_cells.stop_of("scores"), None, None, queue=False, **private)
    parts.drawing.change(forget, None, outputs, **private)


def score(clip: str, kept: Shelved[Drawing] | None, request: gr.Request) -> Iterator[tuple]:
    """Updates (status, scores) while a picture is scored."""

    def work(job: Job) -> Iterator[tuple]:
        if kept is None:
            raise Refusal("There is no picture yet; draw one first, then it can be scored.")
        drawing = kept.value
        judge = clip or drawing_scores.default_clip(drawing.model)
        ready = [preset(judge)]
        found = yield from told(
            lambda stop: drawing_scores.score(drawing, clip=judge, stop=stop),
            lambda: loading(ready, "Scoring."),
            _show,
            job,
        )
        yield message(f"Scored by {preset(found.clip).label}."), markup(found)

    yield from session.JOBS.updates(request.session_hash, "scores", work, _show)


def markup(found: DrawingScores) -> str:
    """The scores as markup."""
    captions = [("prompt", found.prompt.caption, found.prompt.cosine, found.prompt.score)]
    if found.twin is not None:
        captions.append((f"twin, {found.twin_kind}", found.twin.caption, found.twin.cosine, found.twin.score))
    grade = found.grade
    return scores_html(
        judge=preset(found.clip).label,
        captions=captions,
        lines=grade.lines if grade else None,
        exact=bool(grade and grade.exact),
        seen=grade.seen if grade else (),
        remarks=found.remarks,
    )


def forget(request: gr.Request) -> tuple:
    """Nothing, as another picture has no scores yet."""
    session.JOBS.supersede(request.session_hash, "scores")
    return IDLE, EMPTY


def _show(status: str) -> tuple:
    return status, gr.skip()
