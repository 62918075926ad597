"""Which models there are."""

from mmexplorer.presets import Preset, presets


def models() -> tuple[Preset, ...]:
    """Every checkpoint this version knows, the ones that ship with it first; a key is what `model=` takes."""
    return presets()
