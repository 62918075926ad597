"""The look of the chat tab's own corners: its conversation, its strip of pictures and its causal check."""

from pathlib import Path

import gradio as gr


def style() -> gr.HTML:
    """An invisible gr.HTML that brings the style sheet beside this file to the page."""
    css = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    return gr.HTML(f"<style>{css}</style>", visible="hidden", apply_default_css=False)
