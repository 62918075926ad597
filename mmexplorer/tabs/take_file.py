"""Hands a file that a listener has just written to the browser's downloads."""

import gradio as gr

TAKE = """(file) => {
  if (!file) return;
  const link = Object.assign(document.createElement('a'), { href: file.url, download: file.orig_name });
  document.body.append(link);
  link.click();
  link.remove();
}"""


def take_file(written: gr.events.Dependency, file: gr.File) -> None:
    """After `written`, a listener with the hidden `file` among its outputs, the browser saves that file, if any."""
    written.success(None, file, None, js=TAKE, api_visibility="private", show_progress="hidden")
