"""Layouts are computed once, found by their settings, and taken from the folder only if they are of these vectors."""

import json
import shutil
import threading

import numpy as np
import pytest

from mmexplorer.explore import layouts
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.layouts import Layout
from mmexplorer.hub import Stopped

PCA = Layout("pca")


@pytest.fixture
def saved(colour_clip, painted, tmp_path, monkeypatch):
    """A folder with six pictures, the first three with captions, and a PCA of them that no PCA would give."""
    monkeypatch.setattr(layouts, "_remembered", type(layouts._remembered)())
    rgb = [(200, 9, 9), (9, 200, 9), (9, 9, 200), (200, 200, 9), (9, 200, 200), (99, 50, 200)]
    collection = Collection.open([painted(f"{i}.png", colour) for i, colour in enumerate(rgb[:3])])
    collection.add([painted(f"{i}.png", colour) for i, colour in enumerate(rgb[3:], 3)], captions=["red", "blue", None])
    collection.save(tmp_path / "saved")
    written = layouts.lay_out(collection, PCA).coordinates + 7
    layouts.save(tmp_path / "saved", "toy-clip", {PCA.key: layouts.Projection(written, "pca", 0)})
    layouts._remembered.clear()
    return tmp_path / "saved"


def test_what_lies_in_the_folder_is_taken(saved):
    found = layouts.known(Collection.open(saved), PCA)
    assert found.coordinates.shape == (8, 2) and found.coordinates.mean() == pytest.approx(7, abs=1e-5)
    assert layouts.known(Collection.open(saved), Layout("pca", 3)) is None


def test_layouts_of_other_pictures_or_vectors_are_not_taken(saved, painted):
    collection = Collection.open(saved)
    collection.add([painted("more.png", (5, 9, 30))])
    assert layouts.known(collection, PCA) is None
    assert layouts.known(Collection.open(saved, model="toy-clip-withheld"), PCA) is None
    shutil.copy(saved / "layouts-toy-clip.npz", saved / "layouts-toy-clip-withheld.npz")
    assert layouts.known(Collection.open(saved, model="toy-clip-withheld"), PCA) is None
    about = json.loads((saved / "collection.json").read_text())
    about["models"]["toy-clip"] = "an older one"
    (saved / "collection.json").write_text(json.dumps(about))
    assert layouts.known(Collection.open(saved), PCA) is None


@pytest.mark.parametrize("kept", [0, 20, 200, -9])
def test_a_damaged_file_is_as_none(saved, kept):
    file = saved / "layouts-toy-clip.npz"
    file.write_bytes(file.read_bytes()[:kept])
    assert layouts.known(Collection.open(saved), PCA) is None
    data = bytearray(kept * b"\x00" + file.read_bytes()) if kept > 0 else b"\xff" * 99
    file.write_bytes(data)
    collection = Collection.open(saved)
    assert layouts.lay_out(collection, PCA).coordinates.mean() == pytest.approx(0, abs=1e-5)


def test_what_was_computed_is_remembered_for_equal_vectors(saved, monkeypatch):
    (saved / "layouts-toy-clip.npz").unlink()
    first = layouts.lay_out(Collection.open(saved), PCA)
    monkeypatch.setattr(layouts, "project", None)
    assert layouts.lay_out(Collection.open(saved), PCA) is first
    assert layouts.known(Collection.open(saved, model="toy-clip-withheld"), PCA) is None


def test_only_so_many_are_remembered(saved, monkeypatch):
    monkeypatch.setattr(layouts, "REMEMBERED", 2)
    collection = Collection.open(saved)
    wanted = [Layout("pca", 3, seed=seed) for seed in range(3)]
    for layout in wanted:
        layouts.lay_out(collection, layout)
    assert [layouts.known(collection, layout) is not None for layout in wanted] == [False, True, True]


def test_a_stopped_layout_is_not_remembered(saved):
    stop = threading.Event()
    stop.set()
    collection = Collection.open(saved)
    with pytest.raises(Stopped):
        layouts.lay_out(collection, Layout("pca", 3), stop=stop)
    assert layouts.known(collection, Layout("pca", 3)) is None


def test_settings_that_a_method_does_not_use_do_not_tell_layouts_apart():
    assert Layout("pca", neighbours=3).key == Layout("pca", min_dist=0.9).key
    assert Layout(neighbours=3).key != Layout().key
    assert Layout("pca", centred=True).key != PCA.key


def test_centred_modalities_have_their_means_at_zero(saved):
    collection = Collection.open(saved)
    assert layouts.vectors(collection, False) is collection.vectors
    centred = layouts.vectors(collection, True)
    assert centred.shape == (8, 3)
    assert np.linalg.norm(collection.images.mean(axis=0)) > 0.3 > np.linalg.norm(centred[:6].mean(axis=0))


def test_a_query_lies_with_what_it_is_like(saved):
    collection = Collection.open(saved)
    for layout in (PCA, Layout("pca", centred=True)):
        projection = layouts.lay_out(collection, layout)
        place = layouts.place_query(collection, layout, projection, collection.texts[1])
        assert place == pytest.approx(projection.coordinates[7], abs=1e-3)
