"""Where the things that a prompt names are in its picture, as far as the picture shows them.

Only for models of the toy world, whose pictures can be read without a model; knows neither maps nor the page.
"""

from collections.abc import Sequence

import numpy as np

from mmexplorer.drawings import Drawing
from mmexplorer.presets import preset
from mmexplorer.toyworld.grade import Grade, grade
from mmexplorer.toyworld.mentions import mentions
from mmexplorer.toyworld.prompts import Item, wanted
from mmexplorer.toyworld.recognise import Seen

ATTRIBUTES = ("shape", "colour")


def word_masks(drawing: Drawing, words: Sequence[str]) -> dict[int, np.ndarray]:
    """The mask (height, width) of the thing that a word of the prompt belongs to, by the word's index.

    In "a red circle" both words mean the circle, and all of them where the picture has several, since nothing is wrong
    with a map that points at another one. A thing that is missing, or that came out in another shape or colour, has no
    mask: there is nothing that the words could have pointed at.
    """
    if preset(drawing.model).tier != "toy":
        return {}
    found = grade(drawing.settings["prompt"], drawing.image)
    masks: dict[int, np.ndarray] = {}
    taken: set[int] = set()
    before: tuple[int, str, int | None] | None = None  # of the word before: its index, description and item
    for index, phrase in mentions(words).items():
        same = before is not None and before[0] == index - 1 and before[1] == phrase
        item = before[2] if same else _meant(phrase, found.asked.items, taken)
        before = index, phrase, item
        if item is None:
            continue
        taken.add(item)
        mask = _mask(found, item)
        if mask.any():
            masks[index] = mask
    return masks


def _meant(phrase: str, items: Sequence[Item], taken: set[int]) -> int | None:
    """The item of the prompt that a description means: the first not yet named that it fits, else the first."""
    described = wanted(f"a {phrase}").items
    if not described:
        return None
    said = {name: value for name in (*ATTRIBUTES, "size") if (value := getattr(described[0], name))}
    fitting = [i for i, item in enumerate(items) if all(getattr(item, name) == said[name] for name in said)]
    return next((i for i in fitting if i not in taken), fitting[0] if fitting else None)


def _mask(found: Grade, item: int) -> np.ndarray:
    """Where the things are that stand for an item and are what it says, and spare ones that are so just as well."""
    asked, seen = found.asked.items[item], found.seen
    rightly = [
        [i for i in chosen if _fits(other, seen[i])]
        for other, chosen in zip(found.asked.items, found.match, strict=True)
    ]
    meant = rightly[item]
    if meant:
        taken, sizes = {i for chosen in rightly for i in chosen}, {seen[i].size for i in meant}
        spare = [i for i, thing in enumerate(seen) if i not in taken and _fits(asked, thing)]
        meant = meant + [i for i in spare if not asked.size or seen[i].size in sizes]
    return np.any([np.zeros(found.size, bool), *(seen[i].mask for i in meant)], axis=0)


def _fits(item: Item, thing: Seen) -> bool:
    return all(getattr(item, name) in ("", getattr(thing, name)) for name in ATTRIBUTES)
