"""Step 10 of 50 is not a picture of 10 steps: what a long drawing predicts early, beside drawings that end there.

A misconception as a ready experiment: few steps take longer strides from the same noise.
"""

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.explore.drawing import decode, draw
from mmexplorer.explore.drawing_asked import checked
from mmexplorer.explore.drawing_cells import MAX_CELLS, Cell, CellsEvent, Place, draw_cells
from mmexplorer.hub import Stopped
from mmexplorer.presets import able

WHOLE, COUNTS = 50, (5, 10, 20, 50)


def draw_early(
    prompt: str,
    *,
    whole: int = WHOLE,
    counts: Sequence[int] = COUNTS,
    model: str = "toy-diffusion",
    guidance: float | None = None,
    negative_prompt: str = "",
    seed: int = 0,
    scheduler: str | None = None,
    width: int | None = None,
    height: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[CellsEvent]:
    """Draws a prompt in `whole` steps, and in each of `counts` steps with the same seed and settings.

    A grid of two rows: in row 0 the clean picture that the long drawing predicts after so many of its steps, decoded,
    with `step` in its settings; in row 1 the pictures of so many steps. Events, stopping and refusals are those of
    `drawing_grid.draw_grid`.
    """
    given = {"guidance": guidance, "negative_prompt": negative_prompt, "seed": seed, "scheduler": scheduler}
    given |= {"width": width, "height": height}
    counts, whole = tuple(dict.fromkeys(counts)), checked(prompt, steps=whole, **given).steps
    if not counts or not all(isinstance(count, int) and 1 <= count <= whole for count in counts):
        raise Refusal(f"The numbers of steps must be whole numbers from 1 to {whole}, and at least one.")
    if 2 * len(counts) > MAX_CELLS:
        raise Refusal(f"At most {MAX_CELLS // 2} numbers of steps are compared, and there are {len(counts)}.")
    short = [
        Place(1, column, checked(prompt, steps=count, **given)) for column, count in enumerate(counts) if count != whole
    ]
    able(model, "draws")
    return _events(prompt, whole, counts, given, short, model, stop)


def _events(
    prompt: str,
    whole: int,
    counts: Sequence[int],
    given: Mapping,
    short: Sequence[Place],
    model: str,
    stop: threading.Event | None,
) -> Generator[CellsEvent, None, None]:
    total, steps_total = 2 * len(counts), whole + sum(place.asked.steps for place in short)
    with closing(draw(prompt, model=model, steps=whole, **given, maps=False, stop=stop)) as events:
        for event in events:
            eta = event.seconds * (steps_total - event.number) / event.number if event.number else None
            yield CellsEvent((), total, min(event.number, whole), steps_total, event.seconds, eta)
    drawing = event.drawing
    if drawing.ended != "end":
        raise Stopped("The drawing was stopped before its first picture.")
    cells = _predicted(drawing, counts, stop)
    if whole in counts:
        cells.append(Cell(1, counts.index(whole), drawing.image, drawing.settings))
    seen = CellsEvent(tuple(cells), total, whole, steps_total, drawing.seconds, None, drawing.remarks, "end")
    if not short:
        yield seen
        return
    try:
        with closing(draw_cells(short, model, stop)) as events:
            for more in events:
                yield replace(
                    more,
                    cells=seen.cells + more.cells,
                    total=total,
                    steps_done=whole + more.steps_done,
                    steps_total=steps_total,
                    seconds=drawing.seconds + more.seconds,
                    remarks=tuple(dict.fromkeys(drawing.remarks + more.remarks)),
                )
    except Stopped:
        yield replace(seen, ended="stopped")


def _predicted(drawing: Drawing, counts: Sequence[int], stop: threading.Event | None) -> list[Cell]:
    """What a drawing predicted after so many of its steps; after the last that is its picture."""
    # Some schedulers ask the network more often than there are steps.
    share = len(drawing.steps) / drawing.settings["steps"]
    early = [min(round(count * share), len(drawing.steps)) for count in counts]
    pictures = decode([drawing.steps[number - 1].clean for number in early], drawing.model, stop)
    return [
        Cell(0, column, drawing.image if number == len(drawing.steps) else picture, {**drawing.settings, "step": count})
        for column, (count, number, picture) in enumerate(zip(counts, early, pictures, strict=True))
    ]
