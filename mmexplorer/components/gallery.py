"""The gallery: a picked point and its neighbours, ranked results or a selection, as cards that can be pressed.

Its value is the text of `figures.gallery.gallery_payload`, or None. Pressing a card triggers `select`, whose
gr.SelectData holds the card's point as index and its title as value; nothing else asks the server.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "numbers.js", "gallery.js")
EMPTY = "Press a point of the map, draw around some of them, or search: what you find appears here."


def gallery(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws gallery payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return component("gallery", SCRIPTS, value, empty=empty, **kwargs)
