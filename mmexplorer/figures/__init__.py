"""Pure functions from a result to something a browser can draw; no Gradio, no torch."""
