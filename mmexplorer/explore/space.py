"""One report on a joint embedding space: modality gap, recall, pair cosines, hubness and k-NN accuracy.

Chooses what can be measured, draws a sample where there is too much, and says in a sentence why a part is missing. The
measures themselves are in space_gap, space_pairs and space_neighbours; nothing here knows models or figures.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mmexplorer.errors import Refusal
from mmexplorer.explore.nearest import neighbours, neighbours_within, unit_rows
from mmexplorer.explore.space_gap import AMOUNTS, Gap, gap_axes, modality_gap, states
from mmexplorer.explore.space_neighbours import Hubness, KnnAccuracy, hubness, knn_accuracy
from mmexplorer.explore.space_pairs import PairCosines, Recall, pair_cosines, recall, text_groups
from mmexplorer.hub import Stopped

LIMIT = 5_000
VIEWED = 200  # pairs in the picture of the gap; more would hide the lines between them
BEFORE_SHIFT = 0.3  # of the time; the curve of recall repeats the search for every amount


@dataclass(frozen=True)
class GapShift:
    """What moving the two clouds along the gap does.

    recall (a + 1, 2): recall@1 of captions finding pictures and of pictures finding captions, for each of the a
    `amounts` of `space_gap.shift` and, last, for mean-centred vectors. pictures, captions (a + 1, v, 2): v pairs in the
    plane of `space_gap.gap_axes` in the same states; rows (v,) are the pairs' picture rows.
    """

    amounts: tuple[float, ...]
    recall: np.ndarray
    rows: np.ndarray
    pictures: np.ndarray
    captions: np.ndarray


@dataclass(frozen=True)
class SpaceReport:
    """Measures of n pictures and p pairs of a picture and its caption; a part that could not be measured is None.

    missing says for each such part, by its field's name, why. notes are sentences on what was measured, such as that a
    sample was drawn. Rows of hubs are picture rows of the whole collection.
    """

    pictures: int
    pairs: int
    gap: Gap | None = None
    shift: GapShift | None = None
    recall: Recall | None = None
    cosines: PairCosines | None = None
    picture_hubs: Hubness | None = None
    caption_hubs: Hubness | None = None
    classes: KnnAccuracy | None = None
    missing: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def measure(
    images: np.ndarray,
    texts: np.ndarray,
    text_rows: np.ndarray,
    *,
    captions: Sequence[str],
    classes: Sequence[str | None] | None = None,
    k: int = 10,
    seed: int = 0,
    limit: int = LIMIT,
    progress: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
) -> SpaceReport:
    """Everything that can be measured of pictures (n, d) and captions (m, d); caption j is of picture text_rows[j].

    captions: m texts. classes: n names, None where a picture has none. Of more than `limit` pictures or pairs a sample
    is drawn with `seed`. progress gets 0 to 1. Raises Refusal without pictures or with numbers that are not finite,
    ValueError where lengths disagree, hub.Stopped once `stop` is set.
    """
    text_rows = np.asarray(text_rows, dtype=np.int64)
    _check(images, texts, text_rows, captions, classes)

    def reached(share: float) -> None:
        if stop is not None and stop.is_set():
            raise Stopped("Measuring was stopped.")
        if progress is not None:
            progress(share)

    random = np.random.default_rng(seed)
    rows, row_note = _sample(len(images), limit, random, "pictures")
    kept, pair_note = _sample(len(texts), limit, random, "pairs")
    pictures, names = unit_rows(images[rows]), None if classes is None else [classes[row] for row in rows]
    pair_rows, groups = text_rows[kept], text_groups([captions[caption] for caption in kept])
    paired, said = unit_rows(images[pair_rows]), unit_rows(texts[kept])

    few_pairs = _few_pairs(groups)
    parts = (
        ("classes", _no_vote(names), lambda: knn_accuracy(pictures, names, k)),
        (
            "picture_hubs",
            _few_lists(len(rows), k + 1, "pictures"),
            lambda: _of_rows(hubness(neighbours_within(pictures, k), len(rows)), rows),
        ),
        (
            "caption_hubs",
            _few_lists(len(kept), k, "captions"),
            lambda: _of_rows(hubness(neighbours(paired, said, k), len(kept)), pair_rows),
        ),
        ("gap", _few_clouds(groups), lambda: modality_gap(paired, said)),
        ("cosines", few_pairs, lambda: pair_cosines(paired, said, groups, seed)),
        ("recall", few_pairs, lambda: recall(paired, said, groups)),
        ("shift", few_pairs, lambda: _shifted(paired, said, groups, pair_rows, random, reached)),
    )
    measured, missing = {}, {}
    for number, (name, reason, compute) in enumerate(parts):
        reached(BEFORE_SHIFT * number / len(parts))
        if reason:
            missing[name] = reason
        else:
            measured[name] = compute()
    reached(1.0)
    notes = tuple(note for note in (row_note, pair_note) if note)
    return SpaceReport(len(rows), len(kept), **measured, missing=missing, notes=notes)


def _check(images, texts, text_rows, captions, classes) -> None:
    if not len(images):
        raise Refusal("There are no pictures to measure.")
    if not (len(texts) == len(text_rows) == len(captions)) or (classes is not None and len(classes) != len(images)):
        raise ValueError("measure needs one text and one row per caption, and one class per picture.")


def _sample(count: int, limit: int, random: np.random.Generator, what: str) -> tuple[np.ndarray, str]:
    """All rows, or `limit` of them in order, with a sentence that says so."""
    if count <= limit:
        return np.arange(count), ""
    rows = np.sort(random.choice(count, limit, replace=False))
    return rows, f"Measured on {limit:,} of {count:,} {what}, drawn at random."


def _shifted(images, texts, groups, rows, random, reached) -> GapShift:
    viewed = np.sort(random.choice(len(rows), min(VIEWED, len(rows)), replace=False))
    axes = gap_axes(images, texts)
    found, pictures, captions = [], [], []
    for number, (moved_images, moved_texts) in enumerate(states(images, texts)):
        reached(BEFORE_SHIFT + (1 - BEFORE_SHIFT) * number / (len(AMOUNTS) + 1))
        at_one = recall(moved_images, moved_texts, groups)
        found.append((at_one.to_picture[0], at_one.to_caption[0]))
        pictures.append(moved_images[viewed] @ axes)
        captions.append(moved_texts[viewed] @ axes)
    return GapShift(AMOUNTS, np.array(found), rows[viewed], np.stack(pictures), np.stack(captions))


def _of_rows(found: Hubness, rows: np.ndarray) -> Hubness:
    """Hubs of a sample under their row numbers in the collection."""
    return replace(found, hubs=rows[found.hubs])


def _no_vote(names: Sequence[str | None] | None) -> str:
    if names is None:
        return "No column was chosen as classes."
    counts = Counter(name for name in names if name is not None)
    if len(counts) < 2:
        return "k-NN accuracy needs at least two classes."
    if max(counts.values()) < 2:
        return "No class has two pictures, so no neighbour could vote for it."
    return ""


def _few_lists(count: int, full: int, what: str) -> str:
    """A list of k holds every one of `full` or fewer items, so none can be a hub."""
    return "" if count > full else f"Hubs show only among more than {full} {what}; here there are {count}."


def _few_clouds(groups: np.ndarray) -> str:
    return "" if len(groups) > 1 else f"The gap needs at least two captions; here there are {len(groups)}."


def _few_pairs(groups: np.ndarray) -> str:
    if len(np.unique(groups)) > 1:
        return ""
    return "Without two different captions no answer could be wrong."
