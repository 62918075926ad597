"""The logit lens on a picture: which word each patch is nearest to, layer by layer.

Its value is the text of `figures.lens.lens_payload`, or None; moving over patches and layers asks the server nothing.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "numbers.js", "lens.js")
EMPTY = "Ask about a picture first: then every patch's nearest words appear here."


def lens(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws lens payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return component("lens", SCRIPTS, value, empty=empty, **kwargs)
