"""The logit lens on a picture: which word each patch is nearest to, layer by layer.

Its value is the text of `figures.lens.lens_payload`, or None; moving over patches and layers asks the server nothing.
"""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
SCRIPTS = ("elements.js", "numbers.js", "lens.js")
EMPTY = "Ask about a picture first: then every patch's nearest words appear here."


def lens(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws lens payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return gr.HTML(
        value,
        html_template=(HERE / "lens.html").read_text(encoding="utf-8"),
        css_template=(HERE / "lens.css").read_text(encoding="utf-8"),
        js_on_load="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        apply_default_css=False,
        empty=empty,
        **kwargs,
    )
