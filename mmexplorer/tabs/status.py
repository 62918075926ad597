"""The status line of a tab: what is going on, how it ended, and what could not be done.

`show(markup)` is the tab's own way to update its status line and nothing else.
"""

import html
import re
import threading
from collections.abc import Callable, Generator, Iterator

import gradio as gr
from huggingface_hub import constants

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.hub import Stopped
from mmexplorer.pace import duration
from mmexplorer.presets import Preset
from mmexplorer.tabs.background import with_status

Show = Callable[[str], tuple]


def message(text: str, kind: str = "quiet") -> str:
    """One line for the status slot; kind is "quiet", "busy", "busy mmx-still" (nothing pulses) or "note"."""
    return f'<p class="mmx-status mmx-{kind}" role="status">{_linked(html.escape(text))}</p>'


def _linked(markup: str) -> str:
    """Addresses at the Hub as links; others, which somebody may have typed, stay text."""
    address = re.escape(html.escape(constants.ENDPOINT)) + r"/[\w./-]*\w"
    return re.sub(address, r'<a href="\g<0>" target="_blank" rel="noopener">\g<0></a>', markup)


IDLE = message("A model is loaded when it is first used; a toy model takes a few seconds.")
STOPPED = message("Stopped. What was already there stays.", "note")
WENT_WRONG = "Something went wrong in the app; its log says what."
FAILED = message(f"{WENT_WRONG} What was already there stays.", "note")


def toast(refusal: Refusal) -> str:
    """Shows the sentence of a refusal for a moment, and returns it for the status slot."""
    gr.Warning(html.escape(str(refusal), quote=False), title="Not possible")
    return message(str(refusal), "note")


def told(
    work: Callable, status: Callable[[], str], show: Show, stop: threading.Event | None = None
) -> Generator[tuple, None, object]:
    """The result of work(stop), telling the page meanwhile what status() says."""
    job = with_status(work, status, stop)
    try:
        while True:
            yield show(message(next(job), "busy"))
    except StopIteration as end:
        return end.value
    finally:
        job.close()


def saying_how_it_ends(updates: Iterator[tuple], show: Show) -> Iterator[tuple]:
    """The updates, and a last status if they end early: no status may say for ever that something is going on."""
    try:
        yield from updates
    except Stopped:
        yield show(STOPPED)
    except Refusal as refusal:
        yield show(toast(refusal))
    except Exception:
        yield show(FAILED)
        raise


def loading(presets: list[Preset] | tuple[Preset, ...], then: str = "Computing.") -> str:
    """What the first model that is not ready is waiting for; `then` when all are ready, and who goes first.

    Called within the listener whose work it tells of, so that it knows where in the line that stands.
    """
    for p in presets:
        status = residency.status(p.key)
        if status.stage != "ready":
            return f"{p.label}: {status.detail}"
    if not status.ahead:
        return then
    others = f"{status.ahead} others go first" if status.ahead > 1 else "another visitor goes first"
    return f"{then.rstrip('.')}; {others}{_about(status.wait)}."


def _about(seconds: float | None) -> str:
    """A wait in words, coarse enough not to flicker; nothing where it is unknown, or over in no time."""
    if seconds is None or seconds < 1:
        return ""
    return f", about {duration(seconds if seconds < 10 else 5 * round(seconds / 5))}"
