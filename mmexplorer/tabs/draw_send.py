"""Hands the drawn picture to another tab, whose input it becomes, and opens that tab."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.tabs.draw_downloads import stem
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.tabs.shell import Page
from mmexplorer.tabs.status import message

NOTHING = message("There is no picture to send yet; draw one first.", "note")
SIDE = 256  # as large as drawn scenes are shown; smaller pictures are enlarged, each pixel to a square


def wire(button: gr.Button, tab: str, drawing: gr.State, status: gr.HTML, page: Page) -> None:
    """Connects a button; `tab` is one of `page.pictures_go_to`."""
    components, fill = page.pictures_go_to[tab]

    def send(kept: Shelved[Drawing] | None) -> Iterator[tuple]:
        if kept is None:
            yield *(gr.skip() for _ in components), gr.skip(), NOTHING
            return
        drawing = kept.value
        with TemporaryDirectory() as folder:  # Gradio copies the file before it asks for the next update
            file = Path(folder) / f"{stem(drawing)}.png"
            enlarged(drawing.image).save(file)
            yield *fill([str(file)]), gr.Tabs(selected=tab), message("The picture was sent to the other tab.")

    button.click(send, drawing, [*components, page.tabs, status], api_visibility="private", show_progress="hidden")


def enlarged(image: Image.Image) -> Image.Image:
    """The picture, a small one enlarged to about SIDE."""
    factor = max(1, SIDE // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
