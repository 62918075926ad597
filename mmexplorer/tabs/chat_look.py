"""Which view of an answer's attention the chat's viewer shows: pictures, parts, heads, views and sinks.

Views that are arithmetic come at once; those for which the model runs again are told about in the status line.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import gradio as gr
import numpy as np

from mmexplorer.explore import chat_probes, chat_views
from mmexplorer.explore.chat_measured import default_reason
from mmexplorer.explore.truth import Truth
from mmexplorer.figures.viewer import viewer_payload
from mmexplorer.presets import preset
from mmexplorer.replies import ROLES, AttendedWord, Attention, Reply
from mmexplorer.results import Grounding
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs.chat_session import Talk
from mmexplorer.tabs.event_numbers import number_of
from mmexplorer.tabs.jobs import Job
from mmexplorer.tabs.status import loading, message, told
from mmexplorer.tabs.truths import truth_of

VIEWS = {
    "attention": ("Attention", "How much of each word's attention fell where."),
    "minus mean": ("Minus the mean", "What sets a word apart from all others: the mean of all words is taken away."),
    "relative": ("Relative to a neutral question", "Divided by where the model looks if asked for a description only."),
    "gradient": ("Gradient x attention of one word", "Only attention that raised the word's probability counts."),
}
HEADS = [("Mean", "mean"), ("Maximum", "max"), ("One head", "one")]
PARTS = [("Both, as density", "both"), ("Base view", "base"), ("Tiles", "tiles")]
CAVEAT = (
    "Attention is not proof of cause: that a word looked at a patch does not mean that it needed it. "
    "To test it, hide the patches below and ask again."
)
MAX_WORDS = 400


@dataclass(frozen=True)
class Look:
    """What the visitor wants to see; layer and head count from 1, word is a number in `attention.words`."""

    picture: int = 0
    view: str = "attention"
    heads: str = "mean"
    layer: int = 1
    head: int = 1
    part: str = "both"
    hide_sinks: bool = False
    word: int | None = None


def grounding(reply: Reply, look: Look = Look(), turns=(), stop: threading.Event | None = None) -> Grounding:
    """The maps of one view; asks the model again for gradients, single heads and neutral questions."""
    attention = chat_probes.seen(reply, look.picture)
    shared = {"picture": look.picture, "part": look.part, "hide_sinks": look.hide_sinks}
    if look.view == "gradient":
        rows = chat_probes.gradient_maps(turns, reply, look.word, stop=stop)
        layers = [f"layer {i + 1}" for i in range(len(rows))]
        return chat_views.ground_rows(attention, rows, layers, word=look.word, method=look.view, **shared)
    neutral = chat_probes.neutral_rows(turns, reply, stop=stop) if look.view == "relative" else None
    if look.heads == "one":
        layer, name = look.layer - 1, f"layer {look.layer}, head {look.head}"
        rows = chat_probes.head_maps(turns, reply, layer, look.head - 1, stop=stop)[None]
        neutral = None if neutral is None else neutral[layer : layer + 1]
        return chat_views.ground_rows(attention, rows, [name], view=look.view, neutral=neutral, **shared)
    return chat_views.ground(attention, heads=look.heads, view=look.view, neutral=neutral, **shared)


def payload(attention: Attention, maps: Grounding, truths: dict, look: Look = Look(), *, first=False) -> str:
    """The viewer's value for a view of an answer; the first one chooses a word, further ones leave that alone."""
    shown = range(len(attention.words)) if look.view != "gradient" else [look.word]
    words = [attention.words[i] for i in shown]
    one = look.heads == "one" and look.view != "gradient"
    weights = attention.shares[look.layer - 1 : look.layer, look.head - 1 : look.head] if one else attention.shares
    shares = np.stack([weights[:, :, list(word.rows)].mean(axis=(1, 2)) for word in words], axis=1)
    found = _masks(attention, truth_of(maps.image, truths))
    masks = {place: found[i] for place, i in enumerate(shown) if i in found}
    tokens = chat_views.cells(attention.layouts[look.picture], look.part).ravel()
    marked = chat_views.sinks(attention)[chat_views.columns(attention, look.picture)][tokens]
    return viewer_payload(
        maps,
        masks,
        quantity="attention",
        caveat=CAVEAT,
        notes=_notes(attention, look),
        max_words=MAX_WORDS,
        word=first_word(words, masks) if first else None,
        roles=[word.role for word in words],
        layer_range=None if one else chat_views.default_range(len(maps.layers), attention.model),
        segments=(ROLES, shares),
        sinks=np.flatnonzero(marked).tolist(),
    )


def _notes(attention: Attention, look: Look) -> list[str]:
    """Sentences for the viewer: what its shares count, and why it begins with the layers that it begins with."""
    pictures, gradient = len(attention.images), look.view == "gradient"
    parts = ["gradient x attention" if gradient else look.view]
    parts += ["max of heads"] if look.heads == "max" and not gradient else []
    parts += [look.part] if attention.layouts[look.picture].tile_grid and look.part != "both" else []
    notes = [
        f"“Image” counts the tokens of all {pictures} pictures; the map shows picture {look.picture + 1}."
        if pictures > 1
        else "",
        default_reason(attention.model, len(attention.shares), ", ".join(parts))
        if look.heads != "one" or gradient
        else "",
    ]
    return list(filter(None, notes))


def _masks(attention: Attention, truth: Truth | None) -> dict[int, np.ndarray]:
    """The masks of what words name in a drawn picture, by the word's index; each word means its whole description."""
    if truth is None:
        return {}
    masks = {word: truth.mask_of(phrase) for word, phrase in chat_views.descriptions(attention).items()}
    return {word: mask for word, mask in masks.items() if mask is not None}


def first_word(words: Sequence[AttendedWord], masks: Collection[int] = ()) -> int:
    """The word to begin with: the answer's last that names something there, else the answer's first."""
    answer = [i for i, word in enumerate(words) if word.role == "answer"] or [0]
    return next((i for i in reversed(answer) if i in masks), answer[0])


def again(which: int | None, talk: Talk, truths: dict, request: gr.Request, *given) -> Iterator[tuple]:
    """Updates (status, viewer) for another view of the answer on the page."""
    number = session.chosen(talk, which)
    reply = session.with_maps(talk[: number + 1]) if number is not None else None
    attention, look = reply and reply.attention, _look(given)
    if attention is None or not attention.words:
        yield gr.skip(), gr.skip()
        return
    turns = session.turns(talk[: number + 1])

    def work(job: Job) -> Iterator[tuple]:
        ready = [preset(reply.model)]
        maps = yield from told(
            lambda stop: grounding(reply, look, turns, stop), lambda: loading(ready, "Looking again."), _show, job
        )
        name, sentence = VIEWS[look.view]
        yield message(f"{name} ({_details(attention, look, maps)}). {sentence}"), payload(attention, maps, truths, look)

    yield from session.JOBS.updates(request.session_hash, "viewer", work, _show)


def word_chosen(which: int | None, talk: Talk, truths: dict, request: gr.Request, *given) -> Iterator[tuple]:
    """The same when another word is chosen, which only the view of one word minds."""
    if _look(given).view == "gradient":
        yield from again(which, talk, truths, request, *given)
    else:
        yield gr.skip(), gr.skip()


def pressed(which: int | None, talk: Talk, view: str, event: gr.EventData) -> gr.Dropdown:
    """The word that was pressed in the viewer as the chosen one, if it is the answer's."""
    number = session.chosen(talk, which)
    maps = talk[number].maps if number is not None else None
    if view == "gradient" or maps is None:
        return gr.skip()
    words = maps.value.words
    word = number_of(event, "index", len(words))
    return gr.Dropdown(value=word) if words[word].role == "answer" else gr.skip()


def controls(reply: Reply, truths: dict, picture: int = 0) -> dict:
    """The controls for an answer's first view, with as many pictures, layers, heads and words as it has."""
    attention = reply.attention
    layers, heads = attention.shares.shape[:2]
    words = [(word.text, i) for i, word in enumerate(attention.words) if word.role == "answer"]
    pictures = [(f"{i + 1} of {len(attention.images)}", i) for i in range(len(attention.images))]
    masks = _masks(attention, truth_of(attention.images[picture], truths))
    tiles = any(layout.tile_grid for layout in attention.layouts)
    return {
        "picture": gr.Dropdown(pictures, value=picture, visible=len(pictures) > 1),
        "view": "attention",
        "heads": "mean",
        "sinks": False,
        "part": gr.Dropdown(PARTS, value="both", visible=tiles),
        "layer": gr.Slider(maximum=layers, value=chat_views.default_range(layers, attention.model)[0] + 1),
        "head": gr.Slider(maximum=heads, value=1),
        "word": gr.Dropdown(words, value=first_word(attention.words, masks) if words else None),
        "hidden": gr.Slider(maximum=_patches(attention) // 2),
    }


def no_controls() -> dict:
    """The same before there is an answer."""
    return {
        "picture": gr.Dropdown([], visible=False),
        "view": gr.skip(),
        "heads": gr.skip(),
        "sinks": gr.skip(),
        "part": gr.Dropdown(PARTS, value="both", visible=False),
        "layer": gr.skip(),
        "head": gr.skip(),
        "word": gr.Dropdown([], value=None),
        "hidden": gr.skip(),
    }


def _patches(attention: Attention) -> int:
    return max(2, min(int((layout.kind == "base").sum()) for layout in attention.layouts))


def _details(attention: Attention, look: Look, maps: Grounding) -> str:
    """What the picture shows, in a few words."""
    heads = {"mean": "mean of heads", "max": "maximum of heads", "one": maps.layers[0]}[look.heads]
    what = f"“{maps.words[0]}”" if look.view == "gradient" else heads
    if attention.layouts[look.picture].tile_grid:
        what += {"both": ", base view and tiles", "base": ", base view", "tiles": ", tiles"}[look.part]
    if not look.hide_sinks:
        return what
    found = int(chat_views.sinks(attention)[chat_views.columns(attention, look.picture)].sum())
    return f"{what}, {found or 'no'} sink{'' if found == 1 else 's'}{' hidden' if found else ' found to hide'}"


def _look(given: tuple) -> Look:
    picture, view, heads, layer, head, part, hide, word = given
    return Look(
        int(picture or 0), view or "attention", heads or "mean", int(layer), int(head), part or "both", bool(hide), word
    )


def _show(status: str) -> tuple:
    return status, gr.skip()
