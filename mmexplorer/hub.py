"""Checkpoints on disk: is it here and intact, how much is missing, fetch it with progress, say what went wrong.

Only safetensors, configuration and tokenizer files, at the pinned revision. Looks on the disk first, so a checkpoint
that is here never waits for the network. HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_TOKEN mean what they mean to
huggingface_hub. The module does not know how a model is built or where it will run.
"""

import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from huggingface_hub import constants

from mmexplorer import hub_files, runtime
from mmexplorer.checkpoint_files import layout
from mmexplorer.errors import Refusal
from mmexplorer.hub_faults import no_space, refusal
from mmexplorer.hub_files import HubFile
from mmexplorer.hub_transfer import Stopped, attended, transfer
from mmexplorer.presets import MODEL_TYPES, Preset

__all__ = ["ANSWER_SECONDS", "Stopped", "fetch", "here", "missing_bytes"]

# The list of files is waited for so long, looking up the Hub's address included.
ANSWER_SECONDS = 10

Progress = Callable[[int, int], None]


def here(preset: Preset) -> Path | None:
    """The checkpoint's folder if every file is on this disk and the weights are whole, else None; no network."""
    folder = _folder(preset)
    return folder if folder.is_dir() and not layout(preset.family).damage(folder) else None


def begun_bytes(preset: Preset) -> int:
    """Bytes of a checkpoint that an unfinished download has left on this disk; no network."""
    return 0 if preset.is_local else min(hub_files.begun_bytes(preset), preset.disk_bytes)


def missing_bytes(preset: Preset) -> int:
    """Bytes that fetching would download, asked of the Hub unless the checkpoint is here; Refusal as `fetch`."""
    if here(preset) is not None:
        return 0
    _refuse_if_unreachable(preset)
    try:
        absent, damaged = hub_files.absent_and_damaged(preset, _announced(preset, threading.Event()))
    except Refusal:
        raise
    except Exception as error:
        raise refusal(preset, error) from error
    return sum(file.size for file in (*absent, *damaged)) - sum(_begun(preset, (*absent, *damaged)).values())


def fetch(preset: Preset, progress: Progress = lambda done, total: None, stop: threading.Event | None = None) -> Path:
    """The checkpoint's folder, downloaded first if it is not whole on this disk.

    progress(bytes done, bytes in all) is called now and then by the calling thread, with (0, 0) while the Hub is asked.
    It counts the files that were not complete; of these, what an earlier try brought is done from the start. Setting
    `stop` ends the download with Stopped. Every other fault is a Refusal whose sentence names the checkpoint and what
    would help. In both cases the next try goes on where this one ended.
    """
    folder = here(preset)
    if folder is None:
        _refuse_if_unreachable(preset)
        try:
            _download(preset, progress, stop or threading.Event())
        except Refusal:
            raise
        # Networks fail with the errors of the library that huggingface_hub happens to use.
        except Exception as error:
            raise refusal(preset, error) from error
        folder = _folder(preset)
        if damage := layout(preset.family).damage(folder):
            raise Refusal(f"{preset.label} arrived damaged ({damage}); run it again to fetch anew what is wrong.")
    _refuse_other_family(preset, folder / layout(preset.family).index)
    return folder


def _download(preset: Preset, progress: Progress, stop: threading.Event) -> None:
    progress(0, 0)
    files = _announced(preset, stop)
    absent, damaged = hub_files.absent_and_damaged(preset, files)
    for file in damaged:
        hub_files.discard(preset, file)
    wanting = absent + damaged
    done = _begun(preset, wanting)
    total = sum(file.size for file in wanting)
    _refuse_without_space(preset, total - sum(done.values()))

    def beat() -> None:
        progress(sum(done.values()), total)

    def bring(some: Sequence[HubFile]) -> None:
        largest_first = sorted(some, key=lambda file: -file.size)
        works = [partial(transfer, preset, file, partial(done.__setitem__, file.name)) for file in largest_first]
        attended(works, stop, beat)

    beat()
    index = next(file for file in files if file.name == layout(preset.family).index)
    if index in wanting:
        # First, as a model of another family can be told by it, and put in place last, as the sign of completeness.
        bring([index])
        _refuse_other_family(preset, hub_files.blob(preset, index))
    bring([file for file in wanting if file is not index])
    for file in sorted(files, key=lambda file: file is index):
        hub_files.put_in_place(preset, file)
    beat()


def _announced(preset: Preset, stop: threading.Event) -> tuple[HubFile, ...]:
    [files] = attended([lambda over: hub_files.announced(preset, ANSWER_SECONDS)], stop, seconds=ANSWER_SECONDS)
    return files


def _begun(preset: Preset, files: Sequence[HubFile]) -> dict[str, int]:
    """Name and bytes of what an earlier try brought of each file."""
    sizes = {file: hub_files.size_on_disk(hub_files.partial(hub_files.blob(preset, file))) for file in files}
    return {file.name: min(size, file.size) for file, size in sizes.items()}


def _folder(preset: Preset) -> Path:
    return preset.path if preset.is_local else hub_files.snapshot(preset)


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


def _refuse_without_space(preset: Preset, wanted: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    parent = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if (free := shutil.disk_usage(parent).free) < wanted:
        raise no_space(preset, wanted, free)


def _refuse_other_family(preset: Preset, index: Path) -> None:
    try:
        found = layout(preset.family).kind_in(index)
    except (OSError, ValueError):
        raise Refusal(
            f"{preset.label} is of no use: its {layout(preset.family).index} cannot be read; choose another model."
        ) from None
    if found not in MODEL_TYPES[preset.family]:
        wanted = " or ".join(sorted(MODEL_TYPES[preset.family]))
        raise Refusal(f"{preset.label} holds a model of type {found[:40]!r} where {wanted} is needed.")
