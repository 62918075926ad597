"""The tab's public endpoints, /embed, /project and /search, for gradio_client and plain HTTP.

Pictures are uploaded files, never paths of the server's disk; arrays come back as nested lists.
"""

import gradio as gr
import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore import embedding, projection
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.picture_sources import list_pictures
from mmexplorer.tabs.embedding_space_map import is_caption, row_of
from mmexplorer.tabs.embedding_space_toys import toy_world

MAX_PICTURES, MAX_TEXTS, MAX_ROWS, MAX_FOUND = 256, 1_000, 20_000, 1_000


def add() -> None:
    """Adds the hidden inputs, outputs and listeners of the endpoints to the page that is being built."""
    with gr.Group(visible=False):
        images = gr.File(file_count="multiple", label="images")
        texts = gr.JSON([], label="texts")
        model = gr.Textbox("toy-clip", label="model")
        vectors = gr.JSON(label="vectors")
        method = gr.Textbox("umap", label="method")
        dimensions = gr.Number(2, label="dimensions", precision=0)
        seed = gr.Number(0, label="seed", precision=0)
        neighbours = gr.Number(15, label="neighbours", precision=0)
        min_dist = gr.Number(0.1, label="min_dist")
        metric = gr.Textbox("cosine", label="metric")
        words = gr.Textbox("", label="words")
        minus = gr.Textbox("", label="minus")
        picture = gr.File(label="picture")
        k = gr.Number(12, label="k", precision=0)
        among = gr.Textbox("pictures", label="among")
        embedded, projected, found = gr.JSON(label="embeddings"), gr.JSON(label="projection"), gr.JSON(label="found")
        embed, project, search = gr.Button(), gr.Button(), gr.Button()
    limited = {"concurrency_limit": 4}
    embed.click(_embed, [images, texts, model], embedded, api_name="embed", **limited)
    project.click(
        _project, [vectors, method, dimensions, seed, neighbours, min_dist, metric], projected, api_name="project",
        **limited,
    )  # fmt: skip
    search.click(_search, [words, minus, picture, images, model, k, among], found, api_name="search", **limited)


def _embed(images, texts, model) -> dict:
    """`embed_images` and `embed_texts` over the wire: unit rows for the pictures and for the texts."""
    images, texts = images or [], texts or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal("texts must be a list of texts.")
    if not images and not texts:
        raise Refusal("There is nothing to embed; pass images, texts or both.")
    if len(images) > MAX_PICTURES or len(texts) > MAX_TEXTS:
        raise Refusal(f"At most {MAX_PICTURES} pictures and {MAX_TEXTS:,} texts are embedded at once.")
    return {
        "images": embedding.embed_images(images, model=str(model)).tolist() if images else [],
        "texts": embedding.embed_texts(texts, model=str(model)).tolist() if texts else [],
        "model": str(model),
    }


def _project(vectors, method, dimensions, seed, neighbours, min_dist, metric) -> dict:
    """`project` over the wire: rows of numbers in, coordinates out."""
    _check_numbers(dimensions=dimensions, seed=seed, neighbours=neighbours, min_dist=min_dist)
    if not isinstance(vectors, list) or not vectors:
        raise Refusal("There are no vectors; pass a list of rows of numbers.")
    if len(vectors) > MAX_ROWS:
        raise Refusal(f"At most {MAX_ROWS:,} vectors are laid out at once.")
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which `project` refuses
            rows = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        rows = None
    if rows is None or rows.ndim != 2:
        raise Refusal("vectors must be a list of rows of numbers, all of the same length.")
    result = projection.project(
        rows,
        method=str(method),
        dimensions=dimensions,
        seed=seed,
        neighbours=neighbours,
        min_dist=float(min_dist),
        metric=str(metric),
    )
    return {
        "coordinates": result.coordinates.tolist(),
        "method": result.method,
        "seed": result.seed,
        "settings": result.settings,
        "note": result.note,
    }


def _search(words, minus, picture, images, model, k, among) -> list[dict]:
    """`Collection.search` over the wire, in the toy world or in the pictures that come along; the best first."""
    _check_numbers(k=k)
    if not 1 <= k <= MAX_FOUND:
        raise Refusal(f"k is how many to find, from 1 to {MAX_FOUND:,}.")
    collection = _collection(images, str(model))
    found = collection.search(words or "", minus=minus or "", picture=picture or None, k=k, among=str(among))
    return [
        {
            "point": int(point),
            "kind": "caption" if is_caption(collection, int(point)) else "picture",
            "name": collection.table["name"][row_of(collection, int(point))].as_py(),
            "caption": collection.table["caption"][row_of(collection, int(point))].as_py(),
            "cosine": float(cosine),
        }
        for point, cosine in zip(found.indices[0], found.cosines[0], strict=True)
    ]


def _collection(images: list[str] | None, model: str) -> Collection:
    """The pictures that came along, few enough that the answer does not take minutes, else the toy world."""
    if not images:
        return toy_world(model)
    listing = list_pictures(images, local=False, limit=MAX_PICTURES + 1)
    if len(listing.locations) > MAX_PICTURES:
        raise Refusal(f"At most {MAX_PICTURES} pictures are searched over the wire; open more in the page.")
    return Collection.open(listing, model=model)


def _check_numbers(**given: float | None) -> None:
    """Refusal that names a number which was sent as null."""
    for name, number in given.items():
        if number is None:
            raise Refusal(f"{name} must be a number.")
