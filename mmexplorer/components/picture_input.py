"""A picture input that hands over the uploaded file as it is, so that one place decides what can be read.

Gradio's own image input decodes files before any handler runs, and answers a damaged one with its decoder's error.
"""

import gradio as gr


class PictureInput(gr.Image):
    """gr.Image whose handlers receive the path of the uploaded file, or None."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, type="filepath", image_mode=None, format="png", **kwargs)

    def preprocess(self, payload):
        """The path of the file in Gradio's upload folder; Gradio itself checks that it lies there."""
        if payload is None or not payload.path:
            return None
        return payload.path
