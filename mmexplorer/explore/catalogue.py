"""Which models there are, and others by name."""

import os

from mmexplorer import adoption, presets
from mmexplorer.presets import Preset


def models() -> tuple[Preset, ...]:
    """Every checkpoint this version knows, the ones that ship with it first; a key is what `model=` takes."""
    return presets.presets()


def add_model(name: str | os.PathLike) -> Preset:
    """Makes another checkpoint known: a repository of the Hub, "owner/name" or "owner/name@revision", or a folder.

    Nothing but a listing and some headers is read; the weights are fetched at the first use. The key of what it returns
    is what `model=` takes. Refusal if it is nowhere, or holds neither a CLIP or SigLIP, a LLaVA nor a text-to-image
    pipeline of a known class.
    """
    name = os.fspath(name).strip()
    for row in presets.presets():
        if name == row.key:
            return row
    row = adoption.from_hub(name) if adoption.is_name(name) else adoption.from_folder(name)
    presets.add(row)
    return row
