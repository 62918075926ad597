"""A residency of its own whose models are tiny pipelines, built when they are asked for, and what is needed to lend it.

For tests of what holds models: each patches the modules that it tests.
"""

import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from mmexplorer import presets
from mmexplorer.hub import Stopped
from mmexplorer.models.diffusion import load
from mmexplorer.residency import Residency

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny_pipelines.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

ABLE = {
    "tiny": {"draws"},
    "turbo": {"draws", "unguided"},
    "pixart": {"draws"},
    "lcm": {"draws"},
    "toy-clip": {"embeds"},
}
BUILDERS = {"tiny": "sd"}


def row(key: str):
    """A preset of that key."""
    able = frozenset(ABLE.get(key, ()))
    return replace(presets.preset("toy-clip"), key=key, label=f"Tiny {key}", abilities=able, tier="cpu")


def rows() -> tuple:
    """All of them."""
    return tuple(row(key) for key in ABLE)


def build(folder: Path) -> Residency:
    """A residency that writes its pipelines into that folder."""

    def fetch(preset, progress=None, stop=None):
        return tiny.save(BUILDERS.get(preset.key, preset.key), folder / preset.key)

    files = SimpleNamespace(fetch=fetch, here=lambda preset: folder)
    return Residency("cpu", 10**9, find=row, files=files, load=load)


def is_free(residency: Residency, within: float = 5.0) -> bool:
    """Whether somebody else gets the device; asked by another thread, since who has it gets it again."""

    def use():
        with residency.use("tiny", stopping(within)):
            return True

    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(use).result()
        except Stopped:
            return False


def assert_free(residency: Residency) -> None:
    """That nobody holds the device any more."""
    assert is_free(residency)


def stopping(within: float) -> threading.Event:
    """A stop flag that is set after so many seconds."""
    stop = threading.Event()
    timer = threading.Timer(within, stop.set)
    timer.daemon = True
    timer.start()
    return stop
