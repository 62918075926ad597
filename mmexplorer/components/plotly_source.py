"""Where the browser gets plotly.js: the file inside the installed plotly package, served by Gradio itself.

Finds the file without importing plotly; the scripts of the components load it when a figure is first seen
(plotly_loader.js).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import gradio as gr


@cache
def plotly_url() -> str:
    """The address of plotly.min.js, relative to the page, so that it holds behind a proxy's sub-path as well.

    Raises RuntimeError where plotly is not installed or has no such file.
    """
    package = find_spec("plotly")
    file = package and Path(package.origin).parent / "package_data" / "plotly.min.js"
    if not file or not file.is_file():
        raise RuntimeError("The plotly package with its plotly.min.js is missing; the requirements name its version.")
    gr.set_static_paths(file)
    return f"gradio_api/file={file.resolve().as_posix()}"
