"""What grids and strips of the drawing tab share: the settings they begin from, how they stream in, and their files.

Knows neither axes nor ways from one picture to another.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import gradio as gr

from mmexplorer.explore.drawing_cells import CellsEvent
from mmexplorer.figures.picture_grid import Cell, Grid, grid_payload
from mmexplorer.presets import preset
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs.chat_stream import newest
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.status import loading, message
from mmexplorer.tabs.take_file import take_file

INPUTS = ("prompt", "negative", "model", "steps", "guidance", "scheduler", "seed", "width", "height")
SIDE = 64  # of a picture whose size is not known yet


def given(prompt, negative, model, steps, guidance, scheduler, seed, width, height) -> tuple[str, dict]:
    """The prompt and the settings of INPUTS as `explore` takes them; empty boxes mean the model's own."""
    return str(prompt or ""), {
        "model": model,
        "negative_prompt": str(negative or ""),
        "steps": steps,
        "guidance": guidance,
        "scheduler": scheduler or None,
        "seed": seed or 0,
        "width": width,
        "height": height,
    }


def streamed(
    events: Callable[[Event], Iterator[CellsEvent]], model: str, empty: Grid, job: Job
) -> Generator[tuple[str, str, Grid], None, None]:
    """Updates (status, payload, grid) while cells come into a grid that is `empty` yet, and of how that ended.

    What was there before stays until the first picture comes; the note of `empty` is said from then on.
    """
    ready, there, last = [preset(model)], 0, None
    with closing(newest(lambda _: events(job), job)) as stream:
        while True:
            try:
                event = next(stream)
            except StopIteration as end:
                last = end.value
                break
            if event is None:
                yield message(loading(ready, "Reading the prompts."), "busy"), gr.skip(), gr.skip()
                continue
            payload = grid = gr.skip()
            if len(event.cells) != there:
                there, grid = len(event.cells), filled(empty, event)
                payload = grid_payload(grid)
            yield message(_progress(event), "busy"), payload, grid
    grid = filled(empty, last)
    yield message(_ending(last, model)), grid_payload(grid), grid


def size(settings: dict) -> tuple[int, int]:
    """The size that is asked for, in which places are kept for the pictures."""
    return tuple(max(1, int(settings[name] or SIDE)) for name in ("width", "height"))


def filled(empty: Grid, event: CellsEvent) -> Grid:
    """The grid with the cells that are there and what there is to say about them."""
    cells = {(cell.row, cell.column): Cell(cell.image, shown(cell.settings)) for cell in event.cells}
    size = event.cells[0].image.size if event.cells else empty.size
    note = " ".join([*event.remarks, empty.note if event.cells else ""]).strip()
    return Grid(empty.rows, empty.columns, cells, size, empty.row_title, empty.column_title, note)


def shown(settings) -> dict:
    """A cell's settings as its line says them: those that are there, numbers without idle digits."""
    named = {name.replace("_", " "): value for name, value in settings.items() if value not in (None, "")}
    named.pop("revision", None)
    return {name: _short(value) if isinstance(value, float) else value for name, value in named.items()}


def stop_of(*kinds: str) -> Callable[[gr.Request], None]:
    """A listener that asks the visitor's running jobs of some kinds to end with what they have."""

    def stop(request: gr.Request) -> None:
        for job in session.JOBS.running(request.session_hash, kinds):
            job.set()

    return stop


def wire_file(
    button: gr.Button, file: gr.File, grid: gr.State, status: gr.HTML, name: str, write: Callable[[Grid], bytes]
) -> None:
    """Makes a button hand the grid to the browser as a file of that name."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    take_file(button.click(writer(name, write), grid, [file, status], **private), file)


def writer(name: str, write: Callable[[Grid], bytes]) -> Callable[[Grid | None], Iterator[tuple]]:
    """A listener that writes a grid as a file of that name: updates of (file, status)."""

    def written(grid: Grid | None) -> Iterator[tuple]:
        if grid is None or not grid.cells:
            yield None, message("There are no pictures here yet; draw them first.", "note")
            return
        with TemporaryDirectory() as folder:  # Gradio copies the file before it asks for the next update
            path = Path(folder) / name
            path.write_bytes(write(grid))
            yield str(path), message(f"Written to {name}.")

    return written


def _short(number: float) -> float | int:
    return int(number) if number.is_integer() else round(number, 3)


def _progress(event: CellsEvent) -> str:
    done = f"{len(event.cells)} of {event.total} pictures, step {event.steps_done} of {event.steps_total}"
    if event.eta is None:
        return f"Drawing: {done}."
    left = "less than a second" if event.eta < 1 else f"about {event.eta:.0f} s"
    return f"Drawing: {done}, {left} left."


def _ending(event: CellsEvent, model: str) -> str:
    if event.ended == "stopped":
        return f"Stopped: {len(event.cells)} of {event.total} pictures are there, and stay."
    pictures = "1 picture" if event.total == 1 else f"{event.total} pictures"
    return f"{preset(model).label} drew {pictures} in {max(event.seconds, 0.01):.2f} s."
