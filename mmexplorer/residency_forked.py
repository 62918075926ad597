"""Which models are in memory on ZeroGPU, where a GPU is lent to a fork of the process for the length of a call.

It does not know what runs in a fork; that is the business of `lending`.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmexplorer import runtime
from mmexplorer.errors import Refusal
from mmexplorer.placement import Machine, Placement
from mmexplorer.presets import Preset
from mmexplorer.residency import Residency, _Attempt, _note_download
from mmexplorer.residency_status import Memory, Status


class ForkedResidency(Residency):
    """Models stay where their first use in the main process placed them; what a fork loads is lost with it.

    So the app uses its default models once before it starts, by the thread that imported `spaces`: only there can they
    be placed on "cuda", which stands for the GPU to come.
    """

    def __init__(self, device: str = "cuda", **options):
        super().__init__(device, **options)

    def prepare(self, key: str, stop: threading.Event | None = None) -> None:
        """Fetch the files of a model that is not in memory, for the fork that will load it."""
        preset = self._find(key)
        attempt = _Attempt(Status("loading", "looking on this disk"))
        with self._changed:
            if key in self._residents:
                return
            self._attempts[key] = attempt
        try:
            self._files.fetch(preset, lambda done, total: _note_download(attempt, done, total), stop)
        finally:
            with self._changed:
                self._attempts.pop(key, None)

    @contextmanager
    def held(self, key: str, stop: threading.Event | None = None) -> Iterator[None]:
        """Only prepares: each verb stands in line for a GPU of its own."""
        self.prepare(key, stop)
        yield

    def memory(self) -> Memory:
        """The models, and no figures of a GPU that this process must not touch."""
        return Memory("ZeroGPU", models=tuple(self.loaded()))

    def machine(self) -> Machine:
        """A whole GPU, whose memory the main process must not ask for."""
        return Machine(self._device, sys.maxsize)

    def _room(self, device: str | None = None) -> int:
        return sys.maxsize

    def _too_big(self, preset: Preset, placement: Placement, what: str) -> Refusal:
        need = runtime.size_text(placement.memory_bytes)
        return Refusal(f"{preset.label} {what}: it needs about {need} of the GPU lent to it; choose a smaller model.")

    def _drop_unpinned(self, only: str | None = None) -> list[str]:
        return []
