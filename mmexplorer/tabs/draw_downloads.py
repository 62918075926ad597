"""The drawing on the page as a file: PNG with its settings, GIF of the steps, NumPy archive of the maps, or JSON."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr

from mmexplorer.drawings import Drawing
from mmexplorer.figures.drawing_file import drawing_facts, drawing_png, maps_npz, previews_gif
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.tabs.status import message
from mmexplorer.tabs.take_file import take_file

NOTHING = message("There is no picture to download yet.", "note")
NO_MAPS = message("This picture was drawn without word maps.", "note")


def wire(buttons: dict[str, gr.Button], drawing: gr.State, status: gr.HTML) -> None:
    """Connects the buttons, whose keys are those of WRITERS."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    file = gr.File(visible="hidden", elem_id="draw-written")
    for kind, button in buttons.items():
        take_file(button.click(writer(kind), drawing, [file, status], **private), file)


def as_json(drawing: Drawing) -> bytes:
    """Settings and numbers, indented."""
    return json.dumps(drawing_facts(drawing), indent=1, ensure_ascii=False).encode()


WRITERS = {"png": drawing_png, "gif": previews_gif, "npz": maps_npz, "json": as_json}


def writer(kind: str) -> Callable[[Shelved[Drawing] | None], Iterator[tuple]]:
    """A listener that writes the drawing as a file of that kind: updates of (file, status)."""

    def written(kept: Shelved[Drawing] | None) -> Iterator[tuple]:
        drawing = kept and kept.value
        if drawing is None or (kind == "npz" and drawing.word_maps is None):
            yield None, NOTHING if drawing is None else NO_MAPS
            return
        with TemporaryDirectory() as folder:  # Gradio copies the file before it asks for the next update
            file = Path(folder) / f"{stem(drawing)}.{kind}"
            file.write_bytes(WRITERS[kind](drawing))
            yield str(file), message(f"Written to {file.name}.")

    return written


def stem(drawing: Drawing) -> str:
    """A file's name for a drawing: its prompt's first letters and digits, and its seed."""
    letters = "".join(c if c.isascii() and c.isalnum() else " " for c in drawing.settings["prompt"].lower())
    return f"{'-'.join(letters.split())[:60] or 'drawing'}-{drawing.settings['seed']}"
