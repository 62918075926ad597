"""One row of small pictures with captions to choose from; choosing one triggers `select` with its index.

Its value is the text of `figures.picture_row.picture_row_payload`; it does not know what the pictures are.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "picture_row.js")


def picture_row(value: str | None = None, **kwargs) -> gr.HTML:
    """A gr.HTML that draws such a payload, None for no pictures; other arguments go to gr.HTML."""
    return component("picture_row", SCRIPTS, value, **kwargs)
