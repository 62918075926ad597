"""A chart: draws the JSON of any Plotly figure in the page's own colours, and moves through its frames.

Its value is the text of a figure, as `figures.charts.figure_text` writes it, or None. A slider and buttons that the
figure brings become ordinary controls, for keyboards and screen readers as well; they ask the server nothing. It knows
nothing of what is drawn.
"""

import gradio as gr

from mmexplorer.components.component import component

SCRIPTS = ("elements.js", "plotly_loader.js", "chart.js")


def chart(value: str | None = None, *, plotly_url: str, empty: str = "", **kwargs) -> gr.HTML:
    """A gr.HTML that draws a figure once it comes into view.

    plotly_url: where the page finds plotly.js, from `plotly_source.plotly_url`. empty: a sentence shown while there is
    no figure; it can be updated like the value. Keyword arguments (elem_id, visible, ...) go to gr.HTML.
    """
    return component("chart", SCRIPTS, value, plotly_url=plotly_url, empty=empty, **kwargs)
