"""Which models are in memory: loaded at first use, one at a time, pinned while used, the oldest dropped for the next.

One `Residency` looks after one device. `use` gives a model and the device to one visitor at a time; `status` says
what is going on meanwhile. The module does not know what a model computes: a family is the name of a function
load(preset, folder, placement) whose result has memory_bytes and, if it must, close().
"""

import importlib.util
import logging
import os
import pkgutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmexplorer import hub, nvidia, presets, runtime
from mmexplorer.download_pace import DownloadPace
from mmexplorer.errors import Refusal
from mmexplorer.placement import TOO_BIG, Machine, Placement, place
from mmexplorer.presets import Preset
from mmexplorer.residency_status import Loaded, Memory, Status
from mmexplorer.turns import DeviceLock, Places, wait_until

FAMILIES = {
    "clip": "mmexplorer.models.clip:load",
    "diffusion": "mmexplorer.models.diffusion:load",
    "llava": "mmexplorer.models.llava:load",
}

# Of the memory a device has free, this part is left for activations and for everybody else.
RESERVE = 0.1
# Whoever needs the memory of models that others are using waits this long for it.
PATIENCE_SECONDS = 120


@dataclass
class _Attempt:
    """One try at getting a model into memory, shared by all who ask for it meanwhile."""

    status: Status
    pace: DownloadPace = field(default_factory=DownloadPace)
    over: bool = False
    error: Refusal | None = None


@dataclass
class _Resident:
    label: str
    model: Any
    memory_bytes: int
    placement: Placement
    pins: int = 0
    used: float = field(default_factory=time.monotonic)  # when last


def load(preset: Preset, folder: Path, placement: Placement) -> Any:
    """The model wrapper that the preset's family makes of a folder."""
    return pkgutil.resolve_name(FAMILIES[preset.family])(preset, folder, placement)


class Residency:
    """The models of one device; the arguments after `budget` are there for tests.

    device None means the best there is. budget is how many bytes the models may take together; None means
    MMEXPLORER_MEMORY_BUDGET or else what the device has free, less a reserve. The state lock `_changed` is never held
    while anything downloads, loads or computes.
    """

    def __init__(
        self,
        device: str | None = None,
        budget: int | None = None,
        *,
        find: Callable[[str], Preset] = presets.preset,
        files: Any = hub,
        load: Callable[[Preset, Path, Placement], Any] = load,
        place: Callable[[Preset, Machine], Placement] = place,
        memory: Callable[[str], tuple[int, int]] = runtime.memory,
        release: Callable[[str], None] = runtime.release_memory,
        patience: float = PATIENCE_SECONDS,
    ):
        self._device, self._budget, self._patience = device, budget, patience
        self._find, self._files, self._memory, self._release = find, files, memory, release
        self._load, self._place = load, place
        self._residents: OrderedDict[str, _Resident] = OrderedDict()  # least recently used first
        self.forget_threads()

    def forget_threads(self) -> None:
        """Keep the models and begin anew otherwise, as a forked process must: the other threads are not in it."""
        self._changed = threading.Condition()
        self._lock, self._places = DeviceLock(), Places()
        self._attempts: dict[str, _Attempt] = {}
        self._failures: dict[str, str] = {}
        self._building = False
        for resident in self._residents.values():
            resident.pins = 0

    @contextmanager
    def use(self, key: str, stop: threading.Event | None = None) -> Iterator[Any]:
        """The model of that key, loaded if need be, with its device to oneself until the block ends.

        May be nested. Setting `stop` ends waiting and downloading with hub.Stopped. Everything that goes wrong
        before the block, and running out of memory within it, is a Refusal; so are too many jobs of one visitor.
        """
        preset = self._find(key)
        with self._places.place(), self._in_use(preset, stop) as model:
            yield model

    @contextmanager
    def _in_use(self, preset: Preset, stop: threading.Event | None) -> Iterator[Any]:
        resident = self._pinned(preset, stop)
        try:
            with self._lock.turn(stop, preset.key):
                try:
                    yield resident.model
                finally:
                    runtime.release_helpers()
        except Exception as error:
            if not runtime.out_of_memory(error):
                raise
            self._drop_unpinned()
            raise self._too_big(preset, resident.placement, "ran out of memory while working") from None
        finally:
            with self._changed:
                resident.pins -= 1
                resident.used = time.monotonic()
                self._changed.notify_all()
            runtime.tidy_heap()

    def prepare(self, key: str, stop: threading.Event | None = None) -> None:
        """Fetch and load what a use of that model would wait for; errors and `stop` as for `use`."""
        with self.use(key, stop):
            pass

    @contextmanager
    def held(self, key: str, stop: threading.Event | None = None) -> Iterator[None]:
        """Stand in line once for all that the block's verbs compute with that model; errors and `stop` as for `use`."""
        with self.use(key, stop):
            yield

    def status(self, key: str) -> Status:
        """Where the model of that key stands; waits for nothing that loads."""
        preset = self._find(key)
        with self._changed:
            resident, attempt = self._residents.get(key), self._attempts.get(key)
            failure = self._failures.get(key)
        if resident is not None:
            status = Status("ready", f"ready, {runtime.size_text(resident.memory_bytes)}")
        elif attempt is not None:
            status = attempt.status
        elif failure is not None:
            status = Status("failed", failure)
        elif self._files.here(preset) is not None:
            status = Status("found", "on this disk, loads at first use")
        else:
            size, begun = runtime.size_text(preset.disk_bytes), self._files.begun_bytes(preset)
            there = (
                f"{runtime.size_text(begun)} of {size} on this disk, the rest" if begun else f"not on this disk, {size}"
            )
            status = Status("absent", f"{there} to download", begun, preset.disk_bytes)
        ahead, wait = self._lock.ahead()
        return replace(status, waiting=self._lock.waiting, ahead=ahead, wait=wait)

    def machine(self) -> Machine:
        """What there is to lay models out on, were none in memory; before the first is, without loading torch."""
        device = self._device or runtime.expected_device()
        with self._changed:
            taken = sum(model.memory_bytes for model in self._residents.values())
        budget = runtime.memory_budget() if self._budget is None else self._budget
        room = self._room(device) + taken if budget is None else budget
        if not device.startswith("cuda"):
            return Machine(device, room)
        others = [free for number, (free, _) in enumerate(nvidia.cards()) if number != runtime.cuda_index(device)]
        return Machine(
            device,
            room,
            tuple(int(free * (1 - RESERVE)) for free in others),
            int(self._memory("cpu")[0] * (1 - RESERVE)),
            four_bit=importlib.util.find_spec("bitsandbytes") is not None,
        )

    def placement(self, key: str) -> Placement:
        """How the model of that key would be laid out on this machine, were no other in memory."""
        return self._place(self._find(key), self.machine())

    def loaded(self) -> list[Loaded]:
        """Every model in memory, least recently used first."""
        now = time.monotonic()
        with self._changed:
            return [
                Loaded(key, one.memory_bytes, one.pins > 0, 0.0 if one.pins else now - one.used)
                for key, one in self._residents.items()
            ]

    def memory(self) -> Memory:
        """How the device's memory stands; asks no device before the first model is loaded onto it."""
        if self._device is None:
            return Memory()
        (free, total), models = self._memory(self._device), tuple(self.loaded())
        budget = self._budget or sum(model.memory_bytes for model in models) + int(free * (1 - RESERVE))
        return Memory(runtime.device_name(self._device), free, total, budget, models)

    def evict(self, key: str | None = None) -> list[str]:
        """Drop one model, or every model not in use; the keys dropped. Refusal if the one is in use."""
        if key is None:
            return self._drop_unpinned()
        with self._changed:
            # The preset may be forgotten by now, if it was added by name, while its model is still in memory.
            known = key in self._residents
            if known and self._residents[key].pins:
                raise Refusal(f"{self._residents[key].label} is in use; try again when its answer is there.")
        if not known:
            self._find(key)  # Refusal if there never was such a model
        return self._drop_unpinned(key)

    def _pinned(self, preset: Preset, stop: threading.Event | None) -> _Resident:
        """The model, loaded by this call or by the one already at it, pinned for the caller."""
        key = preset.key
        while True:
            with self._changed:
                if key in self._residents:
                    self._residents.move_to_end(key)
                    self._residents[key].pins += 1
                    return self._residents[key]
                attempt = self._attempts.get(key)
                if attempt is None:
                    attempt = self._attempts[key] = _Attempt(Status("loading", "looking on this disk"))
                    self._failures.pop(key, None)
                    break
                wait_until(self._changed, lambda attempt=attempt: attempt.over, stop)
                # A visitor who leaves ends only their own wish: the next one in this loop starts over.
                if attempt.error is not None and not isinstance(attempt.error, hub.Stopped):
                    raise Refusal(str(attempt.error))
        return self._carry_out(attempt, preset, stop)

    def _carry_out(self, attempt: _Attempt, preset: Preset, stop: threading.Event | None) -> _Resident:
        """Fetch and build a model, and tell everyone who waits for it how that ended."""
        try:
            if self._files.here(preset) is None:
                self._refuse_too_big(preset)  # before a download that would be of no use
            folder = self._files.fetch(preset, lambda done, total: _note_download(attempt, done, total), stop)
            resident = self._built(attempt, preset, folder, stop)
            with self._changed:
                self._residents[preset.key] = resident
            return resident
        except Refusal as error:
            attempt.error = error
            raise
        except Exception as error:
            logging.getLogger(__name__).exception("Loading %s failed", preset.key)
            attempt.error = Refusal(
                f"{preset.label} could not be loaded ({type(error).__name__}); its files may be of another kind or "
                "damaged, and the app's log says more."
            )
            raise attempt.error from error
        except BaseException:  # interrupted, so whoever else waits starts over
            attempt.error = hub.Stopped(f"Loading {preset.label} was interrupted.")
            raise
        finally:
            with self._changed:
                attempt.over = True
                del self._attempts[preset.key]
                if attempt.error is not None and not isinstance(attempt.error, hub.Stopped):
                    self._failures[preset.key] = str(attempt.error)
                self._changed.notify_all()

    def _refuse_too_big(self, preset: Preset) -> None:
        placement = self._place(preset, self.machine())
        if placement.verdict == TOO_BIG:
            raise Refusal(
                f"{preset.label} is not downloaded, since it does not fit: {placement.reason}; choose a smaller model."
            )

    def _built(self, attempt: _Attempt, preset: Preset, folder: Path, stop: threading.Event | None) -> _Resident:
        """The model, pinned once, when no other is being built and there is room for it."""
        attempt.status = Status("loading", "getting ready to load")
        if self._device is None:
            self._device = runtime.device()
        if self._budget is None:
            self._budget = runtime.memory_budget()
        self._room()  # the first look at a GPU takes seconds, so once without the state lock
        placement = self._place(preset, self.machine())
        self._claim_room(attempt, preset, placement, stop)
        try:
            while self._room() < placement.memory_bytes and self._drop_oldest():
                pass
            for _ in range(2):
                try:
                    model = self._load(preset, folder, placement)
                    taken = getattr(model, "memory_bytes", placement.memory_bytes)
                    return _Resident(preset.label, model, taken, placement, pins=1)
                except Exception as error:
                    if not runtime.out_of_memory(error):
                        raise
                # After the except block, whose traceback held what had been built.
                self._drop_unpinned()
            raise self._too_big(preset, placement, "does not fit into memory")
        finally:
            with self._changed:
                self._building = False
                self._changed.notify_all()

    def _claim_room(
        self, attempt: _Attempt, preset: Preset, placement: Placement, stop: threading.Event | None
    ) -> None:
        """Wait until nothing else is built and dropping unpinned models would make room; Refusal if it never would."""

        def fits(without_pinned: bool) -> bool:
            droppable = (model for model in self._residents.values() if without_pinned or not model.pins)
            return self._room() + sum(model.memory_bytes for model in droppable) >= placement.memory_bytes

        with self._changed:
            if placement.verdict == TOO_BIG:
                raise self._too_big(preset, placement, "does not fit into memory")
            attempt.status = Status("loading", "waiting for memory, or for another model to load")
            # Whoever has the device does not wait for the pins of others, who may be waiting for the device.
            may_wait = not self._lock.is_held
            ready = wait_until(
                self._changed,
                lambda: not self._building and (not may_wait or fits(without_pinned=False)),
                stop,
                self._patience,
            )
            if not ready or not fits(without_pinned=False):
                raise self._too_big(preset, placement, "has to wait for models that others are using")
            self._building = True
            attempt.status = Status("loading", f"loading onto {self._device}")

    def _room(self, device: str | None = None) -> int:
        """Bytes that models may still take."""
        if self._budget is not None:
            return self._budget - sum(model.memory_bytes for model in self._residents.values())
        free, _ = self._memory(device or self._device)
        return int(free * (1 - RESERVE))

    def _too_big(self, preset: Preset, placement: Placement, what: str) -> Refusal:
        need, room = runtime.size_text(placement.memory_bytes), runtime.size_text(self._room())
        return Refusal(
            f"{preset.label} {what}: it needs about {need} and {room} is free on {self._device}; "
            "choose a smaller model, or try again when others have finished."
        )

    def _drop_oldest(self) -> list[str]:
        with self._changed:
            oldest = next((key for key, model in self._residents.items() if not model.pins), None)
        return [] if oldest is None else self._drop_unpinned(oldest)

    def _drop_unpinned(self, only: str | None = None) -> list[str]:
        """Take unpinned models, or one of them, out of memory; their keys."""
        with self._changed:
            keys = [key for key, model in self._residents.items() if not model.pins and only in (None, key)]
            dropped = [self._residents.pop(key).model for key in keys]
        while dropped:
            model = dropped.pop()
            if hasattr(model, "close"):
                model.close()
            del model
        if self._device is not None:
            self._release(self._device)
        return keys


def _note_download(attempt: _Attempt, done: int, total: int) -> None:
    attempt.pace.note(done, total)
    attempt.status = Status("downloading", attempt.pace.text(), done, total)


def _of_this_machine() -> Residency:
    if not runtime.zero_gpu():
        return Residency()
    from mmexplorer.residency_forked import ForkedResidency  # which extends the class above

    return ForkedResidency()


_default = _of_this_machine()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_default.forget_threads)

# This process's device, for everybody.
use, held, prepare, evict = _default.use, _default.held, _default.prepare, _default.evict
status, loaded, memory = _default.status, _default.loaded, _default.memory
machine, placement = _default.machine, _default.placement
