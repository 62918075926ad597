"""The score chart: bars, matrix, spread over templates and models side by side, all computed in the browser.

Its value is the text of `figures.scores.scores_payload`, or None before the first result. Moving the logit scale asks
the server nothing. A new value starts at its models' own logit scale and activation, unless the visitor changed them
("changed by you"); order, measure and filter stay as chosen.
"""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
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
    return gr.HTML(
        html_template=(HERE / "scores.html").read_text(encoding="utf-8"),
        css_template=(HERE / "scores.css").read_text(encoding="utf-8"),
        js_on_load="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        apply_default_css=False,
        **kwargs,
    )
