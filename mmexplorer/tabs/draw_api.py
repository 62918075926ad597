"""The tab's public endpoint, /draw, for gradio_client and plain HTTP.

The steps are streamed as they are done; nothing of the drawing is kept for the caller.
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import closing

import gradio as gr

from mmexplorer.drawings import DrawEvent
from mmexplorer.explore.drawing import draw
from mmexplorer.figures.drawing_file import drawing_facts, drawing_png, maps_npz
from mmexplorer.tabs.chat_stream import newest

OWN = -1  # Gradio's clients take a parameter without a value for one that must be given
WAITING = DrawEvent(0, 0)  # for the model; a generator can be closed only where it yields


def add() -> None:
    """Adds the hidden inputs, output and listener of the endpoint to the page that is being built."""
    with gr.Group(visible=False):
        prompt = gr.Textbox(label="prompt")
        model = gr.Textbox("toy-diffusion", label="model")
        steps = gr.Number(OWN, label="steps")
        guidance = gr.Number(OWN, label="guidance")
        negative_prompt = gr.Textbox("", label="negative_prompt")
        seed = gr.Number(0, label="seed", precision=0)
        scheduler = gr.Textbox("", label="scheduler")
        maps = gr.Checkbox(True, label="maps")
        width = gr.Number(OWN, label="width")
        height = gr.Number(OWN, label="height")
        answer = gr.JSON(label="drawing")
        ask = gr.Button()
    given = [prompt, model, steps, guidance, negative_prompt, seed, scheduler, maps, width, height]
    ask.click(_draw, given, answer, api_name="draw", concurrency_limit=4)


def _draw(prompt, model, steps, guidance, negative_prompt, seed, scheduler, maps, width, height) -> Iterator[dict]:
    """`mmexplorer.draw` over the wire: {"number", "total", "seconds", "eta"} again and again, and at the end all of it.

    -1 means the model's own default, and so does an empty scheduler. png and npz are base64.
    """
    settings = {
        "model": str(model),
        "steps": _given(steps),
        "guidance": _given(guidance),
        "negative_prompt": negative_prompt or "",
        "seed": seed,
        "scheduler": scheduler or None,
        "maps": bool(maps),
        "width": _given(width),
        "height": _given(height),
    }

    def events(stop: threading.Event) -> Iterator[DrawEvent]:
        return draw(prompt, **settings, stop=stop)

    with closing(newest(events, threading.Event())) as stream:
        while True:
            try:
                event = next(stream)
            except StopIteration as end:
                drawing = end.value.drawing
                break
            event = event or WAITING
            yield {"number": event.number, "total": event.total, "seconds": event.seconds, "eta": event.eta}
    yield drawing_facts(drawing) | {
        "png": _text(drawing_png(drawing)),
        "npz": _text(maps_npz(drawing)) if drawing.word_maps else "",
    }


def _given(number: float | None) -> float | None:
    return None if number == OWN else number


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
