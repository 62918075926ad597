"""What the model sees: every picture with the part that is cut off, and beside it the views exactly as fed.

Its value is the text of `figures.model_views.views_payload`, or None; nothing in it asks the server.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "numbers.js", "model_views.js")
EMPTY = "Ask about a picture: what the model gets of it appears here."


def model_views(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws view payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return component("model_views", SCRIPTS, value, empty=empty, **kwargs)
