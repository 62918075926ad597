"""Layouts of a collection's points: taken from its folder or from memory where they are known, computed otherwise.

Pictures and captions lie in one map. The module does not know how a projection is computed, nor how it is drawn.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mmexplorer.explore import collection_files
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.nearest import unit_rows
from mmexplorer.explore.projection import place, project
from mmexplorer.explore.space_gap import centre
from mmexplorer.results import Projection

REMEMBERED = 32  # of 5,000 points in two dimensions: 40 KB each


@dataclass(frozen=True)
class Layout:
    """What is asked of a map: the parameters of `project`, and whether each modality is centred on zero first.

    More neighbours and wider spacing than UMAP's own defaults, which tear small groups out of a joint map.
    """

    method: str = "umap"
    dimensions: int = 2
    neighbours: int = 30
    min_dist: float = 0.5
    metric: str = "cosine"
    seed: int = 0
    centred: bool = False

    @property
    def key(self) -> str:
        """A name of these settings; those that the method does not use are left out."""
        used = asdict(self)
        if self.method != "umap":
            for name in ("neighbours", "min_dist", "metric"):
                del used[name]
        return json.dumps(used, sort_keys=True)


_remembered: OrderedDict[tuple[bytes, str], Projection] = OrderedDict()
_lock = threading.Lock()


def vectors(collection: Collection, centred: bool) -> np.ndarray:
    """The vectors (n + m, d) that are laid out: pictures, then captions; centred, each modality around zero."""
    if not centred or not len(collection.texts):
        return collection.vectors
    return np.concatenate(centre(collection.images, collection.texts))


def known(collection: Collection, layout: Layout) -> Projection | None:
    """The layout if it was computed before, in this process or when the collection's folder was written."""
    key = (collection.fingerprint, layout.key)
    with _lock:
        if key in _remembered:
            _remembered.move_to_end(key)
            return _remembered[key]
    folder, model = collection.folder, collection.model
    # Of these pictures and of these vectors, or it would be another collection's map.
    if folder is None or not collection_files.holds(folder, model, collection.locations):
        return None
    coordinates = (collection_files.read_arrays(_file(folder, model)) or {}).get(layout.key)
    if coordinates is None or len(coordinates) != len(collection.vectors):
        return None
    coordinates = coordinates.astype(np.float32)
    return _remember(key, Projection(coordinates, layout.method, layout.seed, _settings(layout)))


def lay_out(
    collection: Collection,
    layout: Layout,
    progress: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
) -> Projection:
    """The layout, known or computed now. Raises as `project` does."""
    found = known(collection, layout)
    if found is not None:
        return found
    projection = project(
        vectors(collection, layout.centred),
        method=layout.method,
        dimensions=layout.dimensions,
        neighbours=layout.neighbours,
        min_dist=layout.min_dist,
        metric=layout.metric,
        seed=layout.seed,
        progress=progress,
        stop=stop,
    )
    return _remember((collection.fingerprint, layout.key), projection)


def place_query(collection: Collection, layout: Layout, projection: Projection, query: np.ndarray) -> np.ndarray:
    """Where a search's vector (d,) lies in the map: (2 or 3,), the weighted mean of its neighbours' places.

    In a centred layout it is centred like the captions, the modality of most searches.
    """
    if layout.centred and len(collection.texts):
        query = unit_rows((query - collection.texts.mean(axis=0))[None])[0]
    return place(query[None], vectors(collection, layout.centred), projection.coordinates)[0]


def save(folder: Path, model: str, projections: dict[str, Projection]) -> None:
    """Writes layouts, by the keys of their settings, beside a saved collection."""
    np.savez_compressed(_file(folder, model), **{key: p.coordinates for key, p in projections.items()})


def _file(folder: Path, model: str) -> Path:
    return Path(folder) / f"layouts-{model}.npz"


def _settings(layout: Layout) -> dict[str, float | int | str]:
    names = ("neighbours", "min_dist", "metric") if layout.method == "umap" else ()
    return {name: getattr(layout, name) for name in names}


def _remember(key: tuple[bytes, str], projection: Projection) -> Projection:
    with _lock:
        _remembered[key] = projection
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return projection
