"""The tab's public endpoint, /chat, for gradio_client and plain HTTP.

It goes through hidden components rather than `gr.api`, so that Gradio checks that files are uploads of the caller. The
answer is streamed; nothing of it is kept for the caller.
"""

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import gradio as gr

from mmexplorer.errors import Refusal
from mmexplorer.explore.chat import chat, forget
from mmexplorer.figures.viewer import grounding_npz
from mmexplorer.replies import ChatEvent, Reply, Turn
from mmexplorer.tabs.chat_stream import newest
from mmexplorer.tabs.workers import WORKERS

POSITION = re.compile("[0-9]{1,9}")


def add() -> None:
    """Adds the hidden inputs, output and listener of the endpoint to the page that is being built."""
    with gr.Group(visible=False):
        images = gr.File(file_count="multiple", label="images")
        turns = gr.JSON(label="turns")
        model = gr.Textbox("toy-llava", label="model")
        max_new_tokens = gr.Number(128, label="max_new_tokens", precision=0)
        temperature = gr.Number(0.0, label="temperature")
        top_p = gr.Number(1.0, label="top_p")
        seed = gr.Number(0, label="seed", precision=0)
        forced = gr.JSON({}, label="forced")
        answer = gr.JSON(label="reply")
        ask = gr.Button()
    given = [images, turns, model, max_new_tokens, temperature, top_p, seed, forced]
    ask.click(_chat, given, answer, api_name="chat", concurrency_limit=4)


def _chat(images, turns, model, max_new_tokens, temperature, top_p, seed, forced) -> Iterator[dict]:
    """`mmexplorer.chat` over the wire: {"text": the answer so far} again and again, and at the end all of the reply.

    turns is a question, or a list of [role, text] or [role, text, numbers of its images, from 0]. Where no turn has
    numbers, all images belong to the first.
    """
    asked = _turns(images or [], turns)
    settings = {
        "model": str(model),
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "forced": _forced(forced),
    }

    def answered(stop: threading.Event) -> Iterator[ChatEvent]:
        for event in chat(asked, **settings, stop=stop):
            if event.reply:  # also of a caller who is gone
                WORKERS.submit(partial(forget, event.reply))  # which waits for the device
            yield event

    with closing(newest(answered, threading.Event())) as events:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                reply = end.value.reply
                break
            yield {"text": event.text if event else ""}
    yield _plain(reply)


def _turns(images: list[str], turns) -> list[Turn]:
    """The turns with the files of their pictures; what the texts say is for `chat` to judge."""
    listed = [["user", turns]] if isinstance(turns, str) else turns
    if not isinstance(listed, list) or not all(isinstance(turn, list) and len(turn) in (2, 3) for turn in listed):
        raise Refusal('turns must be a question, or a list of turns such as ["user", "what is this?"].')
    numbered = any(len(turn) == 3 for turn in listed)
    said = []
    for i, (role, text, *numbers) in enumerate(listed):
        first = [*range(len(images))] if i == 0 and not numbered else []
        said.append(Turn(role, text, _numbered(images, numbers[0] if numbers else first)))
    return said


def _numbered(images: list[str], numbers) -> list[str]:
    """The files of those numbers."""
    if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < len(images) for n in numbers):
        raise Refusal(f"A turn names its pictures by their numbers in images, from 0, and there are {len(images):,}.")
    return [images[number] for number in numbers]


def _forced(forced):
    """Positions as numbers, which JSON writes as texts."""
    if not isinstance(forced, dict):
        return forced
    return {int(place) if POSITION.fullmatch(place) else place: token for place, token in forced.items()}


def _plain(reply: Reply) -> dict:
    words = reply.attention.words if reply.attention else ()
    grounding = reply.grounding
    return {
        "text": reply.text,
        "tokens": [
            {
                "id": token.id,
                "text": token.text,
                "probability": token.probability,
                "alternatives": [
                    {"id": other, "text": text, "probability": probability}
                    for other, text, probability in token.alternatives
                ],
            }
            for token in reply.tokens
        ],
        "ended": reply.ended,
        "model": reply.model,
        "settings": reply.settings | {"forced": {str(k): v for k, v in reply.settings["forced"].items()}},
        "text_tokens": reply.text_tokens,
        "image_tokens": reply.image_tokens,
        "seconds": reply.seconds,
        "remarks": list(reply.remarks),
        "words": [{"text": word.text, "role": word.role} for word in words],
        "npz": base64.b64encode(grounding_npz(grounding)).decode("ascii") if grounding else "",
    }
