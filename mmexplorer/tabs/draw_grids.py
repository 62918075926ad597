"""The drawing tab's fold with grids: any two of guidance, steps, scheduler, seed and prompt against each other.

Two folds about several pictures go with it: `draw_between` and `draw_change`.
"""

import re
from collections.abc import Iterator
from types import SimpleNamespace

import gradio as gr

from mmexplorer.components.picture_grid import picture_grid
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing_early, drawing_grid
from mmexplorer.explore.drawing_cells import MAX_CELLS
from mmexplorer.explore.drawing_grid import KINDS, Axis
from mmexplorer.figures.picture_grid import Grid, grid_png
from mmexplorer.tabs import draw_between, draw_cells, draw_change, draw_facts, draw_inputs
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs.event_numbers import number_of
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.status import message

NOTHING = "nothing"
AXES = [("Nothing", NOTHING), *((kind.capitalize(), kind) for kind in KINDS)]
VALUES = {
    NOTHING: "",
    "guidance": "1, 2, 4, 8",
    "steps": "5, 10, 20, 50",
    "scheduler": "ddim, euler, dpm++ 2m, unipc",
    "seed": "0, 1, 2, 3",
    "prompt": "a red circle; a blue square",
}
SUGGESTED = 4  # schedulers
HOW = {
    NOTHING: "",
    "guidance": "Numbers with commas between them; up to 1 is no guidance.",
    "steps": "Whole numbers with commas between them.",
    "scheduler": "Names with commas between them; Settings lists those that fit.",
    "seed": "Whole numbers with commas between them.",
    "prompt": "Semicolons between them. Where the prompt has {}, each is put there; else each is a whole prompt.",
}
IDLE = message(f"At most {MAX_CELLS} pictures. What no axis says comes from the inputs of this tab.")
NOTE = (
    "Each prompt is encoded once and several pictures are computed together; each is the picture that Draw makes with "
    "its settings, up to rounding."
)
EARLY = "Step 10 of 50 = 10 steps?"
EARLY_INFO = f"""\
A ready experiment: your prompt in {drawing_early.WHOLE} steps, and with the same seed in fewer. Predict first: is what
the network expects after step 10 of {drawing_early.WHOLE} like a drawing in 10 steps?
"""
EARLY_ROWS = f"expected after so many of {drawing_early.WHOLE}", "drawn in so many"
EARLY_NOTE = (
    f"Above: the clean picture that the network expects while it draws in {drawing_early.WHOLE} steps, still blurred "
    "where much is undecided. Below: drawings that came to their end in so many steps, each step a longer stride from "
    "the same noise."
)
MEANING = """\
**What this shows.** The pictures differ in what the axes say and in nothing else: unless an axis is the seed, they even
begin with the same noise. **What it does not prove.** That an axis always does what it did here: one seed is one
example, so put seeds on the other axis.
"""
SIDES = ("row", "column")


def fold(parts: SimpleNamespace) -> None:
    """Lays the folds out."""
    with gr.Accordion("Grid", open=False, elem_id="draw-grid-fold"):
        for side, kind in (("row", "seed"), ("column", "guidance")):
            with gr.Row(elem_classes="mmx-tight"):
                what = gr.Dropdown(
                    AXES,
                    value=kind,
                    label=f"{side.capitalize()}s",
                    scale=1,
                    min_width=130,
                    elem_id=f"draw-grid-{side}",
                )
                values = gr.Textbox(
                    VALUES[kind],
                    label="Values",
                    info=HOW[kind],
                    max_lines=4,
                    scale=3,
                    min_width=180,
                    elem_id=f"draw-grid-{side}-values",
                )
                setattr(parts, f"grid_{side}", what)
                setattr(parts, f"grid_{side}_values", values)
        with gr.Row(elem_classes="mmx-tight"):
            parts.grid_draw = gr.Button(
                "Draw the grid", variant="primary", scale=3, min_width=150, elem_id="draw-grid-run"
            )
            parts.grid_stop = gr.Button("Stop", scale=1, min_width=70, elem_id="draw-grid-stop")
        gr.Markdown(EARLY_INFO, elem_classes="mmx-caption")
        with gr.Row(elem_classes="mmx-tight"):
            parts.grid_early = gr.Button(EARLY, size="sm", scale=0, min_width=210, elem_id="draw-grid-early")
        parts.grid_status = gr.HTML(IDLE, elem_id="draw-grid-status", apply_default_css=False)
        parts.grid = picture_grid(elem_id="draw-grid")
        with gr.Row(elem_classes="mmx-tight"):
            parts.grid_png = gr.Button("Save as PNG", size="sm", scale=0, min_width=140, elem_id="draw-grid-png")
            parts.grid_use = gr.Button(visible=False, size="sm", scale=0, min_width=140, elem_id="draw-grid-use")
        gr.Markdown(MEANING, elem_classes="mmx-meaning")
        parts.grid_shown = gr.State(None, time_to_live=7200)
        parts.grid_chosen = gr.State(None, time_to_live=7200)
        parts.grid_file = gr.File(visible="hidden", elem_id="draw-grid-file")
    draw_between.fold(parts)
    draw_change.fold(parts)


def wire(parts: SimpleNamespace, page) -> None:
    """Connects the folds."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    whole = [getattr(parts, name) for name in draw_cells.INPUTS]
    outputs = [parts.grid_status, parts.grid, parts.grid_shown]
    axes = [parts.grid_row, parts.grid_row_values, parts.grid_column, parts.grid_column_values]
    for side in SIDES:
        axis, values = getattr(parts, f"grid_{side}"), getattr(parts, f"grid_{side}_values")
        axis.input(_suggested, [axis, parts.model], values, queue=False, **private)
    drawn = gr.on(
        [parts.grid_draw.click, parts.grid_row_values.submit, parts.grid_column_values.submit],
        draw, [*axes, *whole], outputs, trigger_mode="once", **private,
    )  # fmt: skip
    early = parts.grid_early.click(draw_early, whole, outputs, trigger_mode="once", **private)
    for event in (drawn, early):
        event.then(page.refresh, None, page.status, queue=False, **private)
    parts.grid_stop.click(draw_cells.stop_of("grid"), None, None, queue=False, **private)
    parts.grid.open(_chosen, parts.grid_shown, [parts.grid_chosen, parts.grid_use], **private)
    filled = [getattr(parts, name) for name in draw_inputs.FILLED]
    parts.grid_use.click(_used, parts.grid_chosen, [*filled, parts.grid_status], **private)
    draw_cells.wire_file(parts.grid_png, parts.grid_file, parts.grid_shown, parts.grid_status, "pictures.png", grid_png)
    draw_between.wire(parts, page)
    draw_change.wire(parts, page)


def draw(row: str, row_values: str, column: str, column_values: str, request: gr.Request, *given) -> Iterator[tuple]:
    """Updates (status, grid, shown) while the grid of two axes is drawn."""

    def work(job: Job) -> Iterator[tuple]:
        prompt, settings = draw_cells.given(*given)
        rows, columns = axis(row, row_values), axis(column, column_values)
        if rows is None and columns is None:
            raise Refusal("A grid needs an axis; choose what its rows or its columns are.")
        titles = _title(rows), _title(columns)
        empty = Grid(_labels(rows), _labels(columns), {}, draw_cells.size(settings), *titles, NOTE)
        yield from draw_cells.streamed(
            lambda stop: drawing_grid.draw_grid(prompt, rows, columns, **settings, stop=stop),
            settings["model"],
            empty,
            job,
        )

    yield from session.JOBS.updates(request.session_hash, "grid", work, _show)


def draw_early(request: gr.Request, *given) -> Iterator[tuple]:
    """Updates (status, grid, shown) while early steps of a long drawing are put above short drawings."""

    def work(job: Job) -> Iterator[tuple]:
        prompt, settings = draw_cells.given(*given)
        settings.pop("steps")
        whole, counts = drawing_early.WHOLE, drawing_early.COUNTS
        columns, size = [str(count) for count in counts], draw_cells.size(settings)
        empty = Grid(EARLY_ROWS, columns, {}, size, column_title="steps", note=EARLY_NOTE)
        yield from draw_cells.streamed(
            lambda stop: drawing_early.draw_early(prompt, whole=whole, counts=counts, **settings, stop=stop),
            settings["model"],
            empty,
            job,
        )

    yield from session.JOBS.updates(request.session_hash, "grid", work, _show)


def axis(kind: str, text: str) -> Axis | None:
    """The axis that was typed; None for NOTHING, and Refusal for values that are none."""
    if kind == NOTHING:
        return None
    parts = re.split(r"[;\n]" if kind == "prompt" else r"[,;\n]", str(text or ""))
    texts = dict.fromkeys(part.strip() for part in parts if part.strip())  # each once
    if kind in ("prompt", "scheduler"):
        return Axis(kind, tuple(texts))
    return Axis(kind, tuple(_number(kind, text) for text in texts))


def _number(kind: str, text: str) -> int | float:
    try:
        number = float(text)
        return int(text) if text.lstrip("+-").isdigit() else number
    except ValueError:
        raise Refusal(f"{text[:40]!r} is no number; the values of {kind} are numbers such as {VALUES[kind]}.") from None


def _labels(axis: Axis | None) -> tuple[str, ...]:
    return tuple(str(value) for value in axis.values) if axis else ("",)


def _title(axis: Axis | None) -> str:
    return axis.kind if axis else ""


def _suggested(kind: str, model: str) -> gr.Textbox:
    """The box for an axis' values with some that fit, as far as the model has told what does."""
    values = VALUES.get(kind, "")
    if kind == "scheduler" and draw_facts.is_known(model):
        values = ", ".join(draw_facts.learn(model).schedulers[:SUGGESTED])
    return gr.Textbox(values, info=HOW.get(kind, ""), visible=kind != NOTHING)


def _chosen(shown: Grid | None, event: gr.EventData) -> tuple:
    """The settings of the picture that somebody looks at, and the button that takes them over."""
    if shown is None:
        raise Refusal("That is not on the page any more; choose again.")
    place = number_of(event, "row", len(shown.rows)), number_of(event, "column", len(shown.columns))
    cell = shown.cells.get(place)
    if cell is None:
        return gr.skip(), gr.skip()
    titled = (shown.row_title, shown.rows[place[0]]), (shown.column_title, shown.columns[place[1]])
    named = ", ".join(f"{title} {label}".strip() for title, label in titled if label)
    return cell.settings, gr.Button(f"Use the settings of {named[:60]}", visible=True)


def _used(settings: dict | None) -> tuple:
    """Fills the tab's inputs."""
    if settings is None:
        return *(gr.skip() for _ in draw_inputs.FILLED), message("Press a picture of the grid first.", "note")
    values = draw_inputs.filled({name.replace(" ", "_"): value for name, value in settings.items()})
    said = message("The settings of that picture are filled in above.")
    return *(values[name] for name in draw_inputs.FILLED), said


def _show(status: str) -> tuple:
    return status, gr.skip(), gr.skip()
