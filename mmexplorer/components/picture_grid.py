"""A grid of pictures along two axes, or a strip along one, whose cells fill as they arrive.

Its value is the text of `figures.picture_grid.grid_payload`, or None. Pressing a picture shows it large, from where
the arrow keys lead to others; a short rest on one triggers `open` with its `row` and `column`. Nothing else asks the
server.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "picture_grid_large.js", "picture_grid.js")
EMPTY = "Choose two axes and draw: the pictures appear here side by side."


def picture_grid(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws grid payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return component("picture_grid", SCRIPTS, value, empty=empty, **kwargs)
