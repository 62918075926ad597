"""The way from one picture to another: between two prompts, or between two seeds.

How pictures are drawn together is the business of `drawing_cells`, and where in between of the model.
"""

import threading
from collections.abc import Iterator

from mmexplorer.errors import Refusal
from mmexplorer.explore.drawing_asked import checked
from mmexplorer.explore.drawing_cells import MAX_CELLS, CellsEvent, Place, draw_cells
from mmexplorer.presets import able


def interpolate(
    prompt: str,
    to: str | int,
    frames: int = 9,
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
    """Draws `frames` pictures from a prompt to another one, a text, or from a seed to another one, a number.

    Between prompts lie their text embeddings on a straight line, with the noise of one seed; between seeds their noise
    on a great circle (Shoemake 1985; White 2016, arXiv 1609.04468), with one prompt. Noise that a scheduler adds at
    later steps, such as "euler a", stays the first seed's. The events are those of `drawing_cells.draw_cells`, with
    the frames as columns of row 0; their settings have `other_prompt` or `other_seed`, and `share` from 0 to 1. Other
    arguments and refusals are those of `draw`.
    """
    settings = {"steps": steps, "guidance": guidance, "negative_prompt": negative_prompt, "scheduler": scheduler}
    settings |= {"width": width, "height": height}
    asked = checked(prompt, seed=seed, **settings)
    if isinstance(to, str):
        other = {"other_prompt": checked(to, seed=seed, **settings).prompt}
        same = other["other_prompt"] == asked.prompt
    else:
        other = {"other_seed": checked(prompt, seed=to, **settings).seed}
        same = other["other_seed"] == asked.seed
    if same:
        raise Refusal("Both ends are the same, so there is nothing in between; change one of them.")
    if not isinstance(frames, int) or isinstance(frames, bool) or not 2 <= frames <= MAX_CELLS:
        raise Refusal(f"The number of pictures must be a whole number from 2 to {MAX_CELLS}.")
    able(model, "draws")
    places = [Place(0, i, asked, **other, share=i / (frames - 1)) for i in range(frames)]
    return draw_cells(places, model, stop)
