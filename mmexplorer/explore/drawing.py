"""Text-to-image: a prompt drawn step by step, with every step kept and where each word acted.

What people ask is checked before any model is loaded (drawing_asked). Holds the model only while it draws, and never
imports torch itself.
"""

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
from PIL import Image

from mmexplorer import residency
from mmexplorer.drawings import DrawEvent
from mmexplorer.explore.drawing_asked import Asked, checked, gpu_seconds, read, settled
from mmexplorer.explore.drawing_views import ground
from mmexplorer.lending import lent
from mmexplorer.presets import able, preset

TOY_SIDE = 64  # pixels


def draw(
    prompt: str,
    *,
    model: str = "toy-diffusion",
    steps: int | None = None,
    guidance: float | None = None,
    negative_prompt: str = "",
    seed: int = 0,
    scheduler: str | None = None,
    maps: bool = True,
    width: int | None = None,
    height: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[DrawEvent]:
    """Draws a prompt: an event when the model has read it, one after each step, and one with the drawing.

    None means the model's own default. guidance is the scale of classifier-free guidance (Ho and Salimans 2022, arXiv
    2207.12598), none up to 1. scheduler is a name such as "ddim" or "euler". The same seed and settings draw the same
    picture, with maps and without. Numbers beyond what makes sense are brought within it and `remarks` say so. Setting
    `stop` ends the drawing after the step under way, with the predicted clean picture; before the first step it raises
    hub.Stopped. The device is held until the last event or until the iterator is closed, so iterate or close. Raises
    Refusal at once for what cannot be asked, and later for what the model cannot take or do.
    """
    asked = checked(
        prompt,
        steps=steps,
        guidance=guidance,
        negative_prompt=negative_prompt,
        seed=seed,
        scheduler=scheduler,
        width=width,
        height=height,
    )
    able(model, "draws")
    return _events(asked, model, bool(maps), stop)


@lent(lambda asked: 5 + len(asked["latents"]) / 2)
def decode(latents: Sequence[np.ndarray], model: str, stop: threading.Event | None = None) -> tuple[Image.Image, ...]:
    """Predicted clean latents, such as `Step.clean`, as the model's decoder shows them, and not by a linear map alone.

    Takes the decoder's time for each, which is why `draw` does not do it.
    """
    with residency.use(model, stop) as painter:
        return tuple(painter.decode(latents))


def _events(asked: Asked, model: str, maps: bool, stop: threading.Event | None) -> Generator[DrawEvent, None, None]:
    event = yield from _drawn(asked, model, maps, stop)
    # Without the device, and without anything here that would keep the model in memory.
    yield replace(event, drawing=replace(event.drawing, grounding=ground(event.drawing)))


def _seconds(given: Mapping) -> float:
    asked = given["asked"]
    side = TOY_SIDE if preset(given["model"]).tier == "toy" else None
    return gpu_seconds(asked.steps, asked.width or side, asked.height or side)


@lent(_seconds)
def _drawn(asked: Asked, model: str, maps: bool, stop: threading.Event | None) -> Generator[DrawEvent, None, DrawEvent]:
    """The events but the last, with the device held; returns that one, its drawing without the grounding."""
    row = preset(model)
    with residency.use(model, stop) as painter:
        settings, remarks = settled(painter, asked, row.label)
        unknown, said = read(painter, asked, settings, row.label)
        # Closed before the device is free, so that nobody else meets what watches the model.
        with closing(painter.draw(asked.prompt, settings, maps=maps, stop=stop)) as events:
            for event in events:
                if event.drawing is None:
                    yield event
        drawing = replace(
            event.drawing,
            settings={"prompt": asked.prompt, **settings, "model": model, "revision": row.revision},
            unknown_words=unknown,
            remarks=(*asked.remarks, *remarks, *said),
            model=model,
        )
        return replace(event, drawing=drawing)
