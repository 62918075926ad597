"""The gallery: a picked point and its neighbours, ranked results or a selection, as cards that can be pressed.

Its value is the text of `figures.gallery.gallery_payload`, or None. Pressing a card triggers `select`, whose
gr.SelectData holds the card's point as index and its title as value; nothing else asks the server.
"""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
SCRIPTS = ("elements.js", "numbers.js", "gallery.js")
EMPTY = "Press a point of the map, draw around some of them, or search: what you find appears here."


def gallery(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws gallery payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return gr.HTML(
        value,
        html_template=(HERE / "gallery.html").read_text(encoding="utf-8"),
        css_template=(HERE / "gallery.css").read_text(encoding="utf-8"),
        js_on_load="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        apply_default_css=False,
        empty=empty,
        **kwargs,
    )
