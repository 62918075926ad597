"""What the chosen model can be asked for: its schedulers, sizes and defaults, which it tells once it is loaded.

What one visitor's drawing has told is known to all from then on; it does not change while the app runs.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

import gradio as gr

from mmexplorer import residency
from mmexplorer.explore.drawing_asked import MAX_STEPS
from mmexplorer.lending import lent

OWN = "The model's own"
EMPTY = "empty is the model's own."
NEGATIVE = "What the picture should be led away from; needs guidance."
NUMBERS = ("steps", "guidance", "width", "height")
OUTPUTS = (*NUMBERS, "scheduler", "negative")


@dataclass(frozen=True)
class Facts:
    """The attributes of these names of a model that draws."""

    schedulers: tuple[str, ...]
    steps: int
    steps_range: tuple[int, int]
    guidance: float
    unguided: bool
    takes_negative: bool
    size: tuple[int, int]
    size_range: tuple[int, int]
    size_step: int

    def guided(self, guidance: float | None) -> bool:
        """Whether a drawing with that guidance scale, None for the default, has a guidance vector."""
        return not self.unguided and (self.guidance if guidance is None else guidance) > 1

    def sized(self, width: float | None, height: float | None) -> tuple[float, float]:
        """The size of a drawing that is asked for in that size, None for the default."""
        least, most = self.size_range
        asked = zip((width, height), self.size, strict=True)
        return tuple(min(max(own if side is None else side, least), most) for side, own in asked)


_known: dict[str, Facts] = {}


def learn(model: str, stop: threading.Event | None = None) -> Facts:
    """The facts of a model, which is loaded for them where nobody has yet."""
    if model not in _known:
        _known[model] = _told(model, stop)
    return _known[model]


@lent(5, computes=False)
def _told(model: str, stop: threading.Event | None) -> Facts:
    with residency.use(model, stop) as painter:
        return Facts(*(getattr(painter, field.name) for field in fields(Facts)))


def is_known(model: str) -> bool:
    """Whether the model has told what it takes."""
    return model in _known


def controls(model: str, values: Mapping = MappingProxyType({})) -> dict:
    """Updates of OUTPUTS: what a model offers, what it says of its defaults, and those values that are given.

    A scheduler that is given is offered, whether it fits or not: before a model is loaded nobody knows.
    """
    facts = _known.get(model)
    own = facts.schedulers[0] if facts else None
    scheduler = values.get("scheduler") or ""
    scheduler = "" if scheduler == own else scheduler
    others = facts.schedulers[1:] if facts else ()
    choices = [(f"{OWN}: {own}" if own else OWN, ""), *((name, name) for name in others)]
    if scheduler not in [value for _, value in choices]:
        choices.append((scheduler, scheduler))
    said = _said(facts) if facts else dict.fromkeys(NUMBERS, (OWN.lower(), None))
    found = {
        name: gr.Number(placeholder=placeholder, info=info, **_value(values, name))
        for name, (placeholder, info) in said.items()
    }
    listed = f"{len(choices)} fit this model." if facts else "Others are listed once the model is loaded."
    found["scheduler"] = gr.Dropdown(choices, info=listed, **({"value": scheduler} if "scheduler" in values else {}))
    needless = facts is not None and (facts.unguided or not facts.takes_negative)
    info = "This model takes none." if needless else NEGATIVE
    return found | {"negative": gr.Textbox(info=info, **_value(values, "negative"))}


def defaults(model: str) -> dict:
    """The same for a model that was just chosen: everything as it is its own."""
    return controls(model, {**dict.fromkeys(NUMBERS), "scheduler": ""})


def _said(facts: Facts) -> dict[str, tuple[str, str]]:
    """What the empty boxes of NUMBERS say, and the line beside each."""
    (least, most), (shortest, longest) = facts.steps_range, facts.size_range
    sides = f"{shortest:,} to {longest:,}, a multiple of {facts.size_step}."
    return {
        "steps": (f"{facts.steps}", f"{least} to {min(most, MAX_STEPS)}; {EMPTY}"),
        "guidance": ("none", "This model draws without.") if facts.unguided else (
            f"{facts.guidance:g}", f"Up to 1 is none; {EMPTY}"
        ),
        "width": (f"{facts.size[0]}", sides),
        "height": (f"{facts.size[1]}", sides),
    }  # fmt: skip


def _value(values: Mapping, name: str) -> dict:
    return {"value": values[name]} if name in values else {}
