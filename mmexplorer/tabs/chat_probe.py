"""What the chat tab measures when somebody asks for it: the causal check, the logit lens, the vision tower's attention.

Each runs the model again for the answer on the page, says so in the status line, and changes nothing else.
"""

from collections.abc import Callable, Iterator

import gradio as gr

from mmexplorer.errors import Refusal
from mmexplorer.explore import chat_probes
from mmexplorer.explore.chat_probes import CausalCheck
from mmexplorer.figures.causal import causal_html, hidden_picture
from mmexplorer.figures.lens import lens_payload
from mmexplorer.figures.viewer import viewer_payload
from mmexplorer.presets import preset
from mmexplorer.replies import Reply
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs.chat_session import Talk
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.status import loading, message, told

NO_ANSWER = "Ask something about a picture first; then this can be measured."
TOWER_CAVEAT = "How the vision tower looks at the picture before any word is read; no question changes it."


def causal(which, picture, word, hidden, cover: bool, talk: Talk, request: gr.Request) -> Iterator[tuple]:
    """Updates (status, causal): hides what a word looked at, and as many random patches, and asks again."""

    def work(turns, reply: Reply, stop) -> CausalCheck:
        return chat_probes.causal_check(
            turns, reply, word, int(hidden), picture=int(picture or 0), cover=bool(cover), stop=stop
        )

    def shown(reply: Reply, check: CausalCheck) -> str:
        attention = reply.attention
        boxes = attention.layouts[check.picture].boxes
        return causal_html(
            word=check.word,
            log_probability=check.log_probability,
            without=check.log_probability_hidden,
            random=check.random_log_probabilities,
            answers=(reply.text, check.answer_hidden, check.answer_random),
            pictures=tuple(
                hidden_picture(attention.images[check.picture], boxes[chosen])
                for chosen in (check.hidden, check.random[0])
            ),
            covered=check.covered,
        )

    yield from _measured(
        "causal", which, talk, request, work, shown, "Hiding patches and asking again.", "The causal check is below."
    )


def lens(which, picture, talk: Talk, request: gr.Request) -> Iterator[tuple]:
    """Updates (status, lens): which word each patch is nearest to, layer by layer."""

    def shown(reply: Reply, found) -> str:
        image = reply.attention.images[found.picture]
        return lens_payload(found.words, found.probabilities, found.layers, image, found.box, found.grid)

    yield from _measured(
        "lens", which, talk, request,
        lambda turns, reply, stop: chat_probes.lens(turns, reply, int(picture or 0), stop=stop), shown,
        "Reading the patches.", "Each patch shows the word that it is nearest to.",
    )  # fmt: skip


def tower(which, picture, talk: Talk, request: gr.Request) -> Iterator[tuple]:
    """Updates (status, tower): the vision tower's own attention on the picture."""
    yield from _measured(
        "tower", which, talk, request,
        lambda turns, reply, stop: chat_probes.vision_maps(turns, reply, int(picture or 0), stop=stop),
        lambda _, maps: viewer_payload(maps, quantity="attention", caveat=TOWER_CAVEAT),
        "Asking the vision tower.", "The vision tower's own attention is below.",
    )  # fmt: skip


def _measured(
    kind: str,
    which: int | None,
    talk: Talk,
    request: gr.Request,
    work: Callable,
    shown: Callable,
    doing: str,
    done: str,
) -> Iterator[tuple]:
    """Updates (status, result) of work(turns, reply, stop), drawn by shown(reply, result); kind is that of the job."""

    def updates(job: Job) -> Iterator[tuple]:
        number = session.chosen(talk, which)
        if number is None:
            raise Refusal(NO_ANSWER)
        reply, turns = session.with_maps(talk[: number + 1]), session.turns(talk[: number + 1])
        ready = [preset(reply.model)]
        result = yield from told(lambda stop: work(turns, reply, stop), lambda: loading(ready, doing), _show, job)
        yield message(done), shown(reply, result)

    yield from session.JOBS.updates(request.session_hash, kind, updates, _show)


def _show(status: str) -> tuple:
    return status, gr.skip()
