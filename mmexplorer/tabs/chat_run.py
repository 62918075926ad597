"""What the chat tab does with a conversation: asks, streams the answer, and takes back or changes what was said.

A Refusal becomes a toast and a line in the status slot, and the question goes back to where it was typed.
"""

import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType

import gradio as gr

from mmexplorer.errors import Refusal
from mmexplorer.explore import chat
from mmexplorer.hub import Stopped
from mmexplorer.presets import preset
from mmexplorer.replies import ChatEvent, Reply, Turn
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs import chat_show as show
from mmexplorer.tabs.chat_session import Exchange, Talk, messages
from mmexplorer.tabs.chat_stream import newest
from mmexplorer.tabs.event_numbers import number_of
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.status import IDLE, loading, message, told

# What changes while an answer is written. Gradio builds every other output anew with each update, changed or not, and
# that takes from the model's time; what has to change once goes through `filling`, a state whose change fills them.
STREAMED = ("status", "chatbot", "talk", "written", "filling")
FILLED = ("question", "strip", "seed", "meta")
SHOWN = ("status", "written", "meta", *show.OUTPUTS)
OUTPUTS = (*STREAMED, *FILLED, *show.OUTPUTS)
Strip = Sequence[tuple[str, str | None]] | None  # files and captions, as gr.Gallery gives them
NOTHING_YET = message("There is no question to ask again yet.", "note")


def only(names: Sequence[str] = OUTPUTS, **values) -> tuple:
    """Values for some of the named outputs; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in names)


def filling(**values) -> dict:
    """What some of FILLED show from now on; the moment makes it differ from an earlier one with the same values."""
    return {"moment": time.monotonic_ns(), **values}


def filled(values: dict) -> tuple:
    """The FILLED as the answer that is being written wants them."""
    return only(FILLED, **values)


def ask(
    question: str, strip: Strip, model, temperature, top_p, most, seed, talk: Talk, truths: dict, request: gr.Request
) -> Iterator[tuple]:
    """Answers the question in the box about the pictures in the strip, and all that was said before."""
    back = {"question": session.typed(question), "strip": strip or []}
    talk = talk if not talk or talk[-1].reply else talk[:-1]  # the last question may still be waiting for its answer
    asked = None

    def read(job: Job) -> Iterator[tuple]:
        nonlocal asked
        files = [file for file, _ in strip or ()]
        said = (*session.turns(talk), Turn("assistant", talk[-1].reply.text)) if talk else ()
        new = Turn("user", back["question"], files)
        opened = yield from told(lambda _: chat.conversation((*said, new)), lambda: "Reading the pictures.", _show, job)
        if job.is_set():
            raise Stopped
        asked = session.new_exchange(new.text, opened[-1].pictures)

    yield from session.JOBS.updates(request.session_hash, "question", read, _show)
    if asked:
        yield from _answer(talk, asked, _settings(model, temperature, top_p, most, seed), request, talk, truths, back)


def retry(model, temperature, top_p, most, seed, talk: Talk, truths: dict, request: gr.Request) -> Iterator[tuple]:
    """Asks the last question again; where tokens are drawn at random, with the next seed."""
    if not talk:
        yield _said(status=NOTHING_YET)
        return
    seed = int(seed or 0) + bool(temperature)
    settings = _settings(model, temperature, top_p, most, seed)
    yield from _answer(talk[:-1], talk[-1].unanswered(), settings, request, talk, truths, seed=seed)


def edit(
    model, temperature, top_p, most, seed, talk: Talk, truths: dict, event: gr.EditData, request: gr.Request
) -> Iterator[tuple]:
    """Asks an earlier question in other words; what was said after it is gone."""
    number = session.exchange_of(number_of(event, "index", sys.maxsize), talk)
    asked = talk[number].unanswered(question=session.typed(event.value))
    settings = _settings(model, temperature, top_p, most, seed)
    yield from _answer(talk[:number], asked, settings, request, talk, truths)


def force(which: int | None, talk: Talk, truths: dict, event: gr.EventData, request: gr.Request) -> Iterator[tuple]:
    """Writes an answer again with another token at one position; what was said after it is gone."""
    number = session.chosen(talk, which)
    if number is None:
        raise Refusal("There is no answer yet that another token could be put into.")
    reply = talk[number].reply
    position, token = number_of(event, "position", len(reply.tokens)), number_of(event, "id", sys.maxsize)
    kept = {place: other for place, other in reply.settings.get("forced", {}).items() if place < position}
    settings = reply.settings | {"forced": kept | {position: token}, "model": reply.model}
    yield from _answer(talk[:number], talk[number].unanswered(), settings, request, talk, truths)


def undo(talk: Talk, truths: dict, request: gr.Request) -> tuple:
    """Takes the last question back into the box, its pictures into the strip."""
    session.JOBS.end(request.session_hash)
    if not talk:
        return only(status=NOTHING_YET)
    rest, last = talk[:-1], talk[-1]
    session.forget((last,))
    back = {"question": last.question, "strip": [(picture, None) for picture in last.pictures]}
    number = session.chosen(rest, None)
    status, meta = IDLE, ""
    if number is not None:  # the views are of an earlier answer then
        status, meta = message(show.summary(rest[number].reply)), show.counts(rest[number].reply)
    views = show.answer(rest, number, truths)
    return only(status=status, meta=meta, chatbot=messages(rest), talk=rest, written=False, **back, **views)


def clear(talk: Talk, request: gr.Request, **values) -> tuple:
    """Begins anew with these values, and gives back what was kept for this conversation."""
    session.JOBS.end(request.session_hash)
    session.forget(talk)
    return only(**{"status": IDLE, "chatbot": [], "talk": (), "written": False, "meta": "", **show.nothing(), **values})


def show_other(which: int, talk: Talk, truths: dict, request: gr.Request) -> tuple:
    """Another answer of the conversation in the views below it."""
    number = session.chosen(talk, which)
    if number is None:
        return only(status=IDLE)
    session.JOBS.supersede(request.session_hash, *session.VIEWS)
    reply = talk[number].reply
    return only(status=message(show.summary(reply)), meta=show.counts(reply), **show.answer(talk, number, truths))


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

    def work(job: Job) -> Iterator[tuple]:
        cleared = {"question": "", "strip": []} if back else {}
        begun = filling(meta="", **cleared, **values)
        yield _said(talk=talk, chatbot=messages(talk), written=False, filling=begun)
        try:
            reply = yield from _streamed(talk, settings, job)
            if not reply.tokens:
                raise Stopped
        except Exception:
            yield _said(talk=was, chatbot=messages(was), filling=filling(**back))
            raise
        done = session.answered(talk, reply)
        session.forget(was[len(before) :])
        drawing = message("Drawing what it looked at.", "busy")
        yield _said(talk=done, chatbot=messages(done), written=True, status=drawing)

    yield from session.JOBS.updates(request.session_hash, "answer", work, _show)


def show_written(written: bool, talk: Talk, truths: dict, request: gr.Request) -> Iterator[tuple]:
    """The SHOWN of an answer that has just been written; of one that failed or gave way there is nothing new."""

    def work(_: Job) -> Iterator[tuple]:
        session.JOBS.supersede(request.session_hash, *session.VIEWS)  # of the answer that leaves the page now
        said = {"status": message(show.summary(talk[-1].reply)), "meta": show.counts(talk[-1].reply)}
        yield only(SHOWN, **said, written=False, **show.answer(talk, len(talk) - 1, truths))

    if written and talk and talk[-1].reply:
        yield from session.JOBS.updates(request.session_hash, "answer", work, lambda status: only(SHOWN, status=status))
    else:
        yield only(SHOWN)


def _streamed(talk: Talk, settings: Mapping, job: Job) -> Generator[tuple, None, Reply]:
    """The updates while the answer to the last question is written; returns the reply."""
    ready = [preset(settings["model"])]
    with closing(newest(lambda _: _events(talk, settings, job), job)) as stream:
        while True:
            try:
                event = next(stream)
            except StopIteration as end:
                return end.value.reply
            if event is None:
                yield _show(message(loading(ready, "Reading the question."), "busy"))
            else:
                # Words that come are sign of life enough; a pulse would have the browser paint sixty times a second,
                # taking from the model's time where both share a processor.
                status = message("Answering.", "busy mmx-still")
                yield _said(status=status, chatbot=messages(talk, event.text))


def _events(talk: Talk, settings: Mapping, job: Job) -> Iterator[ChatEvent]:
    """The answer's events; of an answer that nobody waits for any more the model need not keep anything."""
    for event in chat.chat(session.turns(talk), **settings, stop=job):
        yield event
    if not job.wanted:
        chat.forget(event.reply)


def _said(**values) -> tuple:
    return only(STREAMED, **values)


def _show(status: str) -> tuple:
    return _said(status=status)


def _settings(model: str, temperature, top_p, most, seed) -> dict:
    return {
        "model": model,
        "temperature": float(temperature or 0),
        "top_p": float(top_p or 1),
        "max_new_tokens": int(most or 1),
        "seed": int(seed or 0),
    }
