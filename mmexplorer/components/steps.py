"""The five steps of one zero-shot classification, with the picture's own numbers.

Its value is the text of `figures.steps.steps_payload`, or None before the first result; choosing a label to follow
through the steps asks the server nothing.
"""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
SCRIPTS = ("elements.js", "numbers.js", "steps.js")


def steps(**kwargs) -> gr.HTML:
    """A gr.HTML that draws step payloads; keyword arguments (value, elem_id, visible, ...) go to gr.HTML."""
    return gr.HTML(
        html_template=(HERE / "steps.html").read_text(encoding="utf-8"),
        css_template=(HERE / "steps.css").read_text(encoding="utf-8"),
        js_on_load="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        apply_default_css=False,
        **kwargs,
    )
