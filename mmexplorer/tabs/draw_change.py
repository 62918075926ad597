"""The drawing tab's fold in which one word of the shown picture's prompt is changed, with the same seed."""

from collections.abc import Iterator
from types import SimpleNamespace

import gradio as gr
import numpy as np
from PIL import Image

from mmexplorer.components.picture_grid import picture_grid
from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing_change
from mmexplorer.explore.drawing_change import Change
from mmexplorer.figures.picture_grid import Cell, Grid, grid_payload, grid_png
from mmexplorer.pace import Pace
from mmexplorer.presets import preset
from mmexplorer.tabs import draw_cells
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.tabs.status import loading, message, told

IDLE = message("Draws the picture above again with another word, everything else being the same.")
EMPTY = "Choose a word and what to put in its place: both pictures and their difference appear here."
CLEAR = 0.1  # difference from which a pixel counts as changed
MEANING = """\
**What this shows.** The same noise and settings; only one word is different. Where the difference is black the word
changed nothing. **What it does not prove.** That the word is about what changed: at every step each position reads the
whole prompt, and so one word may move everything.
"""


def fold(parts: SimpleNamespace) -> None:
    """Lays the fold out."""
    with gr.Accordion("Change a word", open=False, elem_id="draw-change-fold"):
        with gr.Row(elem_classes="mmx-tight"):
            parts.change_word = gr.Dropdown(
                [],
                label="Word",
                info="Of the prompt of the picture above.",
                scale=2,
                min_width=160,
                elem_id="draw-change-word",
            )
            parts.change_other = gr.Textbox(
                label="In its place", info="Empty leaves it out.", scale=2, min_width=160, elem_id="draw-change-other"
            )
        with gr.Row(elem_classes="mmx-tight"):
            parts.change_draw = gr.Button(
                "Draw again", variant="primary", scale=3, min_width=150, elem_id="draw-change-run"
            )
            parts.change_stop = gr.Button("Stop", scale=1, min_width=70, elem_id="draw-change-stop")
        parts.change_status = gr.HTML(IDLE, elem_id="draw-change-status", apply_default_css=False)
        parts.change = picture_grid(elem_id="draw-change", empty=EMPTY)
        with gr.Row(elem_classes="mmx-tight"):
            parts.change_png = gr.Button("Save as PNG", size="sm", scale=0, min_width=140, elem_id="draw-change-png")
        gr.Markdown(MEANING, elem_classes="mmx-meaning")
        parts.change_shown = gr.State(None, time_to_live=7200)
        parts.change_file = gr.File(visible="hidden", elem_id="draw-change-file")


def wire(parts: SimpleNamespace, page) -> None:
    """Connects the fold."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [parts.change_status, parts.change, parts.change_shown]
    parts.drawing.change(words, parts.drawing, parts.change_word, **private)
    drawn = gr.on(
        [parts.change_draw.click, parts.change_other.submit],
        draw, [parts.change_word, parts.change_other, parts.drawing], outputs, trigger_mode="once", **private,
    )  # fmt: skip
    drawn.then(page.refresh, None, page.status, queue=False, **private)
    parts.change_stop.click(draw_cells.stop_of("change"), None, None, queue=False, **private)
    draw_cells.wire_file(
        parts.change_png, parts.change_file, parts.change_shown, parts.change_status, "change.png", grid_png
    )


def words(drawing: Shelved[Drawing] | None) -> gr.Dropdown:
    """The words of a drawing's prompt to choose from; one that stands there twice is numbered."""
    texts = [word.text.lower() for word in drawing.value.words] if drawing else []
    choices = [
        (f"{text} ({texts[:i].count(text) + 1})" if texts.count(text) > 1 else text, i)
        for i, text in enumerate(texts)
        if text[0].isalnum()  # and no punctuation mark
    ]
    return gr.Dropdown(choices, value=next((i for _, i in choices if len(texts[i]) > 1), None))


def draw(index: int | None, other: str, kept: Shelved[Drawing] | None, request: gr.Request) -> Iterator[tuple]:
    """Updates (status, grid, shown): the picture, the one with the other word, and their difference."""

    def work(job: Job) -> Iterator[tuple]:
        if kept is None:
            raise Refusal("There is no picture yet; draw one first, then change a word.")
        drawing = kept.value
        texts = [word.text.lower() for word in drawing.words]
        if not isinstance(index, int) or not 0 <= index < len(texts):
            raise Refusal("Choose a word of the picture's prompt.")
        ready, pace = [preset(drawing.model)], Pace("Drawing again", "steps")
        change = yield from told(
            lambda stop: drawing_change.compare(
                drawing,
                texts[index],
                str(other or ""),
                occurrence=texts[: index + 1].count(texts[index]),
                progress=pace.note,
                stop=stop,
            ),
            lambda: loading(ready, pace.text()),
            _show,
            job,
        )
        grid = pictures(change)
        yield message(_summary(change)), grid_payload(grid), grid

    yield from session.JOBS.updates(request.session_hash, "change", work, _show)


def pictures(change: Change) -> Grid:
    """Both pictures and their difference; its brightest pixel is the greatest difference."""
    both = [
        Cell(one.image, draw_cells.shown({**one.settings, "model": one.model})) for one in (change.before, change.after)
    ]
    most = float(change.difference.max())
    levels = change.difference / (most or 1.0) * 255
    difference = Cell(Image.fromarray(levels.round().astype(np.uint8)))
    cells = {(0, column): cell for column, cell in enumerate((*both, difference))}
    labels = (change.before.settings["prompt"], change.after.settings["prompt"], f"difference, white is {most:.0%}")
    return Grid(("",), labels, cells, change.before.image.size, note=" ".join(change.after.remarks))


def _summary(change: Change) -> str:
    share, mean = float((change.difference > CLEAR).mean()), float(change.difference.mean())
    if not change.difference.any():
        return "The two pictures are the same in every pixel: the model did not heed the word."
    return f"{share:.0%} of the pixels differ by more than {CLEAR:.0%} of full colour; the mean of all is {mean:.1%}."


def _show(status: str) -> tuple:
    return status, gr.skip(), gr.skip()
