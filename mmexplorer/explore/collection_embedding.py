"""Embeds all that a collection holds: its pictures, then their captions, as far as they can be read.

What is unreadable leaves the table and the locations as well, so that rows keep belonging together.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import collection_files, embedding
from mmexplorer.explore.collection_files import Record, Vectors
from mmexplorer.explore.embedding import Progress
from mmexplorer.hub import Stopped


def embed_again(
    record: Record, model: str, folder: Path | None, progress: Progress | None, stop: threading.Event | None
) -> tuple[Record, Vectors]:
    """A collection by another model: its saved vectors, else embedded anew, and then every picture must be readable."""
    record = replace(record, model=model)
    if folder is not None:
        vectors = collection_files.read_vectors(folder, model, record.locations)
        if vectors is not None:
            return record, vectors
    return embed(record, progress, stop, strict=True)


def embed(
    record: Record,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    on_picture: Callable[[int, Image.Image], None] | None = None,
    strict: bool = False,
) -> tuple[Record, Vectors]:
    """Embeds pictures and captions by the record's model; the record of those that could be, with their vectors.

    Raises Refusal if none can be read, or with `strict` if any cannot.
    """
    captions = record.table["caption"].to_pylist()
    total = len(record.locations) + sum(bool(caption) for caption in captions)

    known = 0

    def pictures_done(done: int, _: int, from_cache: int) -> None:
        nonlocal known
        known = from_cache
        if progress:
            progress(done, total, known)

    def captions_done(done: int, _: int, from_cache: int) -> None:
        if progress:
            progress(len(record.locations) + done, total, known + from_cache)

    pictures = embedding.embed_locations(
        record.locations,
        model=record.model,
        names=record.table["name"].to_pylist(),
        progress=pictures_done,
        stop=stop,
        on_picture=on_picture,
    )
    if pictures.skipped and (strict or not len(pictures.rows)):
        first, more = pictures.skipped[0], len(pictures.skipped) - 1
        others = f", and {more:,} more cannot be read" if more else ""
        raise Refusal(f"{first.name} {first.reason.rstrip('.')}{others}.")
    if not len(pictures.rows):
        raise Stopped("Embedding was stopped before the first picture was done.")
    text_rows = np.array([j for j, row in enumerate(pictures.rows) if captions[row]], np.int64)
    texts = embedding.embed_captions(
        [captions[row] for row in pictures.rows[text_rows]],
        model=record.model,
        progress=captions_done,
        stop=stop,
    )
    complete = pictures.complete and len(texts) == len(text_rows)
    texts = texts if len(texts) else np.empty((0, pictures.vectors.shape[1]), np.float32)
    done = replace(
        record,
        table=record.table.take(pictures.rows),
        locations=tuple(record.locations[row] for row in pictures.rows),
        skipped=(*record.skipped, *pictures.skipped),
        complete=record.complete and complete,
    )
    return done, (pictures.vectors, texts, text_rows[: len(texts)])
