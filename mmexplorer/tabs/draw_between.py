"""The drawing tab's fold with ways: from the prompt to another one, or from the seed to another one, as a strip."""

from collections.abc import Iterator
from types import SimpleNamespace

import gradio as gr

from mmexplorer.components.picture_grid import picture_grid
from mmexplorer.explore import drawing_between
from mmexplorer.figures.picture_grid import Grid, grid_png, strip_gif
from mmexplorer.tabs import draw_cells
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.status import message

MOST, USUAL = 24, 9
PROMPTS, SEEDS = "Another prompt", "Another seed"
TITLES = {PROMPTS: "way to the other prompt", SEEDS: "way to the other seed"}
IDLE = message("Prompts: the text embeddings on a straight line. Seeds: the noise on a great circle.")
NOTE = "The first and the last picture are those that Draw makes, up to rounding"
NOTES = {
    PROMPTS: f"{NOTE}.",
    SEEDS: f"{NOTE}. Where the scheduler adds noise on the way, as “euler a” does, that stays the first seed's.",
}
EMPTY = "Choose where to go: the pictures on the way appear here side by side."
MEANING = """\
**What this shows.** Neighbours on the way between two prompts or two seeds often look alike, and then one thing turns
into another within few pictures. **What it does not prove.** That the model knows what lies in between: no prompt has
the embedding in the middle, and what lies between two noises is simply a third one.
"""


def fold(parts: SimpleNamespace) -> None:
    """Lays the fold out."""
    with gr.Accordion("Between two prompts or seeds", open=False, elem_id="draw-between-fold"):
        with gr.Row(elem_classes="mmx-tight"):
            parts.between_what = gr.Radio(
                [PROMPTS, SEEDS],
                value=PROMPTS,
                label="From the inputs of this tab to",
                min_width=220,
                elem_id="draw-between-what",
            )
            parts.between_count = gr.Slider(
                2, MOST, USUAL, step=1, label="Pictures", min_width=160, elem_id="draw-between-count"
            )
        parts.between_prompt = gr.Textbox(
            "a blue square to the left of a red circle",
            label="Prompt at the end",
            max_lines=4,
            elem_id="draw-between-prompt",
        )
        parts.between_seed = gr.Number(
            1, label="Seed at the end", precision=0, visible=False, elem_id="draw-between-seed"
        )
        with gr.Row(elem_classes="mmx-tight"):
            parts.between_draw = gr.Button(
                "Interpolate", variant="primary", scale=3, min_width=150, elem_id="draw-between-run"
            )
            parts.between_stop = gr.Button("Stop", scale=1, min_width=70, elem_id="draw-between-stop")
        parts.between_status = gr.HTML(IDLE, elem_id="draw-between-status", apply_default_css=False)
        parts.between = picture_grid(elem_id="draw-between", empty=EMPTY)
        with gr.Row(elem_classes="mmx-tight"):
            parts.between_gif = gr.Button("Save as GIF", size="sm", scale=0, min_width=140, elem_id="draw-between-gif")
            parts.between_png = gr.Button("Save as PNG", size="sm", scale=0, min_width=140, elem_id="draw-between-png")
        gr.Markdown(MEANING, elem_classes="mmx-meaning")
        parts.between_shown = gr.State(None, time_to_live=7200)
        parts.between_file = gr.File(visible="hidden", elem_id="draw-between-file")


def wire(parts: SimpleNamespace, page) -> None:
    """Connects the fold."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    asked = [parts.between_what, parts.between_prompt, parts.between_seed, parts.between_count]
    whole = [getattr(parts, name) for name in draw_cells.INPUTS]
    outputs = [parts.between_status, parts.between, parts.between_shown]
    parts.between_what.input(
        lambda what: (gr.Textbox(visible=what == PROMPTS), gr.Number(visible=what == SEEDS)),
        parts.between_what, [parts.between_prompt, parts.between_seed], queue=False, **private,
    )  # fmt: skip
    drawn = gr.on(
        [parts.between_draw.click, parts.between_prompt.submit, parts.between_seed.submit],
        draw, [*asked, *whole], outputs, trigger_mode="once", **private,
    )  # fmt: skip
    drawn.then(page.refresh, None, page.status, queue=False, **private)
    parts.between_stop.click(draw_cells.stop_of("between"), None, None, queue=False, **private)
    shown = parts.between_file, parts.between_shown, parts.between_status
    draw_cells.wire_file(parts.between_gif, *shown, "interpolation.gif", gif)
    draw_cells.wire_file(parts.between_png, *shown, "interpolation.png", grid_png)


def draw(what: str, prompt_to: str, seed_to, count, request: gr.Request, *given) -> Iterator[tuple]:
    """Updates (status, strip, shown) while the way is drawn."""

    def work(job: Job) -> Iterator[tuple]:
        prompt, settings = draw_cells.given(*given)
        frames = max(2, min(int(count or USUAL), MOST))
        to = str(prompt_to or "") if what == PROMPTS else seed_to or 0
        labels = [f"{100 * i / (frames - 1):.3g} %" for i in range(frames)]
        empty = Grid(("",), labels, {}, draw_cells.size(settings), column_title=TITLES[what], note=NOTES[what])
        yield from draw_cells.streamed(
            lambda stop: drawing_between.interpolate(prompt, to, frames, **settings, stop=stop),
            settings["model"],
            empty,
            job,
        )

    yield from session.JOBS.updates(request.session_hash, "between", work, _show)


def gif(strip: Grid) -> bytes:
    """The pictures that are there, in order and back again."""
    return strip_gif([strip.cells[place].picture for place in sorted(strip.cells)])


def _show(status: str) -> tuple:
    return status, gr.skip(), gr.skip()
