"""Chat: a conversation about pictures, answered token by token, with what every word looked at.

Checks what people ask before any model is loaded, holds the model only while it answers, and never imports torch
itself.
"""

import math
import operator
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from mmexplorer import residency, runtime
from mmexplorer.errors import Refusal
from mmexplorer.explore.chat_views import ground
from mmexplorer.hub import Stopped
from mmexplorer.lending import lent
from mmexplorer.pictures import PictureSource, open_picture
from mmexplorer.presets import able, preset
from mmexplorer.replies import ChatEvent, Reply, TokenChoice, Turn

# All of a conversation together; how much of that fits into a model's context is the model's to say.
MAX_PICTURES = 16
MAX_TURNS = 200
MAX_CHARACTERS = 50_000
MAX_NEW_TOKENS = 1_024
TEMPERATURES = (0.01, 10.0)  # and 0; colder than that is as good as 0 and divides by next to nothing

Turns = Sequence[Turn | tuple]


def chat(
    turns: Turns,
    *,
    model: str = "toy-llava",
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    forced: Mapping[int, int] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[ChatEvent]:
    """Answers a conversation, token by token: an event when it has been read, one for each token, one with the reply.

    turns are (role, text) or (role, text, pictures), from "user" over "assistant" to "user". temperature 0 takes the
    likeliest token; else tokens are drawn, the same ones for the same seed, from the likeliest that make up top_p.
    forced says which token id must stand at which position of the answer. Setting `stop` ends the answer before its
    next token; what is there then makes the reply. The device is held until the last event or until the iterator is
    closed, so iterate or close. Raises Refusal at once for what cannot be asked, and later for what the model cannot
    take or do.
    """
    turns = conversation(turns)
    settings = {
        "max_new_tokens": _whole("max_new_tokens", max_new_tokens, 1, MAX_NEW_TOKENS),
        "temperature": _temperature(temperature),
        "top_p": _number("top_p", top_p),
        "seed": _whole("seed", seed, 0, 2**63 - 1),
        "forced": _forced(forced),
    }
    if not 0 < settings["top_p"] <= 1:
        raise Refusal("top_p must be above 0 and at most 1.")
    able(model, "chats")
    return _events(turns, model, settings, stop)


def answer(image: PictureSource | Sequence[PictureSource] | None, question: str, **settings) -> Reply:
    """The whole reply to one question about a picture, several, or None; settings and errors are as of `chat`."""
    *_, last = chat([Turn("user", question, image)], **settings)
    return last.reply


def forget(reply: Reply) -> None:
    """Lets go of what the model still keeps of an answer; waits for the device, but loads no model."""
    if reply.handle and any(loaded.key == reply.model for loaded in residency.loaded()):
        with residency.use(reply.model) as llava:
            llava.forget(reply.handle)


def conversation(turns: Turns) -> tuple[Turn, ...]:
    """The turns as models take them: checked, their pictures opened; Refusal for what is no conversation or too much.

    The pictures of a turn may be a sequence, a single one or None.
    """
    listed = [_turn(turn) for turn in turns] if isinstance(turns, Sequence) and not isinstance(turns, str) else []
    roles = [turn.role for turn in listed]
    if len(listed) % 2 == 0 or roles != [("user", "assistant")[i % 2] for i in range(len(listed))]:
        raise Refusal("A conversation goes user, assistant, user and so on, and ends with the user.")
    if not listed[-1].text.strip() and not listed[-1].pictures:
        raise Refusal("Type a question or add a picture first.")
    counts = {
        "turns": (len(listed), MAX_TURNS),
        "pictures": (sum(len(turn.pictures) for turn in listed), MAX_PICTURES),
        "characters": (sum(len(turn.text) for turn in listed), MAX_CHARACTERS),
    }
    for what, (count, most) in counts.items():
        if count > most:
            raise Refusal(f"A conversation has at most {most:,} {what}, and this one has {count:,}; shorten it.")
    numbers = iter(range(1, MAX_PICTURES + 1))
    return tuple(
        turn._replace(pictures=tuple(_opened(picture, next(numbers)) for picture in turn.pictures)) for turn in listed
    )


def _turn(turn: Turn | tuple) -> Turn:
    """One turn with its pictures in a tuple, not opened yet."""
    if isinstance(turn, str) or not isinstance(turn, Sequence) or len(turn) not in (2, 3):
        raise Refusal('A turn is a role and a text, such as ("user", "what is this?"), and pictures if there are any.')
    role, text, pictures = Turn(*turn)
    if not isinstance(role, str) or not isinstance(text, str):
        raise Refusal("The role and the text of a turn must be texts.")
    if pictures is None:
        pictures = ()
    elif not isinstance(pictures, Sequence) or isinstance(pictures, str | bytes | bytearray | memoryview):
        pictures = (pictures,)
    return Turn(role, text.encode("utf-8", "replace").decode(), tuple(pictures))


def _opened(source: PictureSource, number: int) -> Image.Image:
    return open_picture(source, "" if isinstance(source, str | Path) else f"Picture {number}")


def _events(
    turns: tuple[Turn, ...], model: str, settings: dict, stop: threading.Event | None
) -> Generator[ChatEvent, None, None]:
    try:
        reply = yield from _answered(turns, model, settings, stop)
    except Stopped:  # before the model could be had
        reply = Reply("", (), ended="stopped", model=model, settings=settings)
    # Without the device, and without anything here that would keep the model in memory.
    if reply.attention is not None and reply.attention.words:
        reply = replace(reply, grounding=ground(reply.attention))
    yield ChatEvent(reply.text, text_tokens=reply.text_tokens, image_tokens=reply.image_tokens, reply=reply)


@lent(lambda asked: 10 + asked["settings"]["max_new_tokens"] / 10)
def _answered(
    turns: tuple[Turn, ...], model: str, settings: dict, stop: threading.Event | None
) -> Generator[ChatEvent, None, Reply]:
    """The events but the last, with the device held; returns the reply without its grounding."""
    with residency.use(model, stop) as llava:
        try:
            started = time.perf_counter()
            prompt = llava.prompt(turns)
            generation = llava.generate(prompt, **settings, stop=stop)
            counts = {"text_tokens": prompt.text_tokens, "image_tokens": prompt.image_tokens}
            tokens, text = [], ""
            try:
                token, seconds = next(generation, None), time.perf_counter() - started
                yield ChatEvent(**counts)
                while token is not None:
                    tokens.append(token)
                    text += token.text
                    yield ChatEvent(text, token, **counts)
                    # What the caller does between two tokens is not the model's time.
                    started = time.perf_counter()
                    token = next(generation, None)
                    seconds += time.perf_counter() - started
                remarks = [*_remarks(prompt, model), *_unforced(settings["forced"], tokens)]
                started = time.perf_counter()
                attention = _attention(llava, prompt, generation, turns, remarks)
                return Reply(
                    text=llava.decode(generation.ids),
                    tokens=tuple(tokens),
                    attention=attention and replace(attention, model=model),
                    ended=generation.ended,
                    model=model,
                    settings=settings,
                    **counts,
                    seconds=seconds,
                    attention_seconds=time.perf_counter() - started,
                    remarks=tuple(remarks),
                    handle=llava.keep(prompt, generation),
                )
            finally:
                generation.release()
        except Exception as error:
            if runtime.out_of_memory(error):
                llava.forget()  # what is kept of earlier answers must not stand in the next one's way
            raise


def _attention(llava, prompt, generation, turns: tuple[Turn, ...], remarks: list[str]):
    """The answer's attention; an answer that is there is not lost because its maps do not fit into memory."""
    try:
        attention = llava.attention(prompt, generation, [picture for turn in turns for picture in turn.pictures])
    except Exception as error:
        if not runtime.out_of_memory(error):
            raise
        llava.forget()
        remarks.append("There was not enough memory for the maps of this answer.")
        return None
    questions = [segment for segment in prompt.segments if segment.role == "question"]
    words = [word for word in attention.words if word.role == "question"] if attention else []
    if words and words[0].tokens[0] > questions[-1].start:
        remarks.append(f"The question is long; of its words the last {len(words):,} have maps.")
    return attention


def _remarks(prompt, model: str) -> Iterator[str]:
    """What was read otherwise than it was typed."""
    if prompt.unknown_words:
        yield f"{preset(model).label} has no token for {_listed(prompt.unknown_words)}, and reads a blank instead."
    if prompt.neutralised:
        yield f"{_listed(prompt.neutralised)} would steer the model, and was read as plain text."


def _listed(texts: Sequence[str], count: int = 5) -> str:
    shown = ", ".join(f"“{text[:40]}”" for text in texts[:count])
    return f"{shown} and {len(texts) - count:,} more" if len(texts) > count else shown


def _unforced(forced: dict[int, int], tokens: Sequence[TokenChoice]) -> Iterator[str]:
    late = sorted(position for position in forced if position >= len(tokens))
    if late:
        yield f"The answer ended after {len(tokens):,} tokens, before position {late[0]:,}, where one was to be forced."


def _whole(name: str, value, least: int, most: int) -> int:
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        number = operator.index(number)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not least <= number <= most:
        raise Refusal(f"{name} must be a whole number from {least:,} to {most:,}.")
    return number


def _number(name: str, value) -> float:
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Refusal(f"{name} must be a number.")
    return number


def _temperature(value) -> float:
    number, (least, most) = _number("temperature", value), TEMPERATURES
    if number != 0 and not least <= number <= most:
        raise Refusal(f"temperature must be 0, for the likeliest token, or from {least:g} to {most:g}.")
    return number


def _forced(forced: Mapping[int, int] | None) -> dict[int, int]:
    if forced is not None and not isinstance(forced, Mapping):
        raise Refusal("forced must give a token id for each position, such as {2: 17}.")
    return {
        _whole("A forced position", position, 0, MAX_NEW_TOKENS - 1): _whole("A forced token", token, 0, 2**31)
        for position, token in (forced or {}).items()
    }
