"""What a visitor of the embedding tab asks about points: who is near, what fits these words, what is in this region."""

from collections.abc import Iterator, Sequence
from functools import partial

import gradio as gr
import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore import layouts, selection
from mmexplorer.explore.collection import Collection
from mmexplorer.figures.embedding_map import map_highlight
from mmexplorer.figures.gallery import MAX_CARDS, Card, Lead, gallery_payload
from mmexplorer.presets import preset
from mmexplorer.results import Neighbours
from mmexplorer.tabs import embedding_space_session as session
from mmexplorer.tabs.embedding_space_map import OTHER_COLUMNS, classes, is_caption, row_of
from mmexplorer.tabs.embedding_space_open import NOTHING_OPEN
from mmexplorer.tabs.embedding_space_session import Shown
from mmexplorer.tabs.status import loading, message, saying_how_it_ends, toast, told

OUTPUTS = ("status", "map", "gallery")
LEAD_SIDE = 320


def only(**values) -> tuple:
    """Values for some of OUTPUTS; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in OUTPUTS)


def picked(among: str, k: int, column: str | None, shown: Shown | None, event: gr.SelectData) -> tuple:
    """The point that was pressed, in the map or among the cards."""
    return pick(event.index, among, k, column, shown)


def circled(column: str | None, shown: Shown | None, event: gr.EventData) -> tuple:
    """The points that were drawn around."""
    return choose(event.indices, column, shown)


def pick(point: int, among: str, k: int, column: str | None, shown: Shown | None) -> tuple:
    """A point's picture, caption and metadata, and its nearest neighbours, which light up in the map."""
    if shown is None or not 0 <= int(point) < len(shown.collection.vectors):
        return only()
    collection, point = shown.collection, int(point)
    try:
        found = nearest_to(collection, point, among, int(k))
        cards = _cards(collection, found.indices[0], found.cosines[0], column, point)
        lead = _lead(collection, point)
    except Refusal as refusal:
        return only(status=toast(refusal))
    kinds = {"pictures": "pictures", "captions": "captions", "all": "pictures and captions"}[among]
    heading = f"The {len(cards)} nearest {kinds}" if cards else f"There are no other {kinds}."
    payload = gallery_payload(cards, heading=heading, lead=lead, class_name=column or "class")
    lit = [int(index) for index in found.indices[0]]
    return only(gallery=payload, map=gr.HTML(highlight=map_highlight(selected=point, lit=lit)))


def nearest_to(collection: Collection, point: int, among: str, k: int) -> Neighbours:
    """The k points of a kind ("pictures", "captions" or "all") that are nearest to a point, itself left out."""
    found = collection.nearest(collection.vectors[point], k + 1, among)
    others = found.indices[0] != point
    return Neighbours(found.indices[:, others][:, :k], found.cosines[:, others][:, :k])


def look_up(
    words, minus, picture, among: str, count, column: str | None, shown: Shown | None, request: gr.Request
) -> Iterator[tuple]:
    """The points that fit words or a picture best, as a ranked gallery and lit in the map."""
    query = {"words": words or "", "minus": minus or "", "picture": picture}

    def look(stop) -> tuple[Neighbours, np.ndarray]:
        collection = shown.collection
        vector = collection.query_vector(**query)
        found = collection.nearest(vector, int(count), among)
        return found, layouts.place_query(collection, shown.layout, shown.projection, vector)

    def work() -> Iterator[tuple]:
        if shown is None:
            yield only(status=NOTHING_OPEN)
            return
        with session.JOBS.job(request.session_hash) as stop:
            ready = partial(loading, [preset(shown.collection.model)], "Searching.")
            found, place = yield from told(look, ready, _show, stop)
            points, asked = [int(point) for point in found.indices[0]], _asked(**query)
            cards = _cards(shown.collection, points, found.cosines[0], column)
            yield only(
                gallery=gallery_payload(cards, heading=f"Nearest to {asked}"),
                map=gr.HTML(highlight=map_highlight(lit=points, query=[float(x) for x in place], label=asked)),
                status=message(f"{len(cards)} found; the mark in the map is where the question lies."),
            )

    yield from saying_how_it_ends(work(), _show)


def choose(points: Sequence[int], column: str | None, shown: Shown | None) -> tuple:
    """A region of the map: (gallery, whether there is one, the points); class counts over all, cards of the first."""
    if shown is None:
        return gr.skip(), gr.skip(), ()
    collection = shown.collection
    total = len(collection.vectors)
    points = tuple(dict.fromkeys(int(point) for point in points if 0 <= int(point) < total))
    if not points:
        return None, gr.Row(visible=False), ()
    pictures = sum(not is_caption(collection, point) for point in points)
    kinds = ((pictures, "picture"), (len(points) - pictures, "caption"))
    named = " and ".join(f"{count:,} {kind}{'s' if count > 1 else ''}" for count, kind in kinds if count)
    payload = gallery_payload(
        _cards(collection, points[:MAX_CARDS], None, column),
        heading=f"Chosen: {named}",
        total=len(points),
        counts=selection.class_counts(classes(collection, column), [row_of(collection, point) for point in points]),
    )
    return payload, gr.Row(visible=True), points


def _show(status: str) -> tuple:
    return only(status=status)


def _asked(words: str, minus: str, picture: str | None) -> str:
    plus = [f"“{words.strip()[:60]}”"] if words.strip() else []
    plus += ["the picture"] if picture else []
    return " + ".join(plus) + (f" − “{minus.strip()[:60]}”" if minus.strip() else "")


def _cards(
    collection: Collection, points: Sequence[int], cosines, column: str | None, to: int | None = None
) -> list[Card]:
    classed = classes(collection, column)
    lead = classed[row_of(collection, to)] if classed and to is not None else ""
    cards = []
    for place, point in enumerate(int(point) for point in points):
        row, caption = row_of(collection, point), is_caption(collection, point)
        own = classed[row] if classed else ""
        cards.append(
            Card(
                point=point,
                picture=None if caption or collection.sheets is None else collection.sheets.thumbnail(row),
                title=collection.table["name"][row].as_py(),
                caption=collection.table["caption"][row].as_py() or "",
                klass=own,
                score=None if cosines is None else float(cosines[place]),
                same=own == lead if own and lead else None,
            )
        )
    return cards


def _lead(collection: Collection, point: int) -> Lead:
    row = row_of(collection, point)
    facts = [(name, collection.table[name][row].as_py()) for name in collection.table.column_names]
    facts = [(name, str(value)) for name, value in facts if name not in OTHER_COLUMNS and value is not None]
    own = np.flatnonzero(collection.text_rows == row)
    if len(own):
        cosine = float(collection.images[row] @ collection.texts[own[0]])
        facts.append(("cosine of picture and caption", f"{cosine:.3f}"))
    picture = collection.picture(row)
    picture.thumbnail((LEAD_SIDE, LEAD_SIDE))
    return Lead(
        point=point,
        picture=picture,
        title=collection.table["name"][row].as_py() + (", its caption" if is_caption(collection, point) else ""),
        text=collection.table["caption"][row].as_py() or "",
        facts=tuple(facts),
    )
