"""What is in memory: a line of text that opens to a panel with the device and its models.

Its value is the text of `tabs.memory_panel.payload`. `tick` says that it is time for a new one, `evict` with a `key`
that a model is to leave, and `evict_all` that all are; its prop `said` is the answer where that was refused. It does
not know what a model is.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "memory_panel.js")


def memory_panel(value: str, **kwargs) -> gr.HTML:
    """A gr.HTML that draws such a payload; other arguments go to gr.HTML."""
    return component("memory_panel", SCRIPTS, value, said="", **kwargs)
