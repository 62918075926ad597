"""An invisible mark on the page that triggers `seen` once, when it first comes into view."""

import gradio as gr

WATCH = """
const observer = new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  trigger('seen');
});
observer.observe(element);
"""


def mark() -> gr.HTML:
    """A gr.HTML that takes no room; what listens to its `seen` costs nothing before somebody looks."""
    return gr.HTML('<div style="height:1px"></div>', js_on_load=WATCH, apply_default_css=False, elem_classes="mmx-mark")
