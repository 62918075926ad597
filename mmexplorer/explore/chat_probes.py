"""Asking further about an answer: single heads, gradients, a neutral question, the eye itself, the lens, causes.

Each function takes the conversation that was asked and its reply, and runs the model again for what was not kept. It
holds the model only while it runs, and brings torch in only then. A visitor's mistakes are Refusals.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore.chat import conversation
from mmexplorer.explore.chat_views import cells, columns, ground_rows
from mmexplorer.hub import Stopped
from mmexplorer.lending import lent
from mmexplorer.replies import AttendedWord, Attention, Reply
from mmexplorer.results import Grounding

MAX_DRAWS = 64


def _of_reply(asked) -> str:
    return asked["reply"].model


@dataclass(frozen=True)
class Lens:
    """Which words the language model is nearest to at each patch of one picture, layer by layer.

    words and probabilities (layers + 1, k, 5) are the likeliest at k patches, best first; layer 0 is what enters the
    language model. The patches are grid = (rows, columns) equal cells of box (left, top, right, bottom in pixels of the
    picture) in reading order, and tokens (k,) which of the picture's tokens each is.
    """

    picture: int
    words: np.ndarray
    probabilities: np.ndarray
    layers: tuple[str, ...]
    grid: tuple[int, int]
    box: tuple[float, float, float, float]
    tokens: np.ndarray


@dataclass(frozen=True)
class CausalCheck:
    """What one word of an answer loses without k image tokens of a picture, and what without k random ones.

    hidden (k,) and random (draws, k) are indices into the picture's tokens. Log probabilities are natural, of all the
    word's tokens after the answer's own words before it: with the whole picture, without the hidden tokens, and without
    each random set (draws,). The two answers are written anew, greedily, without the hidden tokens and without the
    first random set. covered says that patches were painted over in the picture, not hidden from the language model.
    """

    word: str
    picture: int
    covered: bool
    hidden: np.ndarray
    random: np.ndarray
    log_probability: float
    log_probability_hidden: float
    random_log_probabilities: np.ndarray
    answer_hidden: str
    answer_random: str

    @property
    def k(self) -> int:
        return len(self.hidden)


@lent(15, model=_of_reply)
def head_maps(
    turns: Sequence, reply: Reply, layer: int, head: int, *, stop: threading.Event | None = None
) -> np.ndarray:
    """Rows (R, I) float16 of one head, counted from 0, on the image tokens: rows and columns of `reply.attention`."""
    from mmexplorer.models import llava_probes

    layers, heads = seen(reply).shares.shape[:2]
    if not (0 <= layer < layers and 0 <= head < heads):
        raise Refusal(f"This model has layers 1 to {layers} with heads 1 to {heads} each.")
    with _recalled(turns, reply, stop) as (chat, said, _):
        return llava_probes.head_rows(chat, said, layer, head).astype(np.float16)


@lent(15, model=_of_reply)
def gradient_maps(turns: Sequence, reply: Reply, word: int, *, stop: threading.Event | None = None) -> np.ndarray:
    """Attention x gradient (layers, I) of the log probability of an answer's word, its number in `attention.words`."""
    from mmexplorer.models import llava_probes

    tokens = _answer_word(reply, word).tokens
    with _recalled(turns, reply, stop) as (chat, said, _):
        return llava_probes.gradient_rows(chat, said, tokens)


@lent(15, model=_of_reply)
def neutral_rows(turns: Sequence, reply: Reply, *, stop: threading.Event | None = None) -> np.ndarray:
    """Head-mean rows (layers, I) of the prompt's last position if a neutral question stood for the last one."""
    from mmexplorer.models import llava_probes

    seen(reply)
    with _recalled(turns, reply, stop) as (chat, said, opened):
        return llava_probes.neutral_rows(chat, said, opened)


@lent(15, model=_of_reply)
def vision_maps(turns: Sequence, reply: Reply, picture: int, *, stop: threading.Event | None = None) -> Grounding:
    """How the vision tower itself looks at the base view of one picture, layer by layer.

    The "words" are its class token (where it has one), its patches on average, and the norms of its patches' states
    less the smallest; image_share is the attention that falls on patches, NaN for norms.
    """
    from mmexplorer.models import llava_probes

    attention, opened = seen(reply, picture), conversation(turns)
    with residency.use(reply.model, stop) as chat:
        names, found, shares = llava_probes.vision_rows(chat, chat.prompt(opened), picture)
    rows = np.zeros((*found.shape[:2], attention.mean.shape[-1]), np.float32)
    rows[..., columns(attention, picture)][..., attention.layouts[picture].kind == "base"] = found
    words = tuple(AttendedWord(name, "image", (), (i,)) for i, name in enumerate(names))
    layers = [f"vision layer {i + 1}" for i in range(len(rows))]
    grounding = ground_rows(
        replace(attention, words=words), rows, layers, picture=picture, method="the vision tower's own attention"
    )
    return replace(grounding, image_share=shares)


@lent(15, model=_of_reply)
def lens(
    turns: Sequence, reply: Reply, picture: int, *, part: str = "base", stop: threading.Event | None = None
) -> Lens:
    """The logit lens of one picture's patches: those of its base view, or with part "tiles" those of its tiles."""
    from mmexplorer.models import llava_probes

    layout = seen(reply, picture).layouts[picture]
    patches, opened = cells(layout, part), conversation(turns)
    with residency.use(reply.model, stop) as chat:
        words, probabilities = llava_probes.lens(chat, chat.prompt(opened), layout.positions[patches.ravel()])
    return Lens(
        picture=picture,
        words=words,
        probabilities=probabilities,
        layers=("input", *(f"layer {i + 1}" for i in range(len(words) - 1))),
        grid=patches.shape,
        box=layout.box,
        tokens=patches.ravel(),
    )


@lent(lambda asked: 15 + asked["draws"] / 2 + 2 * len(asked["reply"].ids) / 10, model=_of_reply)
def causal_check(
    turns: Sequence,
    reply: Reply,
    word: int,
    hide: int | Sequence[int],
    *,
    picture: int = 0,
    layers: tuple[int, int] | None = None,
    cover: bool = False,
    draws: int = 8,
    seed: int = 0,
    stop: threading.Event | None = None,
) -> CausalCheck:
    """Hide image tokens from the language model, measure what a word of the answer loses, and have it answered anew.

    hide is how many: those that the word attends to most, by the mean over heads and over `layers` (first and last,
    both included; default all); or it says which of the picture's tokens. They are compared with `draws` random sets of
    as many tokens that show a part of the picture (newlines and padding do not). With cover the tokens' patches are
    painted over in the picture instead, in its mean colour, and everything is computed again.
    """
    from mmexplorer.models import llava_causal

    attention, asked = seen(reply, picture), _answer_word(reply, word)
    left, top, right, bottom = attention.layouts[picture].boxes.T
    showing = np.flatnonzero((right > left) & (bottom > top))
    hidden = _hidden(attention, asked, picture, showing, hide, layers)
    if not 1 <= draws <= MAX_DRAWS:
        raise Refusal(f"Between 1 and {MAX_DRAWS} random draws are compared.")
    rng = np.random.default_rng(seed)
    random = np.stack([np.sort(rng.choice(showing, len(hidden), replace=False)) for _ in range(draws)])
    limit, opened = reply.settings.get("max_new_tokens", len(reply.ids)), conversation(turns)
    with residency.use(reply.model, stop) as chat:
        prompt = chat.prompt(opened)
        tokens = [token - len(prompt) for token in asked.tokens]

        def without(chosen: np.ndarray, write: bool) -> tuple[float, str]:
            with llava_causal.without(chat, opened, prompt, picture, chosen, cover=cover) as changed:
                value = llava_causal.log_probability(chat, changed, reply.ids, tokens)
                answer = llava_causal.greedy_text(chat, changed, limit, stop) if write else ""
            if stop is not None and stop.is_set():
                raise Stopped("Stopped.")
            return value, answer

        before = llava_causal.log_probability(chat, prompt, reply.ids, tokens)
        after, answer = without(hidden, True)
        compared = [without(chosen, i == 0) for i, chosen in enumerate(random)]
    return CausalCheck(
        word=asked.text,
        picture=picture,
        covered=cover,
        hidden=hidden,
        random=random,
        log_probability=before,
        log_probability_hidden=after,
        random_log_probabilities=np.array([value for value, _ in compared]),
        answer_hidden=answer,
        answer_random=compared[0][1],
    )


def _hidden(
    attention: Attention,
    word: AttendedWord,
    picture: int,
    showing: np.ndarray,
    hide: int | Sequence[int],
    layers: tuple[int, int] | None,
) -> np.ndarray:
    """The tokens (k,) to hide, most attended first where that decides."""
    if not isinstance(hide, int | np.integer):
        chosen = np.array(list(dict.fromkeys(hide)), np.int64)
        if not np.isin(chosen, showing).all():
            raise Refusal("Only patches that show a part of the picture can be hidden.")
        return chosen
    if not 0 <= hide <= len(showing):
        raise Refusal(f"Between 0 and {len(showing)} patches of this picture can be hidden.")
    first, last = layers or (0, len(attention.mean) - 1)
    if not 0 <= first <= last < len(attention.mean):
        raise Refusal(f"This model has layers 1 to {len(attention.mean)}.")
    rows = attention.mean[first : last + 1, list(word.rows), columns(attention, picture)]
    weights = rows.mean(axis=(0, 1), dtype=np.float32)[showing]
    return showing[np.argsort(-weights, kind="stable")[:hide]]


@contextmanager
def _recalled(turns: Sequence, reply: Reply, stop: threading.Event | None) -> Iterator[tuple]:
    """The model, the answer with its cache, and the conversation with its pictures opened."""
    opened = conversation(turns)
    with residency.use(reply.model, stop) as chat:
        yield chat, chat.recall(reply.handle, opened, reply.ids), opened


def seen(reply: Reply, picture: int = 0) -> Attention:
    """The attention that was measured for a reply; Refusal if there is none, or no such picture."""
    attention = reply.attention
    if attention is None or not attention.layouts:
        raise Refusal("This answer has no maps: it has no picture, was stopped too early, or made room for newer ones.")
    if not 0 <= picture < len(attention.layouts):
        raise Refusal(f"This conversation has pictures 1 to {len(attention.layouts)}.")
    return attention


def _answer_word(reply: Reply, word: int | None) -> AttendedWord:
    words = seen(reply).words
    if word is None or not 0 <= word < len(words) or words[word].role != "answer":
        raise Refusal("Choose a word of the answer; only what the model wrote has a probability.")
    return words[word]
