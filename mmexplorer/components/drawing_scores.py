"""Where the markup of `figures.drawing_scores` is shown, with the style of its panel, tables and bars."""

import gradio as gr

from mmexplorer.components.component import style


def drawing_scores(value: str = "", **kwargs) -> gr.HTML:
    """A gr.HTML that shows scores; other arguments go to gr.HTML."""
    return gr.HTML(value, css_template=style("drawing_scores"), apply_default_css=False, **kwargs)
