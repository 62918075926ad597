"""What the drawing tab does when it is asked to draw: streams the steps, shows the result, and remembers it.

A Refusal becomes a toast and a line in the status slot, and what was shown before comes back.
"""

import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import gradio as gr

from mmexplorer import runtime
from mmexplorer.drawings import DrawEvent, Drawing
from mmexplorer.explore import drawing as explore
from mmexplorer.figures.film_strip import LiveStrip
from mmexplorer.presets import preset
from mmexplorer.tabs import draw_facts
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs import draw_show as show
from mmexplorer.tabs.chat_stream import newest
from mmexplorer.tabs.draw_facts import Facts
from mmexplorer.tabs.draw_gallery import gallery
from mmexplorer.tabs.draw_session import History
from mmexplorer.tabs.event_numbers import number_of
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.tabs.status import IDLE, loading, message, told

INPUTS = (
    "prompt", "negative", "model", "steps", "guidance", "scheduler", "seed", "width", "height", "pictures", "drawing",
    "history",
)  # fmt: skip
# What changes while steps are done. Gradio builds every other output anew with each update, changed or not, and that
# takes from the model's time.
STREAMED = ("status", "picture", "strip", "drawing", "history", "drawn")
OUTPUTS = ("status", *show.OUTPUTS, "history", "drawn", "earlier", "gallery", *draw_facts.OUTPUTS)
PAUSE = 0.2  # seconds between two pictures on their way to the page
MOST_PICTURES = 8


def only(names: Sequence[str] = OUTPUTS, **values) -> tuple:
    """Values for some of the named outputs; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in names)


def draw(
    prompt: str,
    negative: str,
    model: str,
    steps,
    guidance,
    scheduler: str,
    seed,
    width,
    height,
    pictures,
    drawing: Shelved[Drawing] | None,
    history: History,
    request: gr.Request,
) -> Iterator[tuple]:
    """Draws the prompt with the settings, several pictures with one seed after another; the last stays on the page.

    Where the first fails, the drawing that was on the page is shown again.
    """
    prompt = str(prompt or "")
    asked = {
        "model": model,
        "negative_prompt": str(negative or ""),
        "steps": steps or None,
        "guidance": guidance,
        "scheduler": scheduler or None,
        "width": width or None,
        "height": height or None,
    }
    count = min(max(int(pictures or 1), 1), MOST_PICTURES)
    # A drawing that this one takes the place of has left its steps on the page.
    disturbed = bool(session.JOBS.running(request.session_hash, ("drawing",)))

    def work(job: Job) -> Iterator[tuple]:
        nonlocal drawing, history, disturbed
        before = drawing
        for number in range(count):
            which = f"Picture {number + 1} of {count}: " if count > 1 else ""
            live = _Live(prompt, asked | {"seed": (seed or 0) + number}, which)
            try:
                new = yield from _streamed(live, job)
            except Exception:
                if drawing is before and (disturbed or live.events):
                    was = show.shown(drawing)
                    yield _streams(picture=was["picture"], strip=was["strip"])
                raise
            history = session.remembered(history, new)
            drawing = history[-1].whole
            image = show.guess(new.image, prompt)
            said = message(f"{which}Showing how it came about.", "busy")
            yield _streams(status=said, picture=image, drawing=drawing, history=history, drawn=True)
            if job.is_set():
                break

    yield from session.JOBS.updates(request.session_hash, "drawing", work, _show)


def show_drawn(drawn: bool, drawing: Shelved[Drawing] | None, history: History, request: gr.Request) -> Iterator[tuple]:
    """Everything about a drawing that has just been made; where none was there is nothing new."""

    def work(job: Job) -> Iterator[tuple]:
        session.JOBS.supersede(request.session_hash, "viewer")  # of the drawing that leaves the page now
        yield _finished(drawing, history)

    if drawn and drawing:
        yield from session.JOBS.updates(request.session_hash, "drawing", work, lambda status: only(status=status))
    else:
        yield only()


def show_other(history: History, event: gr.EventData, request: gr.Request) -> tuple:
    """An earlier drawing of this visit, chosen among its thumbnails, which begin with the newest."""
    chosen = history[-1 - number_of(event, "index", len(history))].whole
    session.JOBS.supersede(request.session_hash, "viewer")
    return only(status=message(show.summary(chosen.value)), **show.shown(chosen))


def learn(model: str, request: gr.Request) -> Iterator[tuple]:
    """Updates (status, draw_facts.OUTPUTS) with what a model offers, where it ships with the app and can be asked."""
    nothing = [gr.skip() for _ in draw_facts.OUTPUTS]
    if draw_facts.is_known(model) or not preset(model).is_local:
        yield gr.skip(), *nothing
        return

    def status(markup: str) -> tuple:
        return markup, *nothing

    def work(job: Job) -> Iterator[tuple]:
        ready = [preset(model)]
        yield from told(lambda stop: draw_facts.learn(model, stop), lambda: loading(ready), status, job)
        controls = draw_facts.controls(model)
        said = message(f"{preset(model).label} is loaded; the settings show what it takes.")
        yield said, *(controls[name] for name in draw_facts.OUTPUTS)

    yield from session.JOBS.updates(request.session_hash, "settings", work, status)


def clear(request: gr.Request, **values) -> tuple:
    """Nothing on the page but these values; earlier drawings stay in the history."""
    session.JOBS.end(request.session_hash)
    return only(status=IDLE, **show.shown(None) | values)


@dataclass
class _Live:
    """A drawing under way: what was asked, what the model told, and the events that the page has not yet seen."""

    prompt: str
    asked: Mapping
    which: str = ""  # of several pictures
    facts: Facts | None = None
    events: list[DrawEvent] = field(default_factory=list)

    def follow(self, job: threading.Event) -> Iterator[DrawEvent]:
        """The events as they come; runs where the model does.

        A toy's previews are decoded: that takes it next to no time, and a linear map of its latents gets colours wrong.
        """
        for event in explore.draw(self.prompt, **self.asked, stop=job):
            if event.number == 0:
                # Here the device is this thread's already, so nobody has to wait for it.
                self.facts = draw_facts.learn(self.model, job)
            if self.decodes and event.clean is not None:
                event = replace(event, preview=explore.decode([event.clean], self.model)[0])
            if self.decodes and event.drawing:
                previews = tuple(one.preview for one in self.events if one.clean is not None)
                event = replace(event, drawing=replace(event.drawing, previews=previews))
            self.events.append(event)
            yield event

    @property
    def model(self) -> str:
        return self.asked["model"]

    @property
    def decodes(self) -> bool:
        return preset(self.model).tier == "toy" and not runtime.zero_gpu()  # which would be asked for each of them


def _streamed(live: _Live, job: Job) -> Generator[tuple, None, Drawing]:
    """The updates while the steps are done; returns the drawing."""
    ready, strip, sent, last = [preset(live.asked["model"])], None, 0, 0.0
    with closing(newest(live.follow, job)) as stream:
        while True:
            try:
                event = next(stream)
            except StopIteration as end:
                return end.value.drawing
            if event is None:
                yield _show(message(loading(ready, "Reading the prompt."), "busy"))
                continue
            progress = message(live.which + _progress(event), "busy")
            if time.monotonic() - last < PAUSE or len(live.events) == sent:
                yield _show(progress)
                continue
            if strip is None:
                size = live.facts.sized(live.asked["width"], live.asked["height"])
                strip = LiveStrip(*size, guided=live.facts.guided(live.asked["guidance"]))
            # Also the events between two updates: each of them is a picture of the strip.
            unseen = live.events[sent:]  # another thread may add to them meanwhile
            payloads = [strip.payload(event) for event in unseen if event.drawing is None]
            sent, last = sent + len(unseen), time.monotonic()
            guess = {} if event.preview is None else {"picture": show.guess(event.preview, live.prompt)}
            yield _streams(status=progress, strip=payloads[-1], **guess) if payloads else _show(progress)


def _progress(event: DrawEvent) -> str:
    if event.eta is None:
        return f"Drawing in {event.total} steps."
    left = "less than a second" if event.eta < 1 else f"about {event.eta:.0f} s"
    return f"Drawing: step {event.number} of {event.total}, {left} left."


def _finished(drawing: Shelved[Drawing], history: History) -> tuple:
    """A drawing with all that is known of it, the newest of this visit."""
    return only(
        status=message(show.summary(drawing.value)),
        drawn=False,
        earlier=gr.Column(visible=True),
        gallery=gallery(history),
        **show.shown(drawing),
        **draw_facts.controls(drawing.value.model),
    )


def _streams(**values) -> tuple:
    return only(STREAMED, **values)


def _show(status: str) -> tuple:
    return _streams(status=status)
