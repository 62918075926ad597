"""The five steps of one zero-shot classification, with the picture's own numbers.

Its value is the text of `figures.steps.steps_payload`, or None before the first result; choosing a label to follow
through the steps asks the server nothing.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "numbers.js", "steps.js")


def steps(**kwargs) -> gr.HTML:
    """A gr.HTML that draws step payloads; keyword arguments (value, elem_id, visible, ...) go to gr.HTML."""
    return component("steps", SCRIPTS, **kwargs)
