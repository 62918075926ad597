"""The list of models in a tab: what runs on this machine first, what is here already, and any other by its name.

It does not know what a tab does with a model.
"""

from collections.abc import Iterable

import gradio as gr

from mmexplorer import adoption, residency
from mmexplorer.placement import FITS, SLOW, TOO_BIG, place
from mmexplorer.presets import Preset, presets
from mmexplorer.residency_status import Status
from mmexplorer.runtime import size_text

ORDER = (FITS, SLOW, TOO_BIG)
HERE = ("found", "loading", "ready")
ANY_OTHER = "Or write owner/name of the Hub, or a folder, and press Enter."


def choices(ability: str) -> list[tuple[str, str]]:
    """Labels and keys of the models with an ability: toys, then what fits, what is slow, and what is too big here."""
    rows = [row for row in presets() if ability in row.abilities]
    machine = residency.machine()  # once, since a graphics card takes a moment to answer
    standing = {row.key: (place(row, machine).verdict, residency.status(row.key)) for row in rows}

    def rank(row: Preset) -> tuple:
        verdict, status = standing[row.key]
        return row.tier != "toy", ORDER.index(verdict), status.stage not in HERE

    return [(_label(row, *standing[row.key]), row.key) for row in sorted(rows, key=rank)]


def dropdown(ability: str, value, *, local: bool, info: str, **options) -> gr.Dropdown:
    """The list; where the page is served to this machine alone, visitors may name other models."""
    told = f"{info} {ANY_OTHER}" if local else info
    return gr.Dropdown(choices(ability), value=value, allow_custom_value=local, info=told, scale=3, min_width=280,
                       **options)  # fmt: skip


def unknown(keys: Iterable[str]) -> list[str]:
    """Those of the chosen models that nobody knows yet and that may be names of others."""
    known = {row.key for row in presets()}
    return [key for key in keys if key not in known and _may_be_named(key)]


def suggestion(ability: str) -> Preset | None:
    """The largest model that a GPU of this machine holds; None without a GPU."""
    machine = residency.machine()
    if machine.device == "cpu":
        return None
    rows = [row for row in presets() if ability in row.abilities and place(row, machine).verdict == FITS]
    return max(rows, key=lambda row: row.parameters, default=None)


def default(ability: str, toy: str) -> str:
    """The model that is chosen at first: the toy, or on a GPU the best that fits if it has been downloaded before."""
    row = suggestion(ability)
    return row.key if row is not None and _is_here(row) else toy


def _may_be_named(key: str) -> bool:
    return adoption.is_name(key) or key.startswith(("/", "./", "../", "~", ".\\")) or key[1:3] == ":\\"


def _is_here(row: Preset) -> bool:
    return residency.status(row.key).stage in HERE


def _label(row: Preset, verdict: str, status: Status) -> str:
    if row.tier == "toy":
        return row.label
    left = row.disk_bytes - (status.bytes_done if status.stage == "absent" else 0)
    there = "on this disk" if status.stage in HERE else f"{size_text(left)} to download"
    speed = {FITS: "", SLOW: " · slow here", TOO_BIG: " · too big for this machine"}[verdict]
    return f"{row.label} · {there}{speed}"
