"""What changes the map of the embedding tab: opening a collection, laying it out, finding clusters.

Every function streams updates of OUTPUTS. What was on the page stays until something better is there.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial

import gradio as gr
import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore import clusters, embedding, layouts, projection
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.labels import LABEL_SETS, labels_from_text
from mmexplorer.explore.layouts import Layout
from mmexplorer.figures.embedding_map import map_highlight
from mmexplorer.pace import Pace
from mmexplorer.presets import preset, presets
from mmexplorer.tabs import embedding_space_session as session
from mmexplorer.tabs.embedding_space_map import class_columns, drawn
from mmexplorer.tabs.embedding_space_session import Shown
from mmexplorer.tabs.embedding_space_toys import TOY_WORLD, toy_world
from mmexplorer.tabs.status import loading, message, saying_how_it_ends, told
from mmexplorer.tabs.this_machine import from_this_machine
from mmexplorer.tabs.workers import WORKERS

OUTPUTS = ("status", "map", "gallery", "class_column", "actions", "chosen", "shown")
NOTHING_OPEN = message("Nothing is open yet; choose a collection and press Open.", "note")
NAMED = 5  # unreadable pictures that the status line names
WORDS_FOR_TOYS = (
    *LABEL_SETS["Shapes"],
    *LABEL_SETS["Colours"],
    *("two shapes", "three shapes", "four shapes", "a word", "a letter", "a number", "a person"),
)
WORDS_FOR_PHOTOS = LABEL_SETS["Everyday things (for real checkpoints)"]


def only(**values) -> tuple:
    """Values for some of OUTPUTS; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in OUTPUTS)


def layout_of(method, dimensions, centred, near, spread, metric, seed) -> Layout:
    """The settings as typed, within what is possible."""
    return Layout(
        method=method if method in projection.METHODS else "umap",
        dimensions=3 if dimensions == 3 else 2,
        neighbours=min(200, max(2, int(near or 15))),
        min_dist=round(min(0.99, max(0.0, float(spread or 0.0))), 3),
        metric=metric if metric in ("cosine", "euclidean") else "cosine",
        seed=abs(int(seed or 0)) % 2**31,
        centred=bool(centred),
    )


def first_look(model: str, shown: Shown | None, request: gr.Request) -> Iterator[tuple]:
    """The toy world's map when somebody first looks at the tab; meanwhile UMAP gets ready in the background."""
    if shown is None:
        WORKERS.submit(projection.warm_up)
        yield from _open(lambda: TOY_WORLD, model, Layout(), None, request)


def opener(local: bool) -> Callable:
    """The handler of Open; with `local` a visitor at this machine may name its files."""

    def open_chosen(
        kind, files, path, model, method, dimensions, centred, near, spread, metric, seed, shown, request: gr.Request
    ) -> Iterator[tuple]:
        layout = layout_of(method, dimensions, centred, near, spread, metric, seed)
        trusted = local and kind == "path" and from_this_machine(request)
        yield from _open(lambda: _source(kind, files, path), model, layout, shown, request, trusted)

    return open_chosen


def lay_out_again(
    method, dimensions, centred, near, spread, metric, seed, shown: Shown | None, request: gr.Request
) -> Iterator[tuple]:
    """The same collection by other settings."""

    def work() -> Iterator[tuple]:
        if shown is None:
            yield only(status=NOTHING_OPEN)
            return
        with session.JOBS.job(request.session_hash) as stop:
            layout = layout_of(method, dimensions, centred, near, spread, metric, seed)
            yield from _laid_out(shown, layout, stop)

    yield from saying_how_it_ends(work(), _show)


def find_clusters(count: int, typed: str, shown: Shown | None, request: gr.Request) -> Iterator[tuple]:
    """Groups the pictures, and names each group by the word that sets it apart; captions go with their pictures."""

    def name_them(stop) -> tuple[np.ndarray, tuple[str, ...]]:
        collection, words = shown.collection, labels_from_text(typed)
        groups = clusters.clusters(collection.images, int(count))
        if not words:
            return groups, tuple(f"cluster {number + 1}" for number in range(groups.max() + 1))
        vectors = embedding.embed_texts(words, model=collection.model)
        return groups, clusters.cluster_names(collection.images, groups, words, vectors)

    def work() -> Iterator[tuple]:
        if shown is None:
            yield only(status=NOTHING_OPEN)
            return
        with session.JOBS.job(request.session_hash) as stop:
            ready = partial(loading, [preset(shown.collection.model)], "Finding clusters.")
            groups, names = yield from told(name_them, ready, _show, stop)
            fresh = replace(
                shown, groups=np.concatenate([groups, groups[shown.collection.text_rows]]), group_names=names
            )
            text = f"{len(names)} clusters of pictures, each named by the word that fits it better than the others."
            yield only(map=_map(fresh), shown=fresh, status=message(text))

    yield from saying_how_it_ends(work(), _show)


def _open(
    source: Callable, model: str, layout: Layout, shown: Shown | None, request: gr.Request, local: bool = False
) -> Iterator[tuple]:
    """Reads and embeds the pictures, then lays them out; a stopped job shows what it has, and Open goes on from it."""

    def work() -> Iterator[tuple]:
        chosen, pace = source(), Pace("Embedding", "pictures")
        folder = None if chosen == TOY_WORLD else session.new_folder()

        def embed(stop) -> Collection:
            if chosen == TOY_WORLD:
                return toy_world(model, pace.note, stop)
            return Collection.open(chosen, model=model, local=local, folder=folder, progress=pace.note, stop=stop)

        with session.JOBS.job(request.session_hash) as stop:
            try:
                collection = yield from told(embed, lambda: loading([preset(model)], pace.text()), _show, stop)
            except BaseException:  # refused, stopped with nothing done yet, or the visitor has left
                session.remove(folder)
                raise
        # A stop of its own: one that cut the embedding short must not keep what is done from being shown.
        with session.JOBS.job(request.session_hash) as stop:
            wanted = layout if collection.complete else Layout("pca", layout.dimensions)
            yield only(gallery=None, class_column=_class_choice(collection), actions=gr.Row(visible=False), chosen=())
            yield from _laid_out(Shown(collection, wanted, None, folder=folder), wanted, stop)
        session.forget(shown)

    yield from saying_how_it_ends(work(), _show)


def _source(kind: str, files: list[str] | None, path: str | None) -> str | list[str]:
    if kind == "files":
        if not files:
            raise Refusal("There are no pictures yet; choose some files first, or a zip or table of them.")
        return list(files)
    if kind == "path":
        if not (path or "").strip():
            raise Refusal("Nothing is named yet; give a folder or file of this machine, or a dataset as hf:owner/name.")
        return path.strip()
    return TOY_WORLD


def words_for(model: str) -> str:
    """Words that clusters may be named by, to begin with."""
    is_toy = any(row.key == model and row.tier == "toy" for row in presets())
    return ", ".join(WORDS_FOR_TOYS if is_toy else WORDS_FOR_PHOTOS)


def _laid_out(shown: Shown, layout: Layout, stop) -> Generator[tuple, None, None]:
    collection = shown.collection
    found = layouts.known(collection, layout)
    if found is None and layout.method != "pca":
        quick = Layout("pca", layout.dimensions, centred=layout.centred)
        first = replace(shown, layout=quick, projection=layouts.lay_out(collection, quick))
        yield only(map=_map(first), shown=first, status=message("PCA for a start.", "busy"))
    took = ""
    if found is None:
        started = time.perf_counter()
        label = projection.METHODS[layout.method].label
        pace = Pace(f"{label} of {len(collection.vectors):,} points")
        found = yield from told(
            lambda stop: layouts.lay_out(collection, layout, pace.share, stop), pace.text, _show, stop
        )
        took = f", {time.perf_counter() - started:.1f} s"
    final = replace(shown, layout=layout, projection=found)
    yield only(map=_map(final), shown=final, status=message(_summary(final, took)))


def _map(shown: Shown):
    return gr.HTML(value=drawn(shown), highlight=map_highlight())


def _show(status: str) -> tuple:
    return only(status=status)


def _class_choice(collection: Collection):
    columns = class_columns(collection)
    return gr.Dropdown([("None", ""), *columns], value=columns[0] if columns else "")


def _summary(shown: Shown, took: str) -> str:
    collection, method = shown.collection, projection.METHODS[shown.projection.method].label
    captions = f" and {len(collection.texts):,} captions" if len(collection.texts) else ""
    count = len(collection.images)
    parts = [
        f"{collection.name}: {count:,} picture{'s' if count > 1 else ''}{captions} in the {collection.images.shape[1]} "
        f"dimensions of {preset(collection.model).label}; {method}{took}.",
        "" if collection.complete else "Stopped before the end; Open goes on from here.",
        shown.projection.note,
        *collection.remarks,
        _skipped(collection),
    ]
    return " ".join(part for part in parts if part)


def _skipped(collection: Collection) -> str:
    skipped = collection.skipped
    if not skipped:
        return ""
    named = "; ".join(f"{one.name} {one.reason.rstrip('.')}" for one in skipped[:NAMED])
    more = f" and {len(skipped) - NAMED:,} more" if len(skipped) > NAMED else ""
    return f"Left out: {named}{more}."
