"""A row of example pictures to choose from; choosing one triggers `select` with its index.

Pictures and titles are given once, when the page is built.
"""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent


def examples(value: str, **kwargs) -> gr.HTML:
    """A gr.HTML of picture buttons; value is the text of `figures.examples.examples_payload`."""
    return gr.HTML(
        value,
        html_template='<div class="mmx-examples" role="group" aria-label="Examples"></div>',
        css_template=(HERE / "examples.css").read_text(encoding="utf-8"),
        js_on_load=(HERE / "examples.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        **kwargs,
    )
