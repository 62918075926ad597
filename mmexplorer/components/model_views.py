"""What the model sees: every picture with the part that is cut off, and beside it the views exactly as fed.

Its value is the text of `figures.model_views.views_payload`, or None; nothing in it asks the server.
"""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
SCRIPTS = ("elements.js", "numbers.js", "model_views.js")
EMPTY = "Ask about a picture: what the model gets of it appears here."


def model_views(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws view payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return gr.HTML(
        value,
        html_template=(HERE / "model_views.html").read_text(encoding="utf-8"),
        css_template=(HERE / "model_views.css").read_text(encoding="utf-8"),
        js_on_load="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        apply_default_css=False,
        empty=empty,
        **kwargs,
    )
