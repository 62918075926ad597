"""Inputs for a picture: one hands over the uploaded file as it is, the other is a canvas to draw on.

One place decides what can be read: Gradio's own image input decodes files before any handler runs, and answers a
damaged one with its decoder's error.
"""

import gradio as gr

PALETTE = ["#dc1f32", "#ff8c00", "#f5d20a", "#12964a", "#1e5adc", "#8c32be", "#ff69b4", "#111111", "#808080"]

# Gradio's canvas appears with no tool in hand. This takes the brush, once for each canvas, when its tab is selected.
TAKE_BRUSH = """() => {
  const take = (tries) => {
    const brush = document.querySelector('#ELEMENT button[aria-label="Brush"]');
    if (brush && !brush.dataset.taken) {
      brush.dataset.taken = 'yes';
      brush.click();
    } else if (!brush && tries) setTimeout(take, 50, tries - 1);
  };
  take(60);
}"""


def picture_input(**kwargs) -> gr.Image:
    """A gr.Image whose handlers receive the path of the uploaded file, or None; keyword arguments go to gr.Image."""
    picture = gr.Image(type="filepath", image_mode=None, format="png", **kwargs)
    # On the instance, because Gradio writes a stub file beside every module that subclasses a component.
    picture.preprocess = lambda payload: payload.path if payload else None
    return picture


def drawing_input(tab: gr.Tab, elem_id: str) -> gr.Sketchpad:
    """A square canvas in a tab, ready to draw on; handlers receive its RGBA "composite"."""
    drawing = gr.Sketchpad(
        type="pil",
        image_mode="RGBA",
        canvas_size=(320, 320),
        fixed_canvas=True,
        layers=False,
        brush=gr.Brush(default_size=14, colors=PALETTE, default_color=PALETTE[0], color_mode="fixed"),
        show_label=False,
        transforms=(),
        buttons=[],
        elem_id=elem_id,
    )
    tab.select(None, js=TAKE_BRUSH.replace("ELEMENT", elem_id), api_visibility="private")
    return drawing
