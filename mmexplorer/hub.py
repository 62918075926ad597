"""Checkpoints on disk: is it here and intact, how much is missing, fetch it with progress, say what went wrong.

Only safetensors, configuration and tokenizer files, at the pinned revision. Looks on the disk first, so a checkpoint
that is here never waits for the network. HF_ENDPOINT, HF_HOME and HF_HUB_CACHE are honoured as huggingface_hub does.
The module does not know how a model is built or where it will run.
"""

import errno
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mmexplorer import runtime
from mmexplorer.checkpoint_files import layout
from mmexplorer.errors import Refusal
from mmexplorer.presets import MODEL_TYPES, Preset

ANSWER_SECONDS = 10

Progress = Callable[[int, int], None]


class Stopped(Refusal):
    """The visitor stopped it."""


def here(preset: Preset) -> Path | None:
    """The checkpoint's folder if every file is on this disk and the weights are whole, else None; no network."""
    folder = _folder(preset)
    return folder if folder is not None and not layout(preset.family).damage(folder) else None


def missing_bytes(preset: Preset) -> int:
    """Bytes that fetching would download, asked of the Hub unless the checkpoint is here; Refusal as `fetch`."""
    if here(preset) is not None:
        return 0
    _refuse_if_unreachable(preset)
    try:
        return sum(_missing(preset).values())
    except (OSError, ValueError) as error:
        raise refusal(preset, error) from error


def fetch(preset: Preset, progress: Progress = lambda done, total: None, stop: threading.Event | None = None) -> Path:
    """The checkpoint's folder, downloaded first if it is not whole on this disk.

    progress(bytes done, bytes to fetch) is called from worker threads. Setting `stop` ends the download at the next
    block with Stopped; finished files stay for the next time, a broken-off file starts anew. Every other fault is a
    Refusal whose sentence names the checkpoint and what would help.
    """
    folder = here(preset)
    if folder is None:
        _refuse_if_unreachable(preset)
        try:
            folder = _download(preset, progress, stop or threading.Event())
        except Refusal:
            raise
        # What huggingface_hub raises on purpose is an OSError, a ValueError or an httpx error, which is an Exception.
        except Exception as error:
            raise refusal(preset, error) from error
        if damage := layout(preset.family).damage(folder):
            raise Refusal(f"{preset.label} arrived damaged ({damage}); run it again to download it anew.")
    _refuse_other_family(preset, folder)
    return folder


def _download(preset: Preset, progress: Progress, stop: threading.Event) -> Path:
    missing = _missing(preset)
    wanted = sum(missing.values())
    cache = Path(constants.HF_HUB_CACHE)
    parent = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if (free := shutil.disk_usage(parent).free) < wanted:
        raise _no_space(preset, wanted, free)
    meter = _meter(lambda done: progress(min(done, wanted), wanted), stop)
    progress(0, wanted)
    folder = _snapshot(preset, tqdm_class=meter, force_download=_folder(preset) is not None)
    progress(wanted, wanted)
    return folder


def _snapshot(preset: Preset, **options) -> Path:
    # Over plain HTTP the meter is called between blocks, which is where `stop` can end the transfer; Xet moves bytes
    # outside Python. huggingface_hub has no argument for the choice, only this constant (HF_HUB_DISABLE_XET).
    constants.HF_HUB_DISABLE_XET = True
    patterns = list(layout(preset.family).patterns)
    return Path(snapshot_download(preset.source, revision=preset.revision, allow_patterns=patterns, **options))


def _folder(preset: Preset) -> Path | None:
    """The folder with every file in place, whether or not the files are whole."""
    if preset.is_local:
        return preset.path if (preset.path / layout(preset.family).index).is_file() else None
    try:
        folder = _snapshot(preset, local_files_only=True)
    except LocalEntryNotFoundError:  # nothing here, or (a subclass) only a part
        return None
    return folder if layout(preset.family).found(folder) else None


def _missing(preset: Preset) -> dict[str, int]:
    """Name and bytes of each file that a download would fetch."""
    # Asked before anything else because this request is made once, where snapshot_download asks a Hub that is down
    # again and again for 23 seconds.
    answer = HfApi().model_info(preset.source, revision=preset.revision, files_metadata=True, timeout=ANSWER_SECONDS)
    files = {
        file.rfilename: file.size or 0
        for file in answer.siblings or ()
        if layout(preset.family).files_among([file.rfilename])
    }
    if not any(name.endswith(".safetensors") for name in files):
        raise Refusal(f"{preset.label} has no safetensors weights at its pinned revision, and no others are loaded.")
    if _folder(preset) is not None:  # complete, so it is asked for because it is damaged: all of it comes again
        return files
    return {
        name: size
        for name, size in files.items()
        if not isinstance(try_to_load_from_cache(preset.source, name, revision=preset.revision), str)
    }


def _meter(report: Callable[[int], None], stop: threading.Event) -> type:
    """A class that takes tqdm's place in huggingface_hub: reports bytes over all files, raises Stopped on `stop`."""
    lock = threading.Lock()
    bars = []

    class Meter:
        def __init__(self, *_, total: int | None = None, initial: int = 0, unit: str = "it", **__):
            self.n, self.total = initial, total
            self.format_dict = {}
            if unit == "B":  # one bar counts bytes received, one bytes written, a third counts files
                bars.append(self)

        def update(self, n: float | None = 1) -> None:
            if stop.is_set():
                raise Stopped("The download was stopped; what was complete is kept for the next time.")
            with lock:
                self.n += n or 0
                if self in bars:
                    report(int(max(bar.n for bar in bars)))

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            pass

        def close(self, *_, **__) -> None:
            pass

        refresh = set_description = set_description_str = set_postfix_str = close

    return Meter


def _refuse_if_unreachable(preset: Preset) -> None:
    if preset.is_local:
        damage = layout(preset.family).damage(preset.path)
        raise Refusal(
            f"{preset.label} cannot be read from {preset.source} ({damage}); restore that folder from the repository."
        )
    if runtime.offline():
        raise Refusal(
            f"{preset.label} is not on this disk and the app is offline; choose a toy model, or start the app "
            f"with a network to download {runtime.size_text(preset.disk_bytes)}."
        )


def _refuse_other_family(preset: Preset, folder: Path) -> None:
    found = layout(preset.family).says(folder)
    if found not in MODEL_TYPES[preset.family]:
        wanted = " or ".join(sorted(MODEL_TYPES[preset.family]))
        raise Refusal(f"{preset.label} holds a model of type {found[:40]!r} where {wanted} is needed.")


def _no_space(preset: Preset, wanted: int, free: int) -> Refusal:
    return Refusal(
        f"{preset.label} needs {runtime.size_text(wanted)} of disk space and {runtime.size_text(free)} is free; "
        "make room and run it again."
    )


def refusal(preset: Preset, error: BaseException) -> Refusal:
    """The sentence for a fault of the Hub, the network or the disk, found along the chain of causes."""
    name = preset.label
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    for fault in chain:
        if isinstance(fault, GatedRepoError):  # before RepositoryNotFoundError, which it extends
            page = f"{constants.ENDPOINT}/{preset.source}"
            return Refusal(
                f"{name} is gated: accept its terms at {page}, sign in with `hf auth login`, and run it again."
            )
        if isinstance(fault, RevisionNotFoundError):
            return Refusal(
                f"{name} is no longer published at the revision {preset.revision[:12]} that this app pins; "
                "choose another model."
            )
        status = fault.response.status_code if isinstance(fault, HfHubHTTPError) else 0
        if isinstance(fault, RepositoryNotFoundError) or status in (401, 404):
            return Refusal(
                f"{name} was not found on the Hub as {preset.source}; it may be removed, renamed or private, so choose "
                "another model."
            )
        if status:
            return Refusal(
                f"The Hub answered with error {status} when asked for {name}; "
                "try again in a few minutes, or choose a toy model."
            )
        if isinstance(fault, OSError) and fault.errno == errno.ENOSPC:
            return _no_space(preset, preset.disk_bytes, 0)
        if isinstance(fault, OSError) and "Consistency check failed" in str(fault):
            return Refusal(f"The download of {name} broke off early; run it again, complete files are kept.")
    return Refusal(
        f"{name} is not on this disk ({runtime.size_text(preset.disk_bytes)}) and the Hub could not be reached "
        f"({type(chain[-1]).__name__}); check the network, or choose a toy model."
    )
