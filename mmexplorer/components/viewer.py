"""The viewer of words against pixels, shared by every tab, as a Gradio component.

Its value is the JSON string made by `mmexplorer.figures.viewer.viewer_payload`; everything after that happens in the
browser, in the files beside this one. A word that is chosen triggers `word` with its index and its text as value, a
patch that is kept or left `patch` with its index (None when left) and the grid's rows and columns. Gradio
reads markup and style as templates, so those two contain no backslash, backtick, `{{` or `${`, and no data: the script
puts labels in as text, never as markup.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = (
    "heatmap.js",
    "viewer_state.js",
    "viewer_maps.js",
    "viewer_truth.js",
    "viewer_picture.js",
    "viewer_words.js",
    "viewer_layers.js",
    "viewer_export.js",
    "viewer.js",
)
EMPTY = "Run a classification to see where it looked."


def grounding_viewer(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A `gr.HTML` that draws a viewer payload; `empty` is what it says before there is one.

    Further keyword arguments go to `gr.HTML` (elem_id, visible, ...).
    """
    return component("viewer", SCRIPTS, value, empty=empty, **kwargs)
