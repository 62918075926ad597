"""What the chat tab does with a conversation: asks, streams the answer, and takes back or changes what was said.

A Refusal becomes a toast and a line in the status slot, and the question goes back to where it was typed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType

import gradio as gr

from mmexplorer.explore import chat
from mmexplorer.hub import Stopped
from mmexplorer.presets import preset
from mmexplorer.replies import Turn
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs import chat_show as show
from mmexplorer.tabs.chat_session import Exchange, messages
from mmexplorer.tabs.chat_stream import newest
from mmexplorer.tabs.status import IDLE, loading, message, saying_how_it_ends, told

OUTPUTS = ("status", "chatbot", "talk", "question", "strip", "meta", "seed", *show.OUTPUTS)
Talk = tuple[Exchange, ...]
Strip = Sequence[tuple[str, str | None]] | None  # files and captions, as gr.Gallery gives them
NOTHING_YET = message("There is no question to ask again yet.", "note")


def only(**values) -> tuple:
    """Values for some of OUTPUTS; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in OUTPUTS)


def ask(
    question: str, strip: Strip, model, temperature, top_p, most, seed, talk: Talk, truths: dict, request: gr.Request
) -> Iterator[tuple]:
    """Answers the question in the box about the pictures in the strip, and all that was said before."""
    back = {"question": question, "strip": strip or []}

    def work() -> Iterator[tuple]:
        files = [file for file, _ in strip or ()]
        said = (*session.turns(talk), Turn("assistant", talk[-1].reply.text)) if talk else ()
        new = Turn("user", (question or "").strip(), files)
        opened = yield from told(lambda stop: chat.conversation((*said, new)), lambda: "Reading the pictures.", _show)
        asked = session.new_exchange(new.text, opened[-1].pictures)
        settings = _settings(model, temperature, top_p, most, seed)
        yield from _answer(talk, asked, settings, request, talk, truths, back)

    yield from saying_how_it_ends(work(), _show)


def retry(model, temperature, top_p, most, seed, talk: Talk, truths: dict, request: gr.Request) -> Iterator[tuple]:
    """Asks the last question again; where tokens are drawn at random, with the next seed."""
    if not talk:
        yield only(status=NOTHING_YET)
        return
    seed = int(seed or 0) + bool(temperature)
    settings = _settings(model, temperature, top_p, most, seed)
    again = _answer(talk[:-1], replace(talk[-1], reply=None), settings, request, talk, truths, seed=seed)
    yield from saying_how_it_ends(again, _show)


def edit(
    model, temperature, top_p, most, seed, talk: Talk, truths: dict, event: gr.EditData, request: gr.Request
) -> Iterator[tuple]:
    """Asks an earlier question in other words; what was said after it is gone."""
    number = session.exchange_of(event.index, talk)
    asked = replace(talk[number], question=session.typed(event.value).strip(), reply=None)
    settings = _settings(model, temperature, top_p, most, seed)
    yield from saying_how_it_ends(_answer(talk[:number], asked, settings, request, talk, truths), _show)


def force(which: int | None, talk: Talk, truths: dict, event: gr.EventData, request: gr.Request) -> Iterator[tuple]:
    """Writes an answer again with another token at one position; what was said after it is gone."""
    number = session.chosen(talk, which)
    reply = talk[number].reply
    kept = {place: token for place, token in reply.settings.get("forced", {}).items() if place < event.position}
    settings = reply.settings | {"forced": kept | {int(event.position): int(event.id)}, "model": reply.model}
    asked = replace(talk[number], reply=None)
    yield from saying_how_it_ends(_answer(talk[:number], asked, settings, request, talk, truths), _show)


def undo(talk: Talk, truths: dict, request: gr.Request) -> tuple:
    """Takes the last question back into the box, its pictures into the strip."""
    session.supersede(request.session_hash)
    if not talk:
        return only(status=NOTHING_YET)
    rest, last = talk[:-1], talk[-1]
    back = {"question": last.question, "strip": [(picture, None) for picture in last.pictures]}
    return only(status=IDLE, chatbot=messages(rest), talk=rest, meta="", **back, **show.answer(rest, None, truths))


def clear(talk: Talk, request: gr.Request, **values) -> tuple:
    """Begins anew with these values, and gives back what was kept for this conversation."""
    session.supersede(request.session_hash)
    session.forget(talk)
    return only(**{"status": IDLE, "chatbot": [], "talk": (), "meta": "", **show.nothing(), **values})


def show_other(which: int, talk: Talk, truths: dict) -> tuple:
    """Another answer of the conversation in the views below it."""
    number = session.chosen(talk, which)
    status = IDLE if number is None else message(show.summary(talk[number].reply))
    return only(status=status, **show.answer(talk, number, truths))


def _answer(
    before: Talk,
    asked: Exchange,
    settings: Mapping,
    request: gr.Request,
    was: Talk,
    truths: dict,
    back: Mapping = MappingProxyType({}),
    **values,
) -> Iterator[tuple]:
    """Streams the reply to a question; without one the conversation is as it `was` and the inputs are given `back`."""
    talk = (*before, asked)
    ready = [preset(settings["model"])]
    with session.job(request.session_hash) as stop:
        cleared = {"question": "", "strip": []} if back else {}
        yield only(talk=talk, chatbot=messages(talk), meta="", **cleared, **values)
        try:
            event = None
            stream = newest(lambda stop: chat.chat(session.turns(talk), **settings, stop=stop), stop)
            with closing(stream):
                while True:
                    try:
                        event = next(stream)
                    except StopIteration as end:
                        reply = end.value.reply
                        break
                    if not session.is_current(request.session_hash, stop):
                        return
                    if event is None:
                        yield _show(message(loading(ready, "Reading the question."), "busy"))
                    else:
                        yield only(status=message("Answering.", "busy"), chatbot=messages(talk, event.text))
            if not session.is_current(request.session_hash, stop):
                return
            if not reply.tokens:
                raise Stopped
        except Exception:
            if session.is_current(request.session_hash, stop):
                yield only(talk=was, chatbot=messages(was), **back)
                raise
            return
        talk = (*before, replace(asked, reply=reply))
        drawing = message("Drawing what it looked at.", "busy")
        yield only(talk=talk, chatbot=messages(talk), meta=show.counts(reply), status=drawing)
        yield only(status=message(show.summary(reply)), **show.answer(talk, len(talk) - 1, truths))


def _show(status: str) -> tuple:
    return only(status=status)


def _settings(model: str, temperature, top_p, most, seed) -> dict:
    return {
        "model": model,
        "temperature": float(temperature or 0),
        "top_p": float(top_p or 1),
        "max_new_tokens": int(most or 1),
        "seed": int(seed or 0),
    }
