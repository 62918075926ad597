"""The memory panel of the page's head: the device, its models, and who may unload them.

Only visitors at the machine that serves the page to itself may: a stranger gains nothing by it, since models make room
by themselves when another needs it, while the next visitor pays with a load. Nothing here loads a model, or asks a
device that none has been loaded onto.
"""

import json
from collections.abc import Callable

import gradio as gr

from mmexplorer import residency
from mmexplorer.components.memory_panel import memory_panel
from mmexplorer.errors import Refusal
from mmexplorer.presets import label
from mmexplorer.residency_status import Loaded, Memory
from mmexplorer.runtime import size_text
from mmexplorer.tabs.this_machine import from_this_machine

NOTHING = "No model in memory yet"
NONE = "A model is loaded when it is first used."
NOTE = (
    "When another model needs the room, those not in use leave by themselves, the one used longest ago first. "
    "An unloaded model is loaded again at its next use."
)
NOT_YOURS = "Only who sits at the machine that runs the app can unload models."
GONE = "That model is not in memory any more."


def build(local: bool) -> tuple[gr.HTML, Callable[[], str]]:
    """The panel with its listeners, and a function for its value at present; `local` as in `shell.Page`."""

    def refresh() -> str:
        return payload(residency.memory(), may_unload=local)

    def tick(shown: str | None):
        fresh = refresh()
        return gr.skip() if fresh == shown else fresh

    def evict(event: gr.EventData, request: gr.Request) -> gr.HTML:
        said = _refused(lambda: unload(event), local, request)
        return gr.HTML(refresh(), said=said)

    def evict_all(request: gr.Request) -> gr.HTML:
        said = _refused(unload_all, local, request)
        return gr.HTML(refresh(), said=said)

    panel = memory_panel(refresh(), elem_id="mm-memory")
    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    panel.tick(tick, panel, panel, **quick)
    panel.evict(evict, None, panel, **quick)
    panel.evict_all(evict_all, None, panel, **quick)
    return panel, refresh


def payload(memory: Memory, *, may_unload: bool) -> str:
    """The panel's value: a line, facts of the device, and a row for each model, that used last first."""
    may_unload = may_unload and memory.total > 0  # of ZeroGPU models never leave
    return json.dumps(
        {
            "line": _line(memory),
            "facts": _facts(memory),
            "none": "" if memory.models else NONE,
            "models": [_row(model, memory.budget) for model in reversed(memory.models)],
            "note": NOTE if may_unload or not memory.total else f"{NOTE} {NOT_YOURS}",
            "may_unload": may_unload,
        }
    )


def unload(event: gr.EventData) -> None:
    """Drops the model whose key an event tells; Refusal if it is in use, or there is none such."""
    key = getattr(event, "key", None)
    if not isinstance(key, str) or key not in [model.key for model in residency.loaded()] or not residency.evict(key):
        raise Refusal(GONE)


def unload_all() -> None:
    """Drops every model that is not in use; Refusal if some are, and so stay."""
    residency.evict()
    stay = [label(model.key) for model in residency.loaded()]
    if stay:
        raise Refusal(
            f"{' and '.join(stay)} {'are' if len(stay) > 1 else 'is'} in use, so not everything was unloaded."
        )


def _refused(work: Callable[[], None], local: bool, request: gr.Request) -> str:
    """Why work(), which only some visitors may ask for, was not done; nothing if it was."""
    try:
        if not (local and from_this_machine(request)):
            raise Refusal(NOT_YOURS)
        work()
    except Refusal as refusal:
        return str(refusal)
    return ""


def _line(memory: Memory) -> str:
    if not memory.models:
        return NOTHING
    names = memory.models[0].key if len(memory.models) == 1 else f"{len(memory.models)} models"
    of = f" of {size_text(memory.budget)}" if memory.budget else ""
    return f"{names} in memory, {size_text(memory.taken)}{of}"


def _facts(memory: Memory) -> list[tuple[str, str]]:
    if memory.device is None:
        return []
    facts = [("Device", memory.device)]
    if memory.total:
        facts.append(("Free memory", f"{size_text(memory.free)} of {size_text(memory.total)}"))
        facts.append(("For models", size_text(memory.budget)))
    return facts


def _row(model: Loaded, budget: int) -> dict:
    return {
        "key": model.key,
        "label": label(model.key),
        "size": size_text(model.memory_bytes) + (f", {_percent(model.memory_bytes / budget)}" if budget else ""),
        "share": round(min(1.0, model.memory_bytes / budget), 3) if budget else 0,
        "used": "In use" if model.in_use else f"Last used {_ago(model.idle)}",
        "in_use": model.in_use,
    }


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "under 1%"


def _ago(seconds: float) -> str:
    """A time since, in steps that are coarse enough to stay for a while."""
    if seconds < 60:
        return "just now"
    return f"{seconds // 60:.0f} min ago" if seconds < 3600 else f"{seconds // 3600:.0f} h ago"
