"""What one word does: the same seed and settings with one word of the prompt changed, and where the pictures differ."""

import re
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.explore.drawing import draw
from mmexplorer.hub import Stopped

SETTINGS = ("model", "negative_prompt", "seed", "steps", "guidance", "scheduler", "width", "height")


@dataclass(frozen=True)
class Change:
    """Two drawings that differ in a word of the prompt, and (height, width) float32 from 0 to 1 by how much.

    difference is the absolute difference of the two pictures, mean over red, green and blue.
    """

    before: Drawing
    after: Drawing
    difference: np.ndarray


def compare(
    drawing: Drawing,
    word: str,
    other_word: str,
    *,
    occurrence: int = 1,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Change:
    """Draws a finished drawing again with another word in the place of one of its prompt; "" leaves the word out.

    occurrence counts from 1 where the word stands in the prompt more than once. progress(steps done, of how many) is
    called after every step. Raises Refusal for a word that is not there, and hub.Stopped when `stop` is set.
    """
    if drawing.ended != "end":
        raise Refusal("This picture was stopped early; draw it to its end first, then change a word.")
    prompt = changed(drawing.settings["prompt"], word, other_word, occurrence)
    given = {name: drawing.settings[name] for name in SETTINGS}
    with closing(draw(prompt, **given, maps=False, stop=stop)) as events:
        for event in events:
            if progress is not None:
                progress(event.number, event.total)
    if event.drawing.ended != "end":
        raise Stopped("The drawing with the other word was stopped.")
    return Change(drawing, event.drawing, difference(drawing, event.drawing))


def changed(prompt: str, word: str, other_word: str, occurrence: int = 1) -> str:
    """The prompt with another word in the place of one; Refusal where that changes nothing or cannot be done."""
    word, other_word = (str(text or "").strip() for text in (word, other_word))
    # As prompts are read into words: "red" is not a word of "red-brown".
    whole = rf"(?<!\w)(?<!\w['’-]){re.escape(word)}(?!['’-]?\w)"
    found = list(re.finditer(whole, prompt, re.IGNORECASE)) if word else []
    if not 1 <= occurrence <= len(found):
        raise Refusal(f"{word[:40]!r} is not in the prompt; choose one of its words.")
    if word.lower() == other_word.lower():
        raise Refusal("That is the word that is there already; give another one.")
    start, stop = found[occurrence - 1].span()
    text = " ".join(f"{prompt[:start]}{other_word}{prompt[stop:]}".split())
    if not text:
        raise Refusal("Without that word the prompt is empty; give another one.")
    return text


def difference(drawing: Drawing, other: Drawing) -> np.ndarray:
    """How much two pictures of one size differ, (height, width) float32 from 0 to 1."""
    a, b = (np.asarray(one.image.convert("RGB"), np.float32) / 255 for one in (drawing, other))
    return np.abs(a - b).mean(axis=-1)
