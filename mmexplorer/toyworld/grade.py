"""Whether a picture shows what a prompt asks for: nothing missing, nothing else.

Joins `prompts` and `recognise`: each thing asked for is matched with one that is there, and each statement of the
prompt is then true or false. It knows no models, so it can judge any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmexplorer.toyworld.prompts import SEVERAL, Item, Wanted, wanted
from mmexplorer.toyworld.recognise import Seen, things

if TYPE_CHECKING:
    from PIL import Image

# What a wrong attribute costs when things are matched: a red square is rather the red circle than the blue square.
COSTS = {"shape": 4.0, "colour": 3.0, "size": 1.0}
_SAID = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below",
         "smaller": "smaller than", "bigger": "bigger than"}  # fmt: skip

Match = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Grade:
    """A prompt and a picture, compared."""

    asked: Wanted
    seen: tuple[Seen, ...]
    lines: tuple[tuple[str, bool], ...]  # each statement of the prompt, and whether it is true of the picture
    exact: bool  # all lines are true, and nothing is there that was not asked for
    match: Match  # for each item of `asked` the things that stand for it, right or wrong
    size: tuple[int, int]  # height and width of the picture

    def mask(self, item: int) -> np.ndarray:
        """Where the things that stand for an item are, (height, width) bool."""
        return np.any([np.zeros(self.size, bool), *(self.seen[i].mask for i in self.match[item])], axis=0)


def grade(text: str, image: Image.Image) -> Grade:
    """Compares a prompt with a picture such as `recognise.things` takes."""
    asked, seen = wanted(text), things(image)
    match = _matched(asked, seen)
    spare = [thing for i, thing in enumerate(seen) if not any(i in chosen for chosen in match)]
    lines = [
        line for item, chosen in zip(asked.items, match, strict=True) for line in _lines(item, chosen, spare, seen)
    ]
    lines += [_relation_line(asked, relation, match, seen) for relation in asked.relations]
    exact = bool(lines) and not spare and all(found for _, found in lines)
    return Grade(asked, seen, tuple(lines), exact, match, (image.height, image.width))


def stands(a: Seen, relation: str, b: Seen) -> bool:
    """Whether `a` stands in a relation of `prompts.RELATIONS` to `b`.

    Of two things one is to the left where they lie farther apart from left to right than from top to bottom.
    """
    if relation in ("smaller", "bigger"):
        return (a.radius < b.radius) == (relation == "smaller")
    dx, dy = a.x - b.x, a.y - b.y
    if abs(dx) >= abs(dy):
        return relation == ("left" if dx < 0 else "right")
    return relation == ("above" if dy < 0 else "below")


def _lines(item: Item, chosen: tuple[int, ...], spare: list[Seen], seen: tuple[Seen, ...]) -> list[tuple[str, bool]]:
    """The statements about an item: its shape, colour, size and number as far as the prompt gives them."""
    if item.count == 0:
        return [(str(item), not any(_cost(item, thing) == 0 for thing in seen))]
    things = [seen[i] for i in chosen]
    one = item.count == 1
    noun = replace(item, colour="", size="", count=1 if one else SEVERAL)
    subject = f"the {_bare(noun)} {'is' if one else 'are'}"
    shaped = bool(things) and all(item.shape in ("", thing.shape) for thing in things)
    lines = [(str(noun), shaped)] if item.shape or (one and not item.colour and not item.size) else []
    lines += [
        (f"{subject} {asked}", shaped and all(getattr(thing, kind) == asked for thing in things))
        for kind in ("colour", "size")
        if (asked := getattr(item, kind))
    ]
    if not one:
        right = sum(_cost(item, thing) == 0 for thing in (*things, *spare))
        said = f"two or more {_bare(item)}" if item.count == SEVERAL else str(item)
        lines.append((said, right >= 2 if item.count == SEVERAL else right == item.count))
    return lines


def _relation_line(asked: Wanted, relation: tuple[int, str, int], match: Match, seen: tuple[Seen, ...]):
    a, name, b = relation
    verb = "is" if asked.items[a].count == 1 else "are"
    right = all(match[i] and all(_cost(asked.items[i], seen[j]) == 0 for j in match[i]) for i in (a, b))
    return (
        f"the {_bare(asked.items[a])} {verb} {_SAID[name]} the {_bare(asked.items[b])}",
        right and all(stands(seen[i], name, seen[j]) for i in match[a] for j in match[b]),
    )


def _bare(item: Item) -> str:
    """The item in words without article or number."""
    text = str(replace(item, count=1 if item.count == 1 else SEVERAL))
    return text.split(" ", 1)[1] if item.count == 1 else text


def _cost(item: Item, thing: Seen) -> float:
    return sum(cost for kind, cost in COSTS.items() if getattr(item, kind) not in ("", getattr(thing, kind)))


def _matched(asked: Wanted, seen: tuple[Seen, ...]) -> Match:
    """The things that stand for each item so that the least is wrong; where that leaves a choice, relations decide."""
    slots = [
        i
        for i, item in enumerate(asked.items)
        for _ in range(min(len(seen), 2 if item.count == SEVERAL else item.count))
    ]
    costs = [[_cost(asked.items[i], thing) - 0.01 * thing.certainty for thing in seen] for i in slots]
    match: list[list[int]] = [[] for _ in asked.items]
    for slot, thing in _assigned(np.array(costs).reshape(len(slots), len(seen))):
        match[slots[slot]].append(thing)
    left = set(range(len(seen))) - {thing for chosen in match for thing in chosen}
    for i, item in enumerate(asked.items):
        if item.count == SEVERAL:
            fitting = {thing for thing in left if _cost(item, seen[thing]) == 0}
            match[i], left = sorted({*match[i], *fitting}), left - fitting
    for a, _, b in asked.relations:
        if asked.items[a] == asked.items[b]:
            swapped = [match[b] if i == a else match[a] if i == b else chosen for i, chosen in enumerate(match)]
            match = max(match, swapped, key=lambda some: _holding(asked, some, seen))
    return tuple(tuple(sorted(chosen)) for chosen in match)


def _holding(asked: Wanted, match: list[list[int]], seen: tuple[Seen, ...]) -> int:
    return sum(
        all(stands(seen[i], name, seen[j]) for i in match[a] for j in match[b]) for a, name, b in asked.relations
    )


def _assigned(costs: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of (row, column) of least total cost, as many as the shorter side has; Kuhn's Hungarian method.

    Rows are added one by one, each along the shortest path of changes, with prices that keep reduced costs positive.
    """
    if costs.shape[0] > costs.shape[1]:
        return [(row, column) for column, row in _assigned(costs.T)]
    n, m = costs.shape
    row_price, column_price, owner = np.zeros(n), np.zeros(m + 1), np.full(m + 1, -1)
    for row in range(n):
        owner[m], column = row, m  # column m stands for the new row's start
        distance, before, done = np.full(m, np.inf), np.full(m, m), np.zeros(m + 1, bool)
        while owner[column] >= 0:
            done[column] = True
            reduced = costs[owner[column]] - row_price[owner[column]] - column_price[:m]
            nearer = ~done[:m] & (reduced < distance)
            distance[nearer], before[nearer] = reduced[nearer], column
            column_next = int(np.where(done[:m], np.inf, distance).argmin())
            step = distance[column_next]
            row_price[owner[done]] += step
            column_price[done] -= step
            distance[~done[:m]] -= step
            column = column_next
        while column != m:
            owner[column], column = owner[before[column]], before[column]
    return [(int(owner[column]), column) for column in range(m) if owner[column] >= 0]
