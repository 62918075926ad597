"""The files of a checkpoint: what the Hub announces, and what of it is on this disk, in huggingface_hub's cache.

Files lie there as huggingface_hub lays them, so that other programs find them: contents in blobs/, named by their
checksum, and links to them in snapshots/<revision>/. The index of a checkpoint is put there last, so a folder with an
index is complete. The module moves nothing over the network but the list of files.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HFValidationError

from mmexplorer.checkpoint_files import layout
from mmexplorer.errors import Refusal
from mmexplorer.presets import Preset

_CHECKSUM = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


class NotAHub(Exception):
    """What answered in place of the Hub is something else."""


@dataclass(frozen=True)
class HubFile:
    """One file as the Hub announces it.

    The checksum is the SHA-256 of a large file's content, and of a small one the SHA-1 that git gives it.
    """

    name: str
    size: int
    checksum: str

    def matches(self, path: Path) -> bool:
        """Whether the file's content is the announced one; reads all of it."""
        if path.stat().st_size != self.size:
            return False
        with path.open("rb") as content:
            if len(self.checksum) == 64:
                return hashlib.file_digest(content, "sha256").hexdigest() == self.checksum
            git = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
            return hashlib.file_digest(content, lambda: git).hexdigest() == self.checksum


def announced(preset: Preset, seconds: float) -> tuple[HubFile, ...]:
    """The files of a checkpoint that are needed, asked of the Hub in one request that waits so many seconds.

    Refusal where there is no index or no safetensors weights among them, NotAHub where something else answers; else
    what huggingface_hub raises.
    """
    try:
        answer = HfApi().model_info(preset.source, revision=preset.revision, files_metadata=True, timeout=seconds)
    except HFValidationError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAHub(constants.ENDPOINT) from error
    wanted = set(layout(preset.family).files_among(file.rfilename for file in answer.siblings or ()))
    files = tuple(
        HubFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else file.blob_id or "")
        for file in answer.siblings or ()
        if file.rfilename in wanted
    )
    if not any(file.name.endswith(".safetensors") for file in files):
        raise Refusal(f"{preset.label} has no safetensors weights at its pinned revision, and no others are loaded.")
    if all(file.name != layout(preset.family).index for file in files):
        raise Refusal(f"{preset.label} has no {layout(preset.family).index}, so it is not a model of this kind.")
    for file in files:
        if not _CHECKSUM.fullmatch(file.checksum) or ".." in Path(file.name).parts:
            raise NotAHub(f"{file.name} is announced without a checksum, or outside its folder.")
    return files


def _storage(preset: Preset) -> Path:
    return Path(constants.HF_HUB_CACHE) / f"models--{preset.source.replace('/', '--')}"


def snapshot(preset: Preset) -> Path:
    """The folder in which a checkpoint from the Hub lies, whether or not it is there."""
    return _storage(preset) / "snapshots" / preset.revision


def blob(preset: Preset, file: HubFile) -> Path:
    """Where the content of a file goes."""
    return _storage(preset) / "blobs" / file.checksum


def partial(blob: Path) -> Path:
    """Where the beginning of a content waits for the rest."""
    return blob.with_name(f"{blob.name}.incomplete")


def lock(preset: Preset, file: HubFile) -> Path:
    """What huggingface_hub, and this app in other processes, locks while a content comes."""
    folder = Path(constants.HF_HUB_CACHE) / ".locks" / _storage(preset).name
    return folder / f"{file.checksum}.lock"


def size_on_disk(path: Path) -> int:
    """Bytes of a file, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def begun_bytes(preset: Preset) -> int:
    """Bytes that an unfinished download of a checkpoint has left here: contents that no folder shows yet."""
    storage = _storage(preset)
    shown = {link.resolve() for link in (storage / "snapshots").glob("*/**/*")}
    return sum(size_on_disk(content) for content in (storage / "blobs").glob("*") if content.resolve() not in shown)


def absent_and_damaged(preset: Preset, files: Iterable[HubFile]) -> tuple[list[HubFile], list[HubFile]]:
    """The announced files that are not on this disk, and those whose content there is another one.

    Contents are read only where no file is absent or of another size: one asks because the checkpoint is damaged.
    """
    held = {file: _held(preset, file) for file in files}
    absent = [file for file, path in held.items() if not path.exists()]
    damaged = [file for file, path in held.items() if file not in absent and path.stat().st_size != file.size]
    if not absent and not damaged:
        damaged = [file for file, path in held.items() if not file.matches(path)]
    return absent, damaged


def _held(preset: Preset, file: HubFile) -> Path:
    link = snapshot(preset) / file.name
    return link if link.exists() else blob(preset, file)


def discard(preset: Preset, file: HubFile) -> None:
    """Remove a file that is on this disk and not what it should be."""
    for path in (snapshot(preset) / file.name, blob(preset, file)):
        path.unlink(missing_ok=True)


def put_in_place(preset: Preset, file: HubFile) -> None:
    """Make the content of a file appear in the checkpoint's folder under its name."""
    link, content = snapshot(preset) / file.name, blob(preset, file)
    if link.exists():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    # In one step, as a link may be there by now: another process has it read, and must not find it gone for a moment.
    made = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    try:
        made.symlink_to(os.path.relpath(content, link.parent))
    except OSError:  # a disk without links, or Windows without the right to make them
        made = content
    os.replace(made, link)
