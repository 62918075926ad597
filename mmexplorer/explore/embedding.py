"""Pictures and texts become unit vectors: few at once for the asking, or whole collections with progress and a cache.

Threads read, decode and scale pictures ahead of the model, so memory does not grow with their number. The device is
held for one batch at a time, which lets other visitors in between. Never imports torch itself.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.explore.embedding_cache import EmbeddingCache, PreviewCache, picture_key, text_key
from mmexplorer.explore.picture_listing import Skipped
from mmexplorer.explore.picture_locations import location_name, read_location
from mmexplorer.hub import Stopped
from mmexplorer.lending import lent
from mmexplorer.pictures import PictureSource, open_picture
from mmexplorer.presets import preset

BATCH, TEXT_BATCH = 32, 256
AHEAD = 2 * BATCH  # pictures prepared before their turn: 40 MB at 224 x 224 pixels
THREADS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
PREVIEW_SIDE = 192  # pixels; twice a thumbnail's

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class EmbeddedPictures:
    """The pictures of a collection that were embedded.

    vectors (k, d) float32 are unit rows and rows (k,) int64 the pictures they belong to, ascending. complete says
    whether it went on to the end; stopped before the first vector there is nothing to know d from, and it is 0.
    """

    vectors: np.ndarray
    rows: np.ndarray
    skipped: tuple[Skipped, ...]
    complete: bool


def embed_images(images: PictureSource | Sequence[PictureSource], *, model: str = "toy-clip") -> np.ndarray:
    """Unit embeddings (n, d) float32 of pictures: paths, bytes, arrays or PIL images, one or several.

    Raises Refusal that names the picture if one cannot be read.
    """
    single = isinstance(images, str | Path | bytes | bytearray | memoryview | np.ndarray | Image.Image)
    sources = [images] if single else list(images)
    if not sources:
        raise Refusal("There is no picture to embed.")

    def name(row: int) -> str:
        return "" if single or isinstance(sources[row], str | Path) else f"Picture {row + 1}"

    prepare = _preparation(model, None)
    items = _ahead(range(len(sources)), lambda row: _Item(row, pixels=prepare(open_picture(sources[row], name(row)))))
    batches = []
    while batch := list(islice(items, BATCH)):
        batches.append(_picture_vectors(model, [item.pixels for item in batch], None))
    return np.concatenate(batches)


def embed_texts(texts: str | Sequence[str], *, model: str = "toy-clip") -> np.ndarray:
    """Unit embeddings (m, d) float32 of one text or several; what is longer than the model reads does not count."""
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise Refusal("There is no text to embed.")
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise Refusal(f"A text to embed must be a string, not of type {type(wrong[0]).__name__}.")
    readable = [text.encode("utf-8", "replace").decode() for text in texts]  # half a surrogate pair is no Unicode
    batches = []
    for start in range(0, len(readable), TEXT_BATCH):
        batches.append(_text_vectors(model, readable[start : start + TEXT_BATCH], None))
    return np.concatenate(batches)


def embed_locations(
    locations: Sequence[str],
    *,
    model: str = "toy-clip",
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    on_picture: Callable[[int, Image.Image], None] | None = None,
) -> EmbeddedPictures:
    """The pictures at `locations`, see `picture_locations`; what is in the cache by the file's bytes is not embedded.

    Pictures that cannot be read are skipped, under their `names`. progress(done, of how many, of these from the cache)
    is called after every batch; setting `stop` ends the work with what is done. on_picture(row, picture of at most
    PREVIEW_SIDE pixels) is called for every picture, row by row; previews are kept as well. Raises Refusal without
    locations, and where the model cannot be had. Not to be called within `residency.use`: the threads use the model as
    well.
    """
    if not locations:
        raise Refusal("There are no pictures to embed.")
    stop, cache, prepare = stop or threading.Event(), EmbeddingCache.of(preset(model)), _Preparation(model, stop)
    previews = PreviewCache.shared() if on_picture else None
    vectors, rows, skipped, known = [], [], [], 0

    def read(row: int) -> _Item:
        return _read(row, locations[row], cache, prepare, previews)

    items = _ahead(range(len(locations)), read)
    try:
        while not stop.is_set() and (batch := list(islice(items, BATCH))):
            whole = [item for item in batch if not item.problem]
            known += sum(item.vector is not None for item in whole)
            vectors += _vectors(whole, model, cache, stop)
            rows += [item.row for item in whole]
            if previews:
                previews.keep({item.key: item.preview for item in whole if item.decoded})
            for item in batch:
                if item.problem:
                    name = names[item.row] if names is not None else location_name(locations[item.row])
                    skipped.append(Skipped(name, item.problem))
                elif on_picture:
                    on_picture(item.row, item.preview)
            if progress:
                progress(len(rows) + len(skipped), len(locations), known)
    except Stopped:
        pass
    finally:
        items.close()
        cache.close()
        if previews:
            previews.close()
    complete = len(rows) + len(skipped) == len(locations)
    return EmbeddedPictures(
        np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
        np.array(rows, np.int64),
        tuple(skipped),
        complete,
    )


def embed_captions(
    texts: Sequence[str],
    *,
    model: str = "toy-clip",
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> np.ndarray:
    """Unit embeddings (k, d) float32 of texts with the cache, progress and stop of `embed_locations`.

    k is smaller than the number of texts if it was stopped: the first k are done.
    """
    stop, cache = stop or threading.Event(), EmbeddingCache.of(preset(model))
    vectors, known = [], 0
    try:
        for start in range(0, len(texts), TEXT_BATCH):
            if stop.is_set():
                break
            batch = texts[start : start + TEXT_BATCH]
            keys = [text_key(text) for text in batch]
            found = {key: cache.find(key) for key in keys}
            missing = {key: text for key, text in zip(keys, batch, strict=True) if found[key] is None}
            known += sum(key not in missing for key in keys)
            if missing:
                fresh = dict(zip(missing, _text_vectors(model, list(missing.values()), stop), strict=True))
                cache.keep(fresh)
                found.update(fresh)
            vectors += [found[key] for key in keys]
            if progress:
                progress(len(vectors), len(texts), known)
    except Stopped:
        pass
    finally:
        cache.close()
    return np.stack(vectors) if vectors else np.empty((0, 0), np.float32)


@lent(5, computes=False)
def _preparation(model: str, stop: threading.Event | None) -> Callable[[Image.Image], np.ndarray]:
    with residency.use(model, stop) as clip:
        return clip.preparation()


@lent(5)
def _picture_vectors(model: str, pixels: Sequence[np.ndarray], stop: threading.Event | None) -> np.ndarray:
    with residency.use(model, stop) as clip:
        return clip.embed_prepared(pixels)


@lent(5)
def _text_vectors(model: str, texts: Sequence[str], stop: threading.Event | None) -> np.ndarray:
    with residency.use(model, stop) as clip:
        return clip.embed_texts(texts)


@dataclass
class _Item:
    """A picture on its way: what the model takes, unless its vector is known already, or why it cannot be read."""

    row: int
    key: bytes = b""
    vector: np.ndarray | None = None
    pixels: np.ndarray | None = None
    preview: Image.Image | None = None
    decoded: bool = False  # rather than both vector and preview known
    problem: str = ""


class _Preparation:
    """Makes a model's input of a picture; the model is asked how when the first picture needs it, and then let go."""

    def __init__(self, model: str, stop: threading.Event):
        self._model, self._stop, self._lock, self._prepare = model, stop, threading.Lock(), None

    def __call__(self, picture: Image.Image) -> np.ndarray:
        with self._lock:
            if self._prepare is None:
                self._prepare = _preparation(self._model, self._stop)
        return self._prepare(picture)


def _ahead(rows: Sequence[int], work: Callable[[int], _Item]) -> Iterator[_Item]:
    """What `work` makes of the rows, in their order, done by threads up to AHEAD rows before it is asked for."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="pictures") as pool:
        left, running = iter(rows), deque[Future]()

        def begin(row: int) -> Future:
            # On behalf of the same visitor, whom a model that has to be loaded on a lent GPU is put down to.
            return pool.submit(copy_context().run, work, row)

        try:
            running.extend(begin(row) for row in islice(left, AHEAD))
            while running:
                item = running.popleft().result()
                running.extend(begin(row) for row in islice(left, 1))
                yield item
        finally:
            pool.shutdown(cancel_futures=True)


def _read(
    row: int, location: str, cache: EmbeddingCache, prepare: _Preparation, previews: PreviewCache | None
) -> _Item:
    try:
        data = read_location(location)
        key = picture_key(data)
        vector, small = cache.find(key), previews.find(key) if previews else None
        if vector is not None and (small is not None or not previews):
            return _Item(row, key, vector, preview=small)
        picture = open_picture(data)
    except Refusal as refusal:
        return _Item(row, problem=_reason(refusal, location))
    pixels = prepare(picture) if vector is None else None
    if previews:
        small = picture
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _Item(row, key, vector, pixels, small, decoded=True)


def _reason(refusal: Refusal, location: str) -> str:
    """The sentence of a refusal as what is said of a picture that was named before."""
    said = str(refusal)
    for name in (location_name(location), "The picture"):
        said = said.removeprefix(f"{name} ")
    return said


def _vectors(items: list[_Item], model: str, cache: EmbeddingCache, stop: threading.Event) -> list[np.ndarray]:
    """The vectors of a batch; equal files go through the model once."""
    fresh = {item.key: item.pixels for item in items if item.vector is None}
    if fresh:
        fresh = dict(zip(fresh, _picture_vectors(model, list(fresh.values()), stop), strict=True))
        cache.keep(fresh)
    return [fresh[item.key] if item.vector is None else item.vector for item in items]
