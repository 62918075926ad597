"""What one visitor of the chat has said and heard, and how the answer that is being written for them is stopped.

A conversation is a tuple of exchanges, the newest last; nothing in it belongs to Gradio but the files of thumbnails.
Its pictures and maps are on the disk.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import chat
from mmexplorer.replies import Attention, Reply, Turn
from mmexplorer.tabs.jobs import Jobs
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.tabs.workers import WORKERS

SHOWN_SIDE = 512  # pixels of the longest side of a picture in the conversation
GAP = "\u200b"  # takes no room

MAPS_BYTES = 2**29  # of maps that a conversation keeps on the disk; those of the newest answer stay, however large
MAPS_GONE = "The maps of this answer made room for those of newer ones."
JOBS = Jobs()
# Kinds of jobs, beside "question" and "answer": what is shown of the answer that is on the page.
VIEWS = ("viewer", "causal", "lens", "tower")


@dataclass(frozen=True, eq=False)
class Exchange:
    """A question with its pictures, and the reply to it once there is one.

    files are the pictures' thumbnails for the page. reply lacks its maps, `attention` and `grounding`; maps are the
    attention without the pictures that it belongs to, and None where it has gone or there never was any.
    """

    question: str
    kept: Shelved[tuple[Image.Image, ...]]
    files: tuple[str, ...] = ()
    reply: Reply | None = None
    maps: Shelved[Attention] | None = None

    @property
    def pictures(self) -> tuple[Image.Image, ...]:
        """The pictures in full size."""
        return self.kept.value

    def unanswered(self, **changes) -> "Exchange":
        """The question alone, to be asked again."""
        return replace(self, reply=None, maps=None, **changes)


Talk = tuple[Exchange, ...]


def turns(exchanges: Talk) -> tuple[Turn, ...]:
    """The conversation as the model is asked: up to the last question, whose reply is left out."""
    said: list[Turn] = []
    for exchange in exchanges:
        said.append(Turn("user", exchange.question, exchange.pictures))
        said.append(Turn("assistant", exchange.reply.text if exchange.reply else ""))
    return tuple(said[:-1])


def messages(exchanges: Talk, writing: str | None = None) -> list[dict]:
    """The conversation as gr.Chatbot shows it; `writing` is the answer in the making to the last question.

    Pictures are messages of their own, because gr.Chatbot cannot edit one that holds both.
    """
    shown = []
    for exchange in exchanges:
        for index, file in enumerate(exchange.files):
            if not Path(file).exists():  # uploads are deleted after an hour
                _thumbnail(exchange.pictures[index])
            shown.append({"role": "user", "content": {"path": file, "alt_text": "The visitor's picture"}})
        shown.append({"role": "user", "content": _literal(exchange.question)})
        if exchange.reply:
            shown.append({"role": "assistant", "content": _literal(exchange.reply.text)})
    if writing:
        shown.append({"role": "assistant", "content": _literal(writing)})
    return shown


def exchange_of(index: int, exchanges: Talk) -> int:
    """Which exchange the message of that index among `messages` belongs to; Refusal if none does."""
    stop = 0
    for number, exchange in enumerate(exchanges):
        stop += len(exchange.files) + 1 + (exchange.reply is not None)
        if 0 <= index < stop:
            return number
    raise Refusal("That is not in the conversation any more; choose again.")


def _literal(text: str) -> str:
    """The text in a form that gr.Chatbot cannot take for markup: no letter follows "<" or "&" at once."""
    return text.replace("&", f"&{GAP}").replace("<", f"<{GAP}")


def typed(text) -> str:
    """What a visitor typed, or made of a text that was shown, in characters that can be sent back."""
    return str(text or "").replace(GAP, "").encode("utf-8", "replace").decode().strip()


def newest_picture(exchanges: Talk) -> int:
    """The number, counted from 0, of the first picture of the last question that came with any."""
    counts = [len(exchange.files) for exchange in exchanges]
    last = max((number for number, count in enumerate(counts) if count), default=0)
    return sum(counts[:last])


def chosen(talk: Talk, which: int | None) -> int | None:
    """The number of the exchange that is shown: the chosen one if it is answered, else the newest answered one."""
    answered = [number for number, exchange in enumerate(talk) if exchange.reply]
    return which if which in answered else answered[-1] if answered else None


def new_exchange(question: str, pictures: tuple[Image.Image, ...]) -> Exchange:
    """A question that waits for its reply."""
    return Exchange(question, Shelved(pictures), tuple(map(_thumbnail, pictures)))


def answered(talk: Talk, reply: Reply) -> Talk:
    """The conversation with the reply to its last question, in the memory of few pictures and MAPS_BYTES of maps.

    The oldest maps go first; their answers stay.
    """
    maps = Shelved(replace(reply.attention, images=())) if reply.attention else None
    kept = [replace(talk[-1], reply=replace(reply, attention=None, grounding=None), maps=maps)]
    room = MAPS_BYTES - (maps.bytes if maps else 0)
    for exchange in reversed(talk[:-1]):
        if exchange.maps:
            room -= exchange.maps.bytes
            if room < 0:
                remarks = (*exchange.reply.remarks, MAPS_GONE)
                exchange = replace(exchange, reply=replace(exchange.reply, remarks=remarks), maps=None)
        kept.append(exchange)
    return tuple(reversed(kept))


def with_maps(exchanges: Talk) -> Reply:
    """The last exchange's reply as the model gave it, with the maps that are still there, but without a first view."""
    reply, maps = exchanges[-1].reply, exchanges[-1].maps
    if maps is None:
        return reply
    pictures = tuple(picture for exchange in exchanges for picture in exchange.pictures)
    return replace(reply, attention=replace(maps.value, images=pictures))


def _thumbnail(picture: Image.Image) -> str:
    """A small copy among the uploads, from where the server hands files to whoever knows; always under one name."""
    small = picture.copy()
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    kind = "png" if max(picture.size) <= SHOWN_SIDE else "jpeg"
    return save_pil_to_cache(small, get_upload_folder(), name="picture", format=kind)


def stop_of(request: gr.Request) -> None:
    """Asks the visitor's running answer to end with what it has."""
    JOBS.stop(request.session_hash)


def forget(exchanges: Talk) -> None:
    """Gives back what models still keep of a conversation, without waiting for whoever has the device."""
    replies = [exchange.reply for exchange in exchanges if exchange.reply]
    if replies:
        WORKERS.submit(lambda: [chat.forget(reply) for reply in replies])
