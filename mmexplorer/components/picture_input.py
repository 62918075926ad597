"""A picture input that hands over the uploaded file as it is, so that one place decides what can be read.

Gradio's own image input decodes files before any handler runs, and answers a damaged one with its decoder's error.
"""

import gradio as gr


def picture_input(**kwargs) -> gr.Image:
    """A gr.Image whose handlers receive the path of the uploaded file, or None; keyword arguments go to gr.Image."""
    picture = gr.Image(type="filepath", image_mode=None, format="png", **kwargs)
    # On the instance, because Gradio writes a stub file beside every module that subclasses a component.
    picture.preprocess = lambda payload: payload.path if payload else None
    return picture
