"""Reads members of a zip archive in place, within bounds that a hostile archive cannot leave.

Nothing is written to the disk, so a member's name is only ever a name. What the members mean is not known here.
"""

import io
import threading
import zipfile
from pathlib import Path, PurePosixPath

from mmexplorer.errors import Refusal

MAX_DIRECTORY_BYTES = 32_000_000  # of the table of contents: some 300,000 members
BLOCK = 1 << 20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others inflate without a bound in Python's zipfile


class ZipArchive:
    """An open archive that threads take turns at; Refusal where the file is no archive or holds too many members."""

    def __init__(self, path: str | Path):
        self.name, self._lock = Path(path).name, threading.Lock()
        try:
            file = _BoundedFile(io.FileIO(path))
        except OSError as error:
            raise Refusal(f"{self.name} cannot be read ({error.strerror}).") from error
        try:
            self._zip = zipfile.ZipFile(file)
        except Refusal:
            file.close()
            raise
        except Exception as error:  # a hostile table of contents fails in many ways besides BadZipFile
            file.close()
            raise Refusal(f"{self.name} is damaged or not a zip archive; pack the pictures again.") from error

    def members(self) -> dict[str, zipfile.ZipInfo]:
        """The files by their paths; of files with one path the last, as unpacking would leave it."""
        return {info.filename: info for info in self._zip.infolist() if not info.is_dir()}

    def read(self, member: str, limit: int) -> bytes:
        """The bytes of a member; Refusal where it is missing, damaged, encrypted or states more than `limit` bytes."""
        name = PurePosixPath(member).name
        with self._lock:
            info = self._zip.NameToInfo.get(member)
            if info is None:
                raise Refusal(f"{name} is no longer in {self.name}.")
            if reason := unreadable(info, limit):
                raise Refusal(f"{name} in {self.name} {reason}.")
            try:
                # In blocks, because only then is what a member inflates to bounded; it ends at the stated size, and a
                # false statement fails the checksum.
                with self._zip.open(info) as file:
                    return b"".join(iter(lambda: file.read(BLOCK), b""))
            except Exception as error:  # zlib.error, BadZipFile, EOFError, struct.error ...
                raise Refusal(f"{name} is damaged in {self.name}; pack it again.") from error


def unreadable(info: zipfile.ZipInfo, limit: int) -> str:
    """Why a member will not be read, for instance "is encrypted"; empty if nothing in its entry speaks against it."""
    if info.flag_bits & 1:
        return "is encrypted"
    if info.compress_type not in METHODS:
        return "is packed by a method other than Deflate"
    if info.file_size > limit:
        return f"has more than {limit // 1_000_000} MB"
    return ""


class _BoundedFile(io.BufferedReader):
    """A file that declines a read as large as only an outsized table of contents needs."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise Refusal(f"{Path(self.raw.name).name} holds too many files; pack fewer into one archive.")
        return super().read(size)
