"""The shipped collection: what its cards say holds, and it is what the recipe draws."""

import json

import numpy as np
import pytest

from mmexplorer import residency
from mmexplorer.explore import experiments, layouts
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.layouts import Layout
from mmexplorer.explore.space import measure
from mmexplorer.explore.space_neighbours import knn_accuracy
from mmexplorer.toyworld.scenes import Sampler, rng_for
from mmexplorer.training import toy_collection

MODELS = toy_collection.MODELS


@pytest.fixture(scope="module", params=MODELS)
def space(request) -> Collection:
    return Collection.open("toy-world", model=request.param)


def test_it_opens_without_any_model(space):
    residency.evict()
    assert residency.loaded() == []
    assert len(space) == sum(toy_collection.KINDS.values()) == len(space.texts)
    for vectors in (space.images, space.texts):
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert layouts.known(space, Layout()) is not None
    assert residency.loaded() == []


def test_every_file_is_small(space):
    assert all(file.stat().st_size < 10_000_000 for file in space.folder.iterdir())


def test_vectors_captions_and_thumbnails_are_those_of_the_scenes(space):
    rows = [0, 977, 2399]
    fresh = toy_collection.listing({int(space.locations[row][4:]): toy_scene(space, row) for row in rows})
    assert fresh.table["caption"].to_pylist() == space.table["caption"].take(rows).to_pylist()
    assert fresh.table["shape"].to_pylist() == space.table["shape"].take(rows).to_pylist()
    with residency.use(space.model) as clip:
        images = clip.embed_images([space.picture(row) for row in rows])
        texts = clip.embed_texts(fresh.table["caption"].to_pylist())
    residency.evict()
    assert (images * space.images[rows]).sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert (texts * space.texts[rows]).sum(axis=1) == pytest.approx(1, abs=1e-4)
    for row in rows:
        small = np.asarray(space.sheets.thumbnail(row).convert("RGB"), dtype=float)
        assert np.abs(small - np.asarray(space.picture(row), dtype=float)).mean() < 8  # lossy


def toy_scene(space: Collection, row: int):
    return Sampler(rng_for("collection", int(space.locations[row].removeprefix("toy:")))).scene()


def test_the_layouts_that_ship_are_for_the_vectors_that_ship(space):
    with np.load(space.folder / f"layouts-{space.model}.npz") as shipped:
        assert all(len(shipped[key]) == len(space.vectors) for key in shipped)
        assert {json.loads(key)["dimensions"] for key in shipped} <= {2, 3}


# What the experiment cards claim


def rank(space: Collection, words: str, caption: str) -> int:
    """At which place a picture of that caption first stands among the answers to the words."""
    found = space.search(words, k=len(space)).indices[0]
    captions = space.table["caption"].to_pylist()
    return next(
        place for place, row in enumerate(found, 1) if all(part in captions[row] for part in caption.split("+"))
    )


def test_card_bag_of_words():
    words, swapped = "a blue triangle and a red circle", "red triangle+blue circle"
    withheld = Collection.open("toy-world", model="toy-clip-withheld")
    full = Collection.open("toy-world", model="toy-clip")
    assert rank(withheld, words, swapped) <= 2
    assert rank(full, words, swapped) > 5


def test_card_negation():
    space = Collection.open("toy-world", model="toy-clip")
    captions = space.table["caption"].to_pylist()
    best = [captions[row] for row in space.search("not a circle", k=12).indices[0]]
    assert sum("circle" in said or "disc" in said for said in best) >= 10
    without = [captions[row] for row in space.search("a circle", minus="red", k=10).indices[0]]
    assert not any("red" in said for said in without)


def test_card_what_it_sorts_by():
    space = Collection.open("toy-world", model="toy-clip")
    columns = {name: space.table[name].to_pylist() for name in ("colour", "shape", "size", "style")}
    voted = {name: knn_accuracy(space.images, classes, 10) for name, classes in columns.items()}
    shown = {name: (round(100 * vote.accuracy), round(100 * vote.baseline)) for name, vote in voted.items()}
    assert shown == {"colour": (93, 32), "shape": (91, 34), "size": (55, 27), "style": (61, 64)}


def test_card_modality_gap():
    space = Collection.open("toy-world", model="toy-clip")
    captions = space.table["caption"].to_pylist()
    report = measure(space.images, space.texts, space.text_rows, captions=captions)
    assert round(report.gap.distance, 2) == 0.51
    as_is, meeting = (report.shift.recall[report.shift.amounts.index(amount)] for amount in (0.0, 1.0))
    assert np.abs(as_is - meeting).max() < 0.02


def test_the_cards_set_controls_that_exist():
    from mmexplorer.tabs.embedding_space_cards import CONTROLS

    cards = experiments.cards("embedding_space")
    assert len(cards) >= 5
    assert all(set(card.settings) <= set(CONTROLS) for card in cards)
