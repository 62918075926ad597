"""A collection: pictures with captions and metadata, embedded by one model, to look through and to search.

Points are the n pictures first, then the m captions: point p < n is picture p, point n + j is caption j. How pictures
are found, embedded and stored on disk is the business of other modules.
"""

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import collection_additions, collection_files, embedding
from mmexplorer.explore.collection_embedding import embed, embed_again
from mmexplorer.explore.collection_files import Record, Vectors
from mmexplorer.explore.embedding import Progress
from mmexplorer.explore.picture_listing import Listing
from mmexplorer.explore.picture_locations import open_location
from mmexplorer.explore.picture_sources import list_pictures
from mmexplorer.explore.thumbnails import Sheets, SheetWriter
from mmexplorer.explore.vector_store import FlatStore, VectorStore
from mmexplorer.pictures import PictureSource
from mmexplorer.presets import ROOT
from mmexplorer.results import Neighbours

SHIPPED = {"toy-world": ROOT / "assets" / "collections" / "toy-world"}
DEFAULT_MODEL = "toy-clip"
AMONG = ("pictures", "captions", "all")
CELL, TOY_CELL = 96, 64  # sides of thumbnails in pixels; toy pictures are drawn at the latter


class Collection:
    """n pictures and m captions, m <= n; made by `open`.

    name, and model, the key of the model that embedded it. table has n rows: "name", "caption" (null where there is
    none), then metadata. locations (n,) say where the pictures lie. images (n, d) and texts (m, d) are unit rows,
    text_rows (m,) the pictures that the captions belong to. sheets are the pictures' thumbnails. skipped are pictures
    that cannot be read, remarks sentences about what was done otherwise than one might expect; complete is False if it
    was stopped half-way. folder is where its thumbnails lie, and all else if it was saved there.
    """

    def __init__(
        self,
        record: Record,
        vectors: Vectors,
        *,
        sheets: Sheets | None = None,
        folder: Path | None = None,
        scratch: tuple[TemporaryDirectory, ...] = (),
    ):
        self.name, self.model, self.table, self.locations = record.name, record.model, record.table, record.locations
        self.skipped, self.remarks, self.complete = record.skipped, record.remarks, record.complete
        self.sheets, self.folder = sheets, folder
        self._scratch = scratch  # folders that vanish with the last collection that needs them
        images, texts, self.text_rows = vectors
        self._pictures: VectorStore = FlatStore(images)
        self._captions: VectorStore = FlatStore(texts)
        self._vectors = self._fingerprint = None

    @classmethod
    def open(
        cls,
        source: str | Path | Sequence[str | Path] | Listing,
        *,
        model: str | None = None,
        local: bool = True,
        folder: str | Path | None = None,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> "Collection":
        """The collection of a source: "toy-world", a folder that `save` wrote, or whatever `list_pictures` takes.

        model None means the one a saved collection was saved with, else the toy CLIP. Without `local` no path of this
        machine is taken but those of uploads. folder is where thumbnails go, a temporary one by default.
        progress(done, of how many, of these from the cache) counts pictures and captions. Setting `stop` ends the work
        with what is done. Raises Refusal where nothing can be read, Stopped where nothing was done yet.
        """
        saved_in = _saved_in(source, local)
        if saved_in is not None:
            record = collection_files.read(saved_in)
            embedded = embed_again(record, model or record.model, saved_in, progress, stop)
            return cls(*embedded, sheets=Sheets.open(saved_in), folder=saved_in)
        listing = source if isinstance(source, Listing) else list_pictures(source, local=local, stop=stop)
        scratch = () if folder else (TemporaryDirectory(prefix="mmexplorer-"),)
        folder = Path(folder or scratch[0].name)
        record = Record(
            listing.name, model or DEFAULT_MODEL, listing.table, listing.locations, listing.skipped, listing.remarks
        )
        cell = TOY_CELL if all(location.startswith("toy:") for location in listing.locations) else CELL
        with SheetWriter(folder, cell) as writer:
            record, vectors = embed(record, progress, stop, lambda row, picture: writer.add(picture))
        return cls(record, vectors, sheets=writer.close(), folder=folder, scratch=scratch)

    # What it holds

    @property
    def images(self) -> np.ndarray:
        """The pictures' unit vectors (n, d)."""
        return self._pictures.vectors()

    @property
    def texts(self) -> np.ndarray:
        """The captions' unit vectors (m, d)."""
        return self._captions.vectors()

    @property
    def vectors(self) -> np.ndarray:
        """The unit vectors (n + m, d) of all points."""
        if self._vectors is None:
            self._vectors = np.concatenate([self.images, self.texts]) if len(self._captions) else self.images
        return self._vectors

    @property
    def fingerprint(self) -> bytes:
        """The same for equal vectors, and for no others."""
        if self._fingerprint is None:
            self._fingerprint = hashlib.blake2b(np.ascontiguousarray(self.vectors), digest_size=16).digest()
        return self._fingerprint

    def __len__(self) -> int:
        return len(self.locations)

    def picture(self, row: int) -> Image.Image:
        """A picture in full size; Refusal if it is no longer where it was."""
        return open_location(self.locations[row])

    def point_name(self, point: int) -> str:
        """What a point is called: a picture by its name, a caption by its words."""
        if point < len(self):
            return self.table["name"][int(point)].as_py()
        return self.table["caption"][int(self.text_rows[point - len(self)])].as_py()

    # Questions

    def query_vector(self, words: str = "", minus: str = "", picture: PictureSource | None = None) -> np.ndarray:
        """The unit vector (d,) of words and a picture together, away from other words: the sum of unit vectors.

        Raises Refusal if all of them are empty, or cancel each other out.
        """
        plus, less = " ".join((words or "").split()), " ".join((minus or "").split())
        if not plus and not less and picture is None:
            raise Refusal("Type some words, or choose a picture to search by.")
        total = 0
        if plus:
            total = total + embedding.embed_texts(plus, model=self.model)[0]
        if picture is not None:
            total = total + embedding.embed_images(picture, model=self.model)[0]
        if less:
            total = total - embedding.embed_texts(less, model=self.model)[0]
        length = np.linalg.norm(total)
        if length < 1e-6:
            raise Refusal("What is searched for and what is taken away are the same; change one of them.")
        return (total / length).astype(np.float32)

    def search(
        self,
        words: str = "",
        *,
        minus: str = "",
        picture: PictureSource | None = None,
        k: int = 12,
        among: str = "pictures",
    ) -> Neighbours:
        """The k points (1, k) that are nearest to `query_vector`, among "pictures", "captions" or "all"."""
        _check_among(among)
        return self.nearest(self.query_vector(words, minus, picture), k, among)

    def nearest(self, query: np.ndarray, k: int, among: str = "pictures") -> Neighbours:
        """The k points (1, k) with the largest cosine to a vector (d,), among "pictures", "captions" or "all"."""
        _check_among(among)
        parts = ((self._pictures, 0, "pictures"), (self._captions, len(self), "captions"))
        found = [
            (first + result.indices, result.cosines)
            for store, first, kind in parts
            if among in (kind, "all") and len(store)
            for result in (store.search(query[None], k),)
        ]
        if not found:
            raise Refusal("This collection has no captions to search among.")
        points, cosines = (np.concatenate(both, axis=1) for both in zip(*found, strict=True))
        order = np.argsort(-cosines[0], kind="stable")[:k]  # of equal cosines the lower point
        return Neighbours(points[:, order], cosines[:, order])

    # Other collections, and more pictures

    def with_model(
        self, model: str, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> "Collection":
        """The same pictures and captions embedded by another model; vectors that were saved are taken from the folder.

        Raises Refusal if a picture cannot be read any more. progress and stop are those of `open`.
        """
        if model == self.model:
            return self
        embedded = embed_again(self._record(), model, self.folder, progress, stop)
        return Collection(*embedded, sheets=self.sheets, folder=self.folder, scratch=self._scratch)

    def add(
        self,
        images: PictureSource | Sequence[PictureSource],
        *,
        captions: Sequence[str | None] | None = None,
        metadata: Mapping[str, Sequence] | None = None,
    ) -> None:
        """Appends pictures, with a caption (None for none) and an entry of each metadata column for every one of them.

        Raises Refusal, and adds nothing, if a picture cannot be read or the entries do not match. Not to be called
        while another thread uses the collection.
        """
        scratch = TemporaryDirectory(prefix="mmexplorer-")
        listing = collection_additions.listing_of(images, captions, metadata, Path(scratch.name))
        table = collection_additions.joined(self.table, listing.table)
        previews = []
        _, (images, texts, rows) = embed(
            Record(listing.name, self.model, listing.table, listing.locations),
            on_picture=lambda row, picture: previews.append(picture),
            strict=True,
        )
        if self.sheets is not None:
            sheets_folder = Path(scratch.name) / "sheets"
            self.sheets = collection_additions.more_thumbnails(self.sheets, len(self), previews, sheets_folder)
        self._scratch = (*self._scratch, scratch)
        self.text_rows = np.concatenate([self.text_rows, len(self) + rows])
        self._pictures.add(images)
        if len(texts):
            self._captions.add(texts)
        self._vectors = self._fingerprint = None
        self.table, self.locations = table, (*self.locations, *listing.locations)

    def save(self, folder: str | Path, *, half: bool = False) -> None:
        """Writes the collection into a folder, for `open`; thumbnails and vectors are there even without the pictures.

        Vectors of other models that lie there already stay, if they belong to the same pictures. half stores vectors
        in 16 bits, which moves a cosine by less than 0.001. Pictures that were added as arrays are written along.
        """
        folder = Path(folder)
        locations = collection_additions.brought_along(self.locations, [one.name for one in self._scratch], folder)
        record = replace(self._record(), locations=locations)
        collection_files.write(folder, record, (self.images, self.texts, self.text_rows), self.sheets, half=half)

    def _record(self) -> Record:
        return Record(self.name, self.model, self.table, self.locations, self.skipped, self.remarks, self.complete)


def _check_among(among: str) -> None:
    if among not in AMONG:
        raise Refusal(f"{str(among)[:40]!r} cannot be searched; choose pictures, captions or all.")


def _saved_in(source, local: bool) -> Path | None:
    """The folder of a saved collection, if the source is one that the caller may open."""
    if isinstance(source, str) and source in SHIPPED:
        return SHIPPED[source]
    if local and isinstance(source, str | Path) and not str(source).startswith("hf:"):
        folder = Path(os.path.expanduser(source))
        return folder if collection_files.is_saved(folder) else None
    return None
