"""Browser parts: each is a Gradio factory with its markup, style and script beside it."""
