"""The stages from prompt to picture with one drawing's own numbers: shapes, parameters, seconds, small pictures.

Its value is the text of `figures.stages.stages_payload`, or None; nothing in it asks the server.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "numbers.js", "stages.js")
EMPTY = "Draw a picture: its way from prompt to picture appears here, with the shape and time of every stage."


def stages(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws stages payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return component("stages", SCRIPTS, value, empty=empty, **kwargs)
