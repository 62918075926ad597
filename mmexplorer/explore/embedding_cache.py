"""Embeddings kept on disk by content, model and revision, so that nothing is embedded twice; and pictures' previews.

One SQLite file per model and revision, and one for all previews: content keys and raw bytes, nothing pickled. A cache
is never in the way: a damaged file is thrown away, a damaged row is a miss, and where nothing can be written everything
is a miss.
"""

import hashlib
import logging
import os
import sqlite3
import threading
import zlib
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer.presets import Preset

FORMAT = 2  # of the file, and of how pictures are decoded: a change makes all that was kept a miss
TINY = 64  # pixels a side; such a picture is worth every one of them
PATIENCE_SECONDS = 10  # for another process that is writing
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # the last: other tables than ours


def picture_key(data: bytes) -> bytes:
    """The key of a picture by the bytes of its file."""
    return hashlib.blake2b(data, digest_size=16, person=b"picture").digest()


def text_key(text: str) -> bytes:
    """The key of a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=b"text").digest()


def model_version(preset: Preset) -> str:
    """What changes with a model's weights or processor: the pinned revision, or a hash of the folder's files."""
    if not preset.is_local:
        return preset.revision
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted((*preset.path.glob("*.safetensors"), *preset.path.glob("*.json"))):
        if path.name != "report.json":
            status = path.stat()
            digest.update(path.name.encode() + _file_digest(path, status.st_mtime_ns, status.st_size))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(path: Path, _time: int, _size: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def cache_folder() -> Path:
    """MMEXPLORER_CACHE, or ~/.cache/mmexplorer."""
    return Path(os.environ.get("MMEXPLORER_CACHE") or Path.home() / ".cache" / "mmexplorer").expanduser()


class BlobCache:
    """Bytes by content keys; threads may share it, and processes the file."""

    def __init__(self, path: Path):
        self.path, self._lock = Path(path), threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._told = False  # that nothing is kept; once is enough

    def find_bytes(self, key: bytes) -> bytes | None:
        """What is kept under a key, if it is whole."""
        found = self._try(
            lambda rows: rows.execute("SELECT data, size, checksum FROM blobs WHERE key = ?", (key,)).fetchone()
        )
        if found is None:
            return None
        data, size, checksum = found
        whole = isinstance(data, bytes) and data and len(data) == size and zlib.crc32(data) == checksum
        return data if whole else None

    def keep_bytes(self, blobs: Mapping[bytes, bytes]) -> None:
        """Keeps bytes under their keys."""
        rows = [(key, data, len(data), zlib.crc32(data)) for key, data in blobs.items()]
        self._try(lambda kept: kept.executemany("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)", rows))

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        with self._lock:
            self._close()

    def _try(self, work):
        """What `work` makes of the open file, None if it cannot be read or written."""
        with self._lock:
            for _ in range(2):  # a damaged file is replaced by a new one, once
                try:
                    if self._connection is None:
                        self._connection = self._opened()
                    with self._connection:
                        return work(self._connection)
                except (sqlite3.Error, OSError) as error:
                    if not self._discarded(error):
                        break
        return None

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=PATIENCE_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # what a crash of the machine damages is only a cache
            with connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS blobs "
                    "(key BLOB PRIMARY KEY, data BLOB, size INTEGER, checksum INTEGER) WITHOUT ROWID"
                )
            return connection
        except BaseException:
            connection.close()
            raise

    def _discarded(self, error: Exception) -> bool:
        """Whether the error meant that the file is damaged, and the file could be removed."""
        self._close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED:  # locked, read-only, no space ...
            if not self._told:
                logging.getLogger(__name__).warning("Embeddings are not kept on disk: %s", error)
            self._told = True
            return False
        try:
            self.path.unlink(missing_ok=True)
            Path(f"{self.path}-journal").unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class EmbeddingCache(BlobCache):
    """The embeddings (d,) float32 of one model."""

    @classmethod
    def of(cls, preset: Preset) -> "EmbeddingCache":
        """The cache of a model at its present version."""
        return cls(cache_folder() / "embeddings" / f"{preset.key}-{model_version(preset)[:16]}-{FORMAT}.sqlite3")

    def find(self, key: bytes) -> np.ndarray | None:
        """The embedding kept under a key."""
        data = self.find_bytes(key)
        return None if data is None or len(data) % 4 else np.frombuffer(data, dtype="<f4").astype(np.float32)

    def keep(self, vectors: Mapping[bytes, np.ndarray]) -> None:
        """Keeps embeddings under their keys."""
        self.keep_bytes({key: np.ascontiguousarray(vector, dtype="<f4").tobytes() for key, vector in vectors.items()})


class PreviewCache(BlobCache):
    """Small pictures, so that a collection that was embedded before need not be decoded for its thumbnails."""

    @classmethod
    def shared(cls) -> "PreviewCache":
        """The cache of all previews, whichever model asks."""
        return cls(cache_folder() / f"previews-{FORMAT}.sqlite3")

    def find(self, key: bytes) -> Image.Image | None:
        """The preview kept under a key, as RGB."""
        data = self.find_bytes(key)
        try:
            return None if data is None else Image.open(BytesIO(data)).convert("RGB")
        except OSError:
            return None

    def keep(self, pictures: Mapping[bytes, Image.Image]) -> None:
        """Keeps RGB pictures under their keys, tiny ones exactly."""
        blobs = {}
        for key, picture in pictures.items():
            file = BytesIO()
            picture.save(file, "PNG" if max(picture.size) <= TINY else "JPEG", quality=88)
            blobs[key] = file.getvalue()
        self.keep_bytes(blobs)
