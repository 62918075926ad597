"""What people ask of a text-to-image model: checked before any model is loaded, and fitted to it afterwards.

Knows neither how a drawing is made nor which models there are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmexplorer.errors import Refusal

MAX_CHARACTERS = 20_000  # of a prompt; models read a few hundred words at most
MAX_STEPS = 150
MAX_GUIDANCE = 30.0


@dataclass(frozen=True)
class Asked:
    """What was asked for, None where the model's default is meant; remarks say what was changed so far."""

    prompt: str
    negative_prompt: str
    steps: int | None
    guidance: float | None
    seed: int
    scheduler: str | None
    width: int | None
    height: int | None
    remarks: tuple[str, ...]


def checked(
    prompt: str,
    *,
    steps: int | None = None,
    guidance: float | None = None,
    negative_prompt: str = "",
    seed: int = 0,
    scheduler: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Asked:
    """What was asked for, numbers brought within what makes sense for any model; Refusal for what cannot be asked."""
    remarks: list[str] = []
    asked = Asked(
        prompt=_text("prompt", prompt),
        negative_prompt=_text("negative prompt", negative_prompt or ""),
        steps=_clamped("steps", _whole("steps", steps), 1, MAX_STEPS, remarks),
        guidance=_clamped("guidance", _number("guidance", guidance), 0.0, MAX_GUIDANCE, remarks),
        seed=_seed(seed),
        scheduler=scheduler,
        width=_whole("width", width),
        height=_whole("height", height),
        remarks=tuple(remarks),
    )
    if not asked.prompt:
        raise Refusal("There is no prompt yet; type what to draw, such as: a red circle.")
    if scheduler is not None and not isinstance(scheduler, str):
        raise Refusal('scheduler must be a name, such as "ddim".')
    return asked


def gpu_seconds(steps: int | None, width: int | None, height: int | None, pictures: int = 1) -> float:
    """How many seconds of a lent GPU are asked for: a guess on the safe side, by the work in steps and pixels."""
    pixels = (width or 1024) * (height or 1024)
    return 10 + pictures * (steps or 50) * max(pixels / 2**21, 0.05)


def settled(painter, asked: Asked, label: str) -> tuple[dict, list[str]]:
    """The settings as a model takes them, and what had to be changed for it."""
    remarks: list[str] = []
    scheduler = painter.schedulers[0] if asked.scheduler is None else asked.scheduler
    if scheduler not in painter.schedulers:
        raise Refusal(f"{scheduler[:40]!r} does not fit {label}; choose {' or '.join(painter.schedulers)}.")
    guidance = painter.guidance if asked.guidance is None else asked.guidance
    if painter.unguided and guidance > 1:
        remarks.append(f"{label} was trained to draw without guidance, so there was none.")
        guidance = 0.0
    steps = painter.steps if asked.steps is None else asked.steps
    settings = {
        "negative_prompt": asked.negative_prompt,
        "seed": asked.seed,
        "steps": _clamped("steps", steps, *painter.steps_range, remarks),
        "guidance": guidance,
        "scheduler": scheduler,
    }
    for name, size, own in (("width", asked.width, painter.size[0]), ("height", asked.height, painter.size[1])):
        within = _clamped(name, own if size is None else size, *painter.size_range, remarks)
        settings[name] = within // painter.size_step * painter.size_step
        if settings[name] != within:
            remarks.append(
                f"{name} must be a multiple of {painter.size_step} for {label}, so {settings[name]:,} was taken."
            )
    return settings, remarks


def read(painter, asked: Asked, settings: Mapping, label: str) -> tuple[tuple[str, ...], list[str]]:
    """The words of the prompts that the model has no token for, and what was not read as it was typed."""
    remarks: list[str] = []
    readings = {"prompt": painter.read(asked.prompt)}
    if asked.negative_prompt:
        if painter.takes_negative and settings["guidance"] > 1:
            readings["negative prompt"] = painter.read(asked.negative_prompt)
        elif painter.takes_negative:
            remarks.append("Without guidance the negative prompt has no effect.")
        else:
            remarks.append(f"{label} takes no negative prompt, so it has no effect.")
    unknown = tuple(dict.fromkeys(word for reading in readings.values() for word in reading.unknown_words))
    if unknown:
        remarks.append(f"{label} has no token for {_listed(unknown)}, and reads a blank instead.")
    for name, reading in readings.items():
        if reading.cut:
            shown = reading.cut if len(reading.cut) <= 60 else f"{reading.cut[:60]}…"
            remarks.append(
                f"{label} reads {reading.length:,} tokens; the last {len(reading.cut):,} characters of the {name}, "
                f"“{shown}”, were not read."
            )
    return unknown, remarks


def _listed(texts: Sequence[str], count: int = 5) -> str:
    shown = ", ".join(f"“{text[:40]}”" for text in texts[:count])
    return f"{shown} and {len(texts) - count:,} more" if len(texts) > count else shown


def _text(name: str, value) -> str:
    if not isinstance(value, str):
        raise Refusal(f"The {name} must be a text.")
    if len(value) > MAX_CHARACTERS:
        raise Refusal(f"The {name} has {len(value):,} characters; at most {MAX_CHARACTERS:,} are taken.")
    return value.encode("utf-8", "replace").decode().strip()


def _number(name: str, value) -> float | None:
    """A number or None; Refusal for anything else."""
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Refusal(f"{name} must be a number.")
    return number


def _whole(name: str, value) -> int | None:
    number = _number(name, value)
    if number is not None and not number.is_integer():
        raise Refusal(f"{name} must be a whole number.")
    return None if number is None else int(number)


def _seed(value) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise Refusal(f"seed must be a whole number from 0 to {2**63 - 1:,}.")
    return value


def _clamped(name: str, value, least, most, remarks: list[str]):
    """The value or the nearest within bounds, remarked upon; None stays None."""
    if value is None or least <= value <= most:
        return value
    taken = least if value < least else most
    remarks.append(
        f"{name} must be from {least:,.10g} to {most:,.10g}, so {taken:,.10g} was taken instead of {value:,.10g}."
    )
    return taken
