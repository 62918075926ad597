"""A conversation of the chat tab as files: JSON, Markdown, or a ZIP with pictures and maps."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr

from mmexplorer.figures.conversation import conversation_json, conversation_markdown, conversation_zip
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs.chat_session import Talk
from mmexplorer.tabs.status import message
from mmexplorer.tabs.take_file import take_file

NOTHING = message("There is no conversation to download yet.", "note")


def wire(as_json: gr.Button, as_markdown: gr.Button, as_zip: gr.Button, talk: gr.State, status: gr.HTML) -> None:
    """Connects the buttons."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    file = gr.File(visible="hidden", elem_id="chat-file")
    writers = (
        (as_json, "conversation.json", lambda said: conversation_json(said).encode()),
        (as_markdown, "conversation.md", lambda said: conversation_markdown(said).encode()),
        (as_zip, "conversation.zip", conversation_zip),
    )
    for button, name, write in writers:
        written = button.click(_writer(name, write), talk, [file, status], **private)
        take_file(written, file)


def _writer(name: str, write: Callable) -> Callable:
    def written(talk: Talk) -> Iterator[tuple]:
        said = [
            (exchange.question, exchange.pictures, session.with_maps(talk[:number]))
            for number, exchange in enumerate(talk, 1)
            if exchange.reply
        ]
        if not said:
            yield None, NOTHING
            return
        with TemporaryDirectory() as folder:  # Gradio copies the file before it asks for the next update
            file = Path(folder) / name
            file.write_bytes(write(said))
            yield str(file), message(f"{len(said)} answer{'s' if len(said) > 1 else ''} written to {name}.")

    return written
