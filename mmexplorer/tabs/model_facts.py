"""What a tab says about the models that are chosen in it, before anything is fetched."""

import html
from collections.abc import Iterator, Sequence

import gradio as gr

from mmexplorer import placement, residency
from mmexplorer.errors import Refusal
from mmexplorer.explore.catalogue import add_model
from mmexplorer.presets import Preset, able, preset
from mmexplorer.runtime import size_text
from mmexplorer.tabs import model_choice
from mmexplorer.tabs.status import message

MEMORY = "Memory while it works: {}."
GATED = "It asks for an agreement on <a href='{}' target='_blank' rel='noopener'>its page</a> and then for your token."


def wire(model: gr.Dropdown, facts: gr.HTML, ability: str, *, local: bool) -> None:
    """Tells of the chosen models as the page loads and whenever others are chosen, which may be by name if `local`."""

    def tell(chosen: str | list[str]) -> Iterator[str]:
        keys = [chosen] if isinstance(chosen, str) else chosen or []
        unknown = model_choice.unknown(keys) if local else []
        try:
            if unknown:
                yield message(f"Looking for {', '.join(unknown)}.", "busy")
            for name in unknown:
                add_model(name)
            for key in keys:
                able(key, ability)
        except Refusal as refusal:
            yield message(str(refusal), "note")
        else:
            yield about(keys) + offer(ability, keys)

    def list_again() -> gr.Dropdown:
        """The list with what was downloaded since the app was started."""
        return gr.Dropdown(model_choice.choices(ability))

    # Through the queue, which a generator needs.
    gr.on(None, tell, model, facts, show_progress="hidden", api_visibility="private")
    # Without inputs, so only as the page loads.
    gr.on(None, list_again, None, model, queue=False, show_progress="hidden", api_visibility="private")


def about(chosen: str | Sequence[str]) -> str:
    """For each chosen model where it stands, its size, licence, paper, memory, and whether it runs on this machine."""
    keys = [chosen] if isinstance(chosen, str) else chosen or ()
    try:
        rows = [preset(key) for key in keys]
    except Refusal as refusal:
        return message(str(refusal), "note")
    if not rows:
        return message("Choose at least one model.", "note")
    return f'<ul class="mmx-about">{"".join(f"<li>{_said(row)}</li>" for row in rows)}</ul>'


def offer(ability: str, keys: Sequence[str]) -> str:
    """What else this machine could run, where toys are chosen although there is a GPU; empty otherwise."""
    best = model_choice.suggestion(ability)
    if best is None or best.tier == "toy" or any(preset(key).tier != "toy" for key in keys):
        return ""
    size = residency.status(best.key).detail
    return message(f"This machine has a GPU that holds {best.label} ({size}): choose it in the list.", "quiet")


def _said(row: Preset) -> str:
    head = f"<b>{html.escape(row.label)}</b>: {html.escape(row.note)}"
    facts = f"{residency.status(row.key).detail}; {row.licence}"
    if row.tier == "toy":
        return f"{head} <span>({html.escape(facts)})</span>"
    paper, link = (part.strip() for part in row.paper.rpartition(",")[::2])
    read = f"; <a href='{html.escape(link)}' target='_blank' rel='noopener'>{html.escape(paper)}</a>" if link else ""
    more = [_here(row), MEMORY.format(_memory(row))]
    if row.gated:
        more.append(GATED.format(html.escape(f"https://huggingface.co/{row.source}")))
    return f"{head} <span>({html.escape(facts)}{read})</span> {' '.join(more)}"


def _here(row: Preset) -> str:
    """Whether it runs on this machine, and if not well, why."""
    placed = residency.placement(row.key)
    why = f": {placed.reason}" if placed.reason else ""
    word = {placement.FITS: "Fits this machine", placement.SLOW: "Slow here", placement.TOO_BIG: "Too big here"}
    return html.escape(f"{word[placed.verdict]}{why}.")


def _memory(row: Preset) -> str:
    every = sorted({bits for kind in ("cpu", "cuda") for bits in placement.formats(row, kind)}, reverse=True)
    return ", ".join(f"{size_text(placement.memory_bytes(row, bits))} in {bits} bits" for bits in every)
