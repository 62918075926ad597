"""Rows for checkpoints that are in no table: any repository of the Hub, or any folder, that holds a known family.

Reads a repository's listing and the headers of its weights, never the weights, and pins the commit that it finds. What
is on this disk needs no network. The module does not know which pages may ask it.
"""

import re
import threading
from dataclasses import replace
from math import prod
from pathlib import Path

from huggingface_hub import HfApi, ModelInfo, hf_hub_download
from huggingface_hub.errors import RevisionNotFoundError
from safetensors import safe_open

from mmexplorer import hub, hub_files, runtime
from mmexplorer.checkpoint_files import INDEX_FILES, layout
from mmexplorer.errors import Refusal
from mmexplorer.hub_faults import refusal
from mmexplorer.hub_transfer import attended
from mmexplorer.presets import CHATS, DRAWS, DRAWS_UNGUIDED, GROUNDS, MODEL_TYPES, Preset

ABILITIES = {"clip": GROUNDS, "llava": CHATS, "diffusion": DRAWS}
# A CLIP answers with one pass and the others with many, so that processors manage fewer parameters of theirs.
GPU_PARAMETERS = {"clip": 400_000_000, "llava": 1_000_000_000, "diffusion": 600_000_000}
NAME = re.compile(r"(?P<repository>[\w.-]{1,96}/[\w.-]{1,96})(@(?P<revision>[\w.-]{1,100}))?")
NOTE = "Named by a visitor, not tried by this project."
HOLDS = "CLIP or SigLIP model, LLaVA, or text-to-image pipeline of a known class"


def is_name(text: str) -> bool:
    """Whether a text has the form of a repository's name, "owner/name" or "owner/name@revision"."""
    return NAME.fullmatch(text.strip()) is not None


def from_folder(folder: str | Path) -> Preset:
    """The row of a checkpoint in a folder of this machine, whose key is the folder's path.

    Refusal if there is none, if it is damaged, or if it holds another family.
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise Refusal(f"There is no folder {str(folder)[:120]!r}.")
    family, kind = _family(folder, folder.name)
    if damage := layout(family).damage(folder):
        raise Refusal(f"The checkpoint in {folder.name} cannot be used: {damage}.")
    parameters, size = _counted(layout(family).weight_files(folder))
    return _row(str(folder), folder.name, str(folder), None, family, kind, parameters, size)


def from_hub(name: str) -> Preset:
    """The row of a repository of the Hub, "owner/name" or "owner/name@revision", pinned to the commit it has now.

    A repository that is on this disk is not asked for again. Refusal if the Hub cannot be reached or says no, or if
    the repository holds no safetensors weights of a known family.
    """
    match = NAME.fullmatch(name.strip())
    if match is None:
        raise Refusal(f"{name[:60]!r} is not a name of the Hub; write it like openai/clip-vit-base-patch16.")
    name = name.strip()
    asked = _row(name, name, match["repository"], match["revision"] or "main", "clip", "", 0, 0)
    return _cached(asked) or _listed(asked)


def _cached(asked: Preset) -> Preset | None:
    """The row of a repository that is whole on this disk, at the revision asked for or else the newest one here."""
    folders = sorted(hub_files.snapshot(asked).parent.glob("*"), key=lambda folder: folder.stat().st_mtime)
    for folder in reversed(folders):
        if asked.revision not in ("main", folder.name):
            continue
        try:
            family, kind = _family(folder, asked.label)
        except Refusal:
            continue
        if layout(family).found(folder) and not layout(family).damage(folder):
            parameters, size = _counted(layout(family).weight_files(folder))
            return _row(asked.key, asked.label, asked.source, folder.name, family, kind, parameters, size)
    return None


def _listed(asked: Preset) -> Preset:
    """The row of a repository as the Hub describes it."""
    if runtime.offline():
        raise Refusal(f"{asked.label} is not on this disk and the app is offline; choose a model that is here.")
    try:
        [told] = attended([lambda _: _asked_of_hub(asked)], threading.Event(), seconds=hub.ANSWER_SECONDS)
        sizes = {file.rfilename: file.size or 0 for file in told.siblings or ()}
        index = next((name for name in INDEX_FILES if name in sizes), None)
        if index is None:
            raise Refusal(f"{asked.label} holds no {HOLDS}.")
        file = Path(hf_hub_download(asked.source, index, revision=told.sha))
        family, kind = _family(file.parent, asked.label)
        weights = layout(family).weights_among(sizes)
        if not weights:
            raise Refusal(f"{asked.label} has no safetensors weights, and no others are loaded.")
        parameters = sum(_parameters_on_hub(asked.source, name, told.sha, sizes[name]) for name in weights)
    except Refusal:
        raise
    except RevisionNotFoundError as error:
        raise Refusal(f"{asked.source} has no revision {asked.revision!r}.") from error
    except Exception as error:  # as in hub.fetch: an OSError, a ValueError or an httpx error
        raise refusal(asked, error) from error
    size = sum(sizes[name] for name in layout(family).files_among(sizes))
    row = _row(asked.key, asked.label, asked.source, told.sha, family, kind, parameters, size)
    licence = (told.card_data or {}).get("license") or "not stated"
    return replace(row, licence=str(licence)[:60], gated=bool(told.gated))


def _asked_of_hub(asked: Preset) -> ModelInfo:
    return HfApi().model_info(asked.source, revision=asked.revision, files_metadata=True, timeout=hub.ANSWER_SECONDS)


def _parameters_on_hub(repository: str, name: str, revision: str, size: int) -> int:
    """How many numbers a file of weights holds, read from its header alone."""
    counts = HfApi().parse_safetensors_file_metadata(repository, name, revision=revision).parameter_count
    return sum(counts.values()) or size // 2


def _counted(files: list[Path]) -> tuple[int, int]:
    """How many numbers files of weights hold, and their bytes."""
    numbers = 0
    for file in files:
        with safe_open(file, framework="numpy") as weights:
            numbers += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return numbers, sum(file.stat().st_size for file in files)


def _family(folder: Path, label: str) -> tuple[str, str]:
    """The family of the checkpoint whose index lies in a folder, and what the checkpoint calls itself."""
    for family, types in MODEL_TYPES.items():
        try:
            kind = layout(family).says(folder)
        except (OSError, ValueError):
            continue
        if kind in types:
            return family, kind
    raise Refusal(f"{label} holds no {HOLDS}.")


def _row(
    key: str, label: str, source: str, revision: str | None, family: str, kind: str, parameters: int, size: int
) -> Preset:
    few_steps = family == "diffusion" and "turbo" in label.lower()
    return Preset(
        key=key,
        label=label,
        family=family,
        source=source,
        revision=revision,
        disk_bytes=size,
        parameters=parameters,
        licence="not stated",
        gated=False,
        paper="",
        abilities=DRAWS_UNGUIDED if few_steps else ABILITIES[family],
        tier="gpu" if parameters > GPU_PARAMETERS[family] else "cpu",
        note=f"{NOTE} {kind}".strip(),
    )
