"""What a tab says about the models that are chosen in it, before anything is fetched."""

import html
from collections.abc import Sequence

from mmexplorer import residency
from mmexplorer.presets import preset
from mmexplorer.tabs.status import message


def about(keys: Sequence[str]) -> str:
    """For each chosen model where it stands, its size, licence and what it is good for."""
    rows = []
    for p in map(preset, keys or ()):
        gate = " (asks for an agreement on the Hub)" if p.gated else ""
        facts = (p.label, p.note, residency.status(p.key).detail, f"{p.licence}{gate}")
        rows.append("<li><b>{}</b>: {} <span>({}; {})</span></li>".format(*map(html.escape, facts)))
    return f'<ul class="mmx-about">{"".join(rows)}</ul>' if rows else message("Choose at least one model.", "note")
