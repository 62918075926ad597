"""A projected collection as the payload of the embedding map: small enough to send, complete enough to explore.

Knows which arrays the browser needs and how to pack them; knows nothing of colours on the screen, WebGL or Gradio, nor
of how points were projected or clustered.
"""

import base64
import gzip
import time
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np

from mmexplorer.figures.inline import payload_text
from mmexplorer.results import Projection

# 65,536 steps per axis: finer than a pixel until the map is magnified sixty times.
STEPS = 65_535
DENSITY_CELLS = 64
DENSITY_BLUR = 1.6  # in cells
NO_VALUE = "no value"
METHODS = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}


def map_payload(
    projection: Projection,
    names: Sequence[str],
    captions: Sequence[str | None] | None = None,
    text_rows: Sequence[int] = (),
    columns: Mapping[str, Sequence] | None = None,
    *,
    category_colours: Mapping[str, str] | None = None,
    colour_by: str = "",
    clusters: Sequence[int] | None = None,
    cluster_names: Sequence[str] | None = None,
    sheet_urls: Sequence[str] = (),
    cell: int = 96,
    across: int = 16,
    down: int = 16,
    title: str = "",
) -> str:
    """Base64 of gzipped JSON for `components.embedding_map`.

    projection: coordinates of n pictures and then m captions. names and captions: one per picture, None where a picture
    has no caption. text_rows (m,): the picture that caption j belongs to. columns: {name: n values}, numbers (None or
    NaN where missing), or anything else, which becomes a category by its text. category_colours: {category: CSS
    colour}, for the columns of which every category has one. colour_by: the column that colours the map at first.
    clusters: a label per point; cluster_names: one per label. sheet_urls: sheets of across x down thumbnails, each
    `cell` pixels wide and high, in row order. Raises ValueError where lengths disagree or coordinates are not finite.
    """
    coordinates = np.asarray(projection.coordinates, dtype=np.float32)
    pictures, rows = len(names), np.asarray(text_rows, dtype=np.int64)
    if coordinates.ndim != 2 or coordinates.shape[1] not in (2, 3) or len(coordinates) != pictures + len(rows):
        raise ValueError(f"Expected {pictures + len(rows)} points in 2 or 3 dimensions, got {coordinates.shape}.")
    if not np.isfinite(coordinates).all():
        raise ValueError("Coordinates must be finite.")
    if rows.size and (rows.min() < 0 or rows.max() >= pictures):
        raise ValueError("Every caption must belong to a picture.")
    captions = [None] * pictures if captions is None else list(captions)
    if len(captions) != pictures:
        raise ValueError(f"Expected {pictures} captions or None, got {len(captions)}.")
    flat = coordinates.shape[1] == 2
    payload = {
        "title": title,
        "about": _about(projection),
        "pictures": pictures,
        "coordinates": _quantised(coordinates),
        "text_rows": _packed(rows.astype("<u4")),
        "names": list(names),
        "captions": captions,
        "columns": [
            _column(name, values, pictures, category_colours or {}) for name, values in (columns or {}).items()
        ],
        "colour_by": colour_by,
        "clusters": None if clusters is None else _clusters(clusters, cluster_names, len(coordinates)),
        "density": [_density(part) for part in (coordinates[:pictures], coordinates[pictures:])] if flat else [],
        "sheets": {"urls": list(sheet_urls), "cell": cell, "across": across, "down": down},
    }
    # Level 6 and no time stamp: the same map gives the same text, and Gradio sends nothing anew.
    return base64.b64encode(gzip.compress(payload_text(payload).encode(), 6, mtime=0)).decode("ascii")


def map_highlight(
    selected: int | None = None, lit: Sequence[int] = (), query: Sequence[float] | None = None, label: str = ""
) -> str:
    """JSON for the map's prop `highlight`: the chosen point, points to light up, and where a query lies, with its name.

    No two calls give the same text: Gradio passes on only what changed, and a visitor who cleared the map may ask for
    the same points again.
    """
    return payload_text(
        {
            "selected": None if selected is None else int(selected),
            "lit": [int(point) for point in lit],
            "query": None if query is None else [float(value) for value in query],
            "label": label,
            "asked": time.monotonic_ns(),
        }
    )


def _about(projection: Projection) -> str:
    """How the map was made, for the line below it."""
    name = METHODS.get(projection.method, projection.method)
    settings = [f"{key.replace('_', ' ')} {_short(value)}" for key, value in projection.settings.items()]
    return ", ".join([name, *settings, f"seed {projection.seed}"]) + "." + f" {projection.note}".rstrip()


def _short(value: float | int | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _packed(values: np.ndarray) -> dict:
    """A flat array as {"type", "data"}: its dtype's name and base64 of its little-endian bytes."""
    flat = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).ravel()
    return {"type": values.dtype.name, "data": base64.b64encode(flat.tobytes()).decode("ascii")}


def _quantised(coordinates: np.ndarray) -> dict:
    """Coordinates as 16-bit steps between each axis's lowest and highest value."""
    dimensions = coordinates.shape[1]
    low = coordinates.min(axis=0, initial=np.inf) if len(coordinates) else np.zeros(dimensions, np.float32)
    high = coordinates.max(axis=0, initial=-np.inf) if len(coordinates) else np.ones(dimensions, np.float32)
    extent = np.where(high > low, high - low, 1)
    steps = np.rint((coordinates - low) / extent * STEPS).astype("<u2")
    return {"dimensions": dimensions, "low": low.tolist(), "extent": extent.tolist(), **_packed(steps)}


def _column(name: str, values: Sequence, count: int, colours: Mapping[str, str]) -> dict:
    values = list(values)
    if len(values) != count:
        raise ValueError(f"The column {name} has {len(values)} values for {count} pictures.")
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, Real) and not isinstance(value, (bool, np.bool_)) for value in present):
        numbers = np.array([np.nan if value is None else value for value in values], dtype="<f4")
        return {"name": name, "kind": "number", "values": _packed(numbers)}
    texts = [NO_VALUE if value is None else str(value) for value in values]
    categories = sorted(set(texts))
    code_of = {category: code for code, category in enumerate(categories)}
    codes = np.array([code_of[text] for text in texts], dtype=np.min_scalar_type(len(categories)))
    named = set(categories) - {NO_VALUE}
    own = {category: colours[category] for category in named} if named <= colours.keys() else {}
    return {"name": name, "kind": "category", "categories": categories, "codes": _packed(codes), "colours": own}


def _clusters(labels: Sequence[int], names: Sequence[str] | None, count: int) -> dict:
    labels = np.asarray(labels, dtype=np.int64)
    if labels.shape != (count,) or (count and labels.min() < 0):
        raise ValueError(f"Expected {count} cluster labels from 0 on, got {labels.shape}.")
    highest = int(labels.max(initial=-1))
    names = [f"cluster {label + 1}" for label in range(highest + 1)] if names is None else list(names)
    if len(names) <= highest:
        raise ValueError(f"Expected a name for each of {highest + 1} clusters, got {len(names)}.")
    return {"names": names, "codes": _packed(labels.astype(np.min_scalar_type(max(highest, 0))))}


def _density(coordinates: np.ndarray) -> dict | None:
    """How many points lie where, smoothed and scaled to 0..255, on a square grid a little larger than the points."""
    if len(coordinates) < 3:
        return None
    from scipy.ndimage import gaussian_filter

    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6) * 1.15
    edges = [np.linspace(middle[axis] - half[axis], middle[axis] + half[axis], DENSITY_CELLS + 1) for axis in (0, 1)]
    counts = np.histogram2d(coordinates[:, 1], coordinates[:, 0], bins=(edges[1], edges[0]))[0]
    smooth = gaussian_filter(counts, DENSITY_BLUR, mode="constant")
    steps = np.rint(255 * smooth / smooth.max()).astype(np.uint8)
    start = [float(edge[0] + edge[1]) / 2 for edge in edges]
    step = [float(edge[1] - edge[0]) for edge in edges]
    return {"cells": DENSITY_CELLS, "start": start, "step": step, **_packed(steps)}
