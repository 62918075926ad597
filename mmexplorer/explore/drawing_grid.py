"""A grid of pictures along two axes, such as guidance and seed, with the work shared that its pictures have in common.

Knows what the axes mean; how pictures are drawn together is the business of `drawing_cells`.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmexplorer.errors import Refusal
from mmexplorer.explore.drawing_asked import checked
from mmexplorer.explore.drawing_cells import MAX_CELLS, CellsEvent, Place, draw_cells
from mmexplorer.presets import able

KINDS = ("guidance", "steps", "scheduler", "seed", "prompt")
SLOT = "{}"


@dataclass(frozen=True)
class Axis:
    """What differs along an axis: one of KINDS, and its values.

    Values of "prompt" are prompts, or what stands in the place of "{}" in the grid's prompt if that has one.
    """

    kind: str
    values: tuple


def draw_grid(
    prompt: str,
    rows: Axis | None,
    columns: Axis | None,
    *,
    model: str = "toy-diffusion",
    steps: int | None = None,
    guidance: float | None = None,
    negative_prompt: str = "",
    seed: int = 0,
    scheduler: str | None = None,
    width: int | None = None,
    height: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[CellsEvent]:
    """Draws a prompt with every value of one axis and every value of the other; without an axis there is one line.

    Every distinct prompt is encoded once, and pictures of the same steps and scheduler are drawn several at a time.
    That leaves each as `draw` draws it up to rounding: `drawing_cells.draw_cells` says how near, how it is stopped,
    and what the events hold. Other arguments are those of `draw`, for what no axis says. Raises Refusal at once for
    what cannot be asked and for more than MAX_CELLS pictures, and later for what the model cannot take or do.
    """
    given = {
        "steps": steps,
        "guidance": guidance,
        "negative_prompt": negative_prompt,
        "seed": seed,
        "scheduler": scheduler,
        "width": width,
        "height": height,
    }
    down, across = _values(rows), _values(columns)
    if rows and columns and rows.kind == columns.kind:
        raise Refusal(f"Both axes are {rows.kind}; choose two different ones, or leave one out.")
    if len(down) * len(across) > MAX_CELLS:
        raise Refusal(
            f"A grid has at most {MAX_CELLS} pictures, and {len(down):,} x {len(across):,} are "
            f"{len(down) * len(across):,}; leave some values out."
        )
    places = [
        Place(row, column, _asked(prompt, given, {**first, **second}))
        for row, first in enumerate(down)
        for column, second in enumerate(across)
    ]
    able(model, "draws")
    return draw_cells(places, model, stop)


def _values(axis: Axis | None) -> list[dict]:
    """What each line of an axis says; nothing on one line without an axis."""
    if axis is None:
        return [{}]
    if axis.kind not in KINDS:
        raise Refusal(f"{str(axis.kind)[:40]!r} is no axis; choose {' or '.join(KINDS)}.")
    if not axis.values:
        raise Refusal(f"The axis {axis.kind} has no values yet; give at least one.")
    return [{axis.kind: value} for value in axis.values]


def _asked(prompt: str, given: Mapping, said: Mapping):
    settings = {**given, **said}
    variant = settings.pop("prompt", None)
    if variant is not None:
        prompt = prompt.replace(SLOT, variant) if isinstance(prompt, str) and SLOT in prompt else variant
    return checked(prompt, **settings)
