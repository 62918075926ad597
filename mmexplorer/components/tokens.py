"""An answer as its tokens in flowing text: how likely each one was, what else was likely, and a way to go on with that.

Its value is the text of `figures.tokens.tokens_payload`, or None. Pressing "Continue" beside another token triggers
`force` with the token's position in the answer, the other one's id, its place among the alternatives as index and its
text as value; nothing else asks the server.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "numbers.js", "tokens.js")
EMPTY = "Ask something: the answer's tokens appear here, with how likely each was and what else was likely."


def tokens(value: str | None = None, *, empty: str = EMPTY, **kwargs) -> gr.HTML:
    """A gr.HTML that draws token payloads; empty is its sentence without one, other arguments go to gr.HTML."""
    return component("tokens", SCRIPTS, value, empty=empty, **kwargs)
