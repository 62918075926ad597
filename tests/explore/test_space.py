"""The whole report: every part agrees with its measure, samples are said, and what is missing has a reason."""

import threading

import numpy as np
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import space
from mmexplorer.explore.nearest import unit_rows
from mmexplorer.explore.space import measure
from mmexplorer.explore.space_gap import centre, shift
from mmexplorer.explore.space_pairs import recall
from mmexplorer.hub import Stopped

NOTHING = np.zeros((0, 8), np.float32)
PAIRED = {"gap", "shift", "recall", "cosines", "caption_hubs"}


def collection(count: int = 60, captioned: int = 40, seed: int = 0):
    """Pictures (count, 8), captions of every picture but the first ones, in another order, and three classes."""
    random = np.random.default_rng(seed)
    apart = 2 * np.eye(8)[0]
    meaning = random.normal(size=(count, 8))
    rows = random.permutation(np.arange(count - captioned, count))
    images = unit_rows(meaning + 0.4 * random.normal(size=(count, 8)) + apart)
    texts = unit_rows((meaning + 0.4 * random.normal(size=(count, 8)) - apart)[rows])
    return images, texts, rows, [f"caption {row}" for row in rows], [str(row % 3) for row in range(count)]


def report(images, texts, rows, captions, classes, **settings):
    return measure(images, texts, rows, captions=captions, classes=classes, **settings)


def test_a_whole_report_has_every_part_and_agrees_with_the_measures():
    images, texts, rows, captions, classes = collection()
    whole = report(images, texts, rows, captions, classes, k=5)
    assert (whole.pictures, whole.pairs, whole.missing, whole.notes) == (60, 40, {}, ())
    assert whole.recall.to_picture == pytest.approx(recall(images[rows], texts, np.arange(40)).to_picture)
    assert whole.picture_hubs.occurrences.sum() == 60 * 5 and whole.caption_hubs.occurrences.sum() == 40 * 5
    assert len(whole.cosines.matched) == 40
    assert whole.classes.counts.tolist() == [20, 20, 20]


def test_recall_along_the_shift_is_that_of_shifted_and_centred_vectors():
    images, texts, rows, captions, classes = collection()
    moved = report(images, texts, rows, captions, classes).shift
    for state, vectors in (
        (moved.amounts.index(0.0), (images[rows], texts)),
        (moved.amounts.index(1.0), shift(images[rows], texts, 1.0)),
        (-1, centre(images[rows], texts)),
    ):
        found = recall(*vectors, np.arange(40))
        assert moved.recall[state] == pytest.approx([found.to_picture[0], found.to_caption[0]])
    assert moved.recall.shape == (len(moved.amounts) + 1, 2)
    assert len(np.unique(moved.recall)) > 2, "the shift changes something here"


def test_the_viewed_pairs_keep_their_distance_along_the_gap(monkeypatch):
    monkeypatch.setattr(space, "VIEWED", 10)
    images, texts, rows, captions, classes = collection()
    whole = report(images, texts, rows, captions, classes)
    moved, start = whole.shift, whole.shift.amounts.index(0.0)
    assert moved.pictures.shape == moved.captions.shape == (len(moved.amounts) + 1, 10, 2)
    gap = images[rows].mean(axis=0) - texts.mean(axis=0)
    assert moved.pictures[start, :, 0] == pytest.approx(images[moved.rows] @ gap / np.linalg.norm(gap), abs=1e-6)
    by_row = {row: texts[caption] for caption, row in enumerate(rows)}
    paired = np.stack([by_row[row] for row in moved.rows])
    assert moved.captions[start, :, 0] == pytest.approx(paired @ gap / np.linalg.norm(gap), abs=1e-6)


def test_a_hub_is_named_by_its_row_in_the_whole_collection():
    images, texts, rows, captions, classes = collection()
    images[rows[3]] = unit_rows(texts.mean(axis=0, keepdims=True))[0]  # nearest to all captions
    whole = report(images, texts, rows, captions, classes, k=1)
    assert whole.caption_hubs.hubs[0] == rows[3]
    star = np.eye(60, dtype=np.float32)
    star[:, 50] = 1  # each other picture shares one axis with row 50 and has one of its own
    sampled = report(star, NOTHING, [], [], None, k=1, limit=55).picture_hubs
    assert sampled.hubs[0] == 50 and sampled.hub_counts[0] == 54 and len(sampled.occurrences) == 55


def test_more_than_the_limit_is_sampled_with_the_seed_and_said():
    data = collection(80, 70)
    first, again, other = (report(*data, limit=30, seed=seed) for seed in (1, 1, 2))
    assert (first.pictures, first.pairs) == (30, 30)
    assert first.notes == (
        "Measured on 30 of 80 pictures, drawn at random.",
        "Measured on 30 of 70 pairs, drawn at random.",
    )
    assert first.gap == again.gap != other.gap
    assert (first.shift.recall == again.shift.recall).all()


def test_without_captions_pictures_are_still_measured():
    images, _, _, _, classes = collection()
    only = report(images, NOTHING, [], [], classes)
    assert set(only.missing) == PAIRED
    assert only.picture_hubs is not None and only.classes is not None
    assert only.missing["gap"] == "The gap needs at least two captions; here there are 0."


def test_one_picture_is_a_report_of_reasons():
    images, texts, rows, _, _ = collection(1, 1)
    alone = report(images, texts, rows, ["a"], ["x"])
    assert set(alone.missing) == PAIRED | {"picture_hubs", "classes"}
    assert all(sentence.endswith(".") for sentence in alone.missing.values())


def test_captions_of_one_text_have_a_gap_but_no_recall():
    images, texts, rows, _, classes = collection()
    alike = report(images, texts, rows, ["the same"] * 40, classes)
    assert alike.gap is not None and alike.caption_hubs is not None
    assert set(alike.missing) == {"shift", "recall", "cosines"}


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        (None, "No column"),
        (["x"] * 60, "two classes"),
        ([None] * 60, "two classes"),
        ([str(row) for row in range(60)], "No class has two"),
    ],
)
def test_classes_without_a_vote_are_said(classes, reason):
    *data, _ = collection()
    without = report(*data, classes)
    assert without.classes is None and reason in without.missing["classes"]


def test_duplicates_only_are_measured_without_fault():
    same = np.repeat(np.eye(8, dtype=np.float32)[:1], 30, axis=0)
    with np.errstate(all="raise"):
        alike = report(same, same, np.arange(30), [str(i) for i in range(30)], [str(i % 2) for i in range(30)])
    assert alike.gap.distance == 0 and alike.cosines.auc == 0.5
    assert alike.recall.to_picture == pytest.approx(alike.recall.chance)
    assert np.isfinite(alike.shift.pictures).all()


def test_progress_rises_to_one_and_stop_ends_it():
    data, seen, stop = collection(), [], threading.Event()
    report(*data, progress=seen.append, stop=stop)
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1 and len(seen) > 20

    def halfway(share: float) -> None:
        if share > 0.5:
            stop.set()

    with pytest.raises(Stopped):
        report(*data, progress=halfway, stop=stop)


def test_bad_input():
    images, texts, rows, captions, classes = collection()
    with pytest.raises(Refusal, match="no pictures"):
        report(NOTHING, NOTHING, [], [], [])
    with pytest.raises(ValueError, match="one text and one row"):
        report(images, texts, rows, captions[1:], classes)
    with pytest.raises(ValueError, match="one class per picture"):
        report(images, texts, rows, captions, classes[1:])
    texts[3, 2] = np.nan
    with pytest.raises(Refusal, match="not finite"):
        report(images, texts, rows, captions, classes)
