"""What one visitor of the chat has said and heard, and how the answer that is being written for them is stopped.

A conversation is a tuple of exchanges, the newest last; nothing in it belongs to Gradio but the files of thumbnails.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from mmexplorer.explore import chat
from mmexplorer.replies import Reply, Turn
from mmexplorer.tabs.background import WORKERS

SHOWN_SIDE = 512  # pixels of the longest side of a picture in the conversation
GAP = "\u200b"  # takes no room

_jobs: dict[str, threading.Event] = {}  # the answers that are being written, by session


@dataclass(frozen=True)
class Exchange:
    """A question with its pictures, and the reply to it once there is one; files are thumbnails for the page."""

    question: str
    pictures: tuple[Image.Image, ...] = ()
    reply: Reply | None = None
    files: tuple[str, ...] = ()


def turns(exchanges: tuple[Exchange, ...]) -> tuple[Turn, ...]:
    """The conversation as the model is asked: up to the last question, whose reply is left out."""
    said: list[Turn] = []
    for exchange in exchanges:
        said.append(Turn("user", exchange.question, exchange.pictures))
        said.append(Turn("assistant", exchange.reply.text if exchange.reply else ""))
    return tuple(said[:-1])


def messages(exchanges: tuple[Exchange, ...], writing: str | None = None) -> list[dict]:
    """The conversation as gr.Chatbot shows it; `writing` is the answer in the making to the last question.

    Pictures are messages of their own, because gr.Chatbot cannot edit one that holds both.
    """
    shown = []
    for exchange in exchanges:
        for file, picture in zip(exchange.files, exchange.pictures, strict=True):
            if not Path(file).exists():  # uploads are deleted after an hour
                _thumbnail(picture)
            shown.append({"role": "user", "content": {"path": file, "alt_text": "The visitor's picture"}})
        shown.append({"role": "user", "content": _literal(exchange.question)})
        if exchange.reply:
            shown.append({"role": "assistant", "content": _literal(exchange.reply.text)})
    if writing:
        shown.append({"role": "assistant", "content": _literal(writing)})
    return shown


def exchange_of(index: int, exchanges: tuple[Exchange, ...]) -> int:
    """Which exchange the message of that index among `messages` belongs to."""
    stop = 0
    for number, exchange in enumerate(exchanges):
        stop += len(exchange.pictures) + 1 + (exchange.reply is not None)
        if index < stop:
            return number
    return len(exchanges) - 1


def _literal(text: str) -> str:
    """The text in a form that gr.Chatbot cannot take for markup: no letter follows "<" or "&" at once."""
    return text.replace("&", f"&{GAP}").replace("<", f"<{GAP}")


def typed(text: str) -> str:
    """What a visitor made of a text that was shown."""
    return text.replace(GAP, "")


def newest_picture(exchanges: tuple[Exchange, ...]) -> int:
    """The number, counted from 0, of the first picture of the last question that came with any."""
    counts = [len(exchange.pictures) for exchange in exchanges]
    last = max((number for number, count in enumerate(counts) if count), default=0)
    return sum(counts[:last])


def chosen(talk: tuple[Exchange, ...], which: int | None) -> int | None:
    """The number of the exchange that is shown: the chosen one if it is answered, else the newest answered one."""
    answered = [number for number, exchange in enumerate(talk) if exchange.reply]
    return which if which in answered else answered[-1] if answered else None


def new_exchange(question: str, pictures: tuple[Image.Image, ...]) -> Exchange:
    """A question that waits for its reply."""
    return Exchange(question, pictures, files=tuple(map(_thumbnail, pictures)))


def _thumbnail(picture: Image.Image) -> str:
    """A small copy among the uploads, from where the server hands files to whoever knows; always under one name."""
    small = picture.copy()
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    kind = "png" if max(picture.size) <= SHOWN_SIDE else "jpeg"
    return save_pil_to_cache(small, get_upload_folder(), name="picture", format=kind)


@contextmanager
def job(session: str | None) -> Iterator[threading.Event]:
    """An event that `stop` sets, for as long as the block lasts; an older job of the session is superseded."""
    event = threading.Event()
    supersede(session)
    _jobs[session] = event
    try:
        yield event
    finally:
        if _jobs.get(session) is event:
            del _jobs[session]


def is_current(session: str | None, event: threading.Event) -> bool:
    """Whether a job may still write to the page; one that was superseded may not."""
    return _jobs.get(session) is event


def supersede(session: str | None) -> None:
    """Ends the job of a session, whose result nobody wants any more."""
    event = _jobs.pop(session, None)
    if event is not None:
        event.set()


def stop(session: str | None) -> None:
    """Asks the job of a session, if there is one, to end with what it has."""
    event = _jobs.get(session)
    if event is not None:
        event.set()


def stop_of(request: gr.Request) -> None:
    """Asks the visitor's running answer to end with what it has."""
    stop(request.session_hash)


def forget(exchanges: tuple[Exchange, ...]) -> None:
    """Gives back what models still keep of a conversation, without waiting for whoever has the device."""
    replies = [exchange.reply for exchange in exchanges if exchange.reply]
    if replies:
        WORKERS.submit(lambda: [chat.forget(reply) for reply in replies])
