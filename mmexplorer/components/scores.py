"""The score chart: bars, matrix, spread over templates and models side by side, all computed in the browser.

Its value is the text of `figures.scores.scores_payload`, or None before the first result. Moving the logit scale asks
the server nothing. A new value starts at its models' own logit scale and activation, unless the visitor changed them
("changed by you"); order, measure and filter stay as chosen.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = (
    "elements.js",
    "numbers.js",
    "scores_bars.js",
    "scores_matrix.js",
    "scores_spread.js",
    "scores_export.js",
    "scores_canvas.js",
    "scores.js",
)


def score_chart(**kwargs) -> gr.HTML:
    """A gr.HTML that draws score payloads; keyword arguments (value, elem_id, visible, ...) go to gr.HTML."""
    return component("scores", SCRIPTS, **kwargs)
