"""The film strip: every denoising step of a drawing, one of them large, with a scrubber; live while it is being made.

Its value is the text of `figures.film_strip.film_strip_payload` or of `LiveStrip.payload`, or None. A short rest on
another step of a finished drawing triggers `step` with its `number`; nothing else asks the server.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("heatmap.js", "elements.js", "film_strip_panels.js", "film_strip.js")
EMPTY = "Draw a picture: every step from noise to picture appears here."


def film_strip(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws film strip payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return component("film_strip", SCRIPTS, value, empty=empty, **kwargs)
