"""A component of this page: markup, a style and scripts that lie beside this file, as one gr.HTML.

It does not know what is drawn, nor what a value means.
"""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent


def beside(name: str) -> str:
    """The text of a file of this folder."""
    return (HERE / name).read_text(encoding="utf-8")


def style(name: str) -> str:
    """The style of a component: that of every panel of this page, then its own."""
    return beside("panel.css") + beside(f"{name}.css")


def component(name: str, scripts: tuple[str, ...], value: str | None = None, **kwargs) -> gr.HTML:
    """A gr.HTML with the markup NAME.html, the style NAME.css and the scripts, which share one function, in order.

    Keyword arguments go to gr.HTML (elem_id, visible, ...); those that it does not know become props of the scripts.
    """
    return gr.HTML(
        value,
        html_template=beside(f"{name}.html"),
        css_template=style(name),
        js_on_load="\n".join(map(beside, scripts)),
        apply_default_css=False,
        **kwargs,
    )
