"""Answers about points of the shipped collection: neighbours, regions, files and what another tab gets."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from mmexplorer.explore import layouts, selection
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.layouts import Layout
from mmexplorer.tabs import embedding_space_ask as ask
from mmexplorer.tabs import embedding_space_export as export
from mmexplorer.tabs.embedding_space_map import class_columns, drawn
from mmexplorer.tabs.embedding_space_open import layout_of
from mmexplorer.tabs.embedding_space_session import Shown


@pytest.fixture(scope="module")
def shown() -> Shown:
    collection = Collection.open("toy-world", model="toy-clip")
    return Shown(collection, Layout(), layouts.known(collection, Layout()))


def test_neighbours_are_the_nearest_of_the_kind_asked_for_without_the_point_itself(shown):
    collection, count = shown.collection, len(shown.collection)
    cases = ((7, "pictures", 0, count), (7, "captions", count, 2 * count), (count + 7, "all", 0, 2 * count))
    for point, among, low, high in cases:
        found = ask.nearest_to(collection, point, among, 5)
        cosines = collection.vectors @ collection.vectors[point]
        cosines[point] = -2
        cosines[:low], cosines[high:] = -2, -2
        assert found.cosines[0] == pytest.approx(np.sort(cosines)[::-1][:5], abs=1e-5)
        assert point not in found.indices[0]


def test_a_picked_point_shows_its_truth_and_whether_neighbours_agree(shown):
    _, lit, payload = ask.pick(7, "pictures", 6, "shape", shown)
    said, highlight = json.loads(payload), json.loads(lit.props["highlight"])
    assert said["lead"]["text"] == shown.collection.table["caption"][7].as_py()
    assert ["shape", shown.collection.table["shape"][7].as_py()] in said["lead"]["facts"]
    assert highlight["selected"] == 7 and highlight["lit"] == [card["point"] for card in said["cards"]]
    own = shown.collection.table["shape"][7].as_py()
    for card in said["cards"]:
        assert card["same"] == (shown.collection.table["shape"][card["point"]].as_py() == own)


@pytest.mark.parametrize("point", [-1, 10**6])
def test_a_point_that_does_not_exist_changes_nothing(shown, point):
    assert all(update == ask.only()[0] for update in ask.pick(point, "pictures", 6, None, shown))


def test_a_region_is_counted_whole_and_shown_in_part(shown):
    count = len(shown.collection)
    points = [*range(100), count + 5, 3, -4, 10**9]  # one twice, two that do not exist
    payload, row, chosen = ask.choose(points, "kind", shown)
    said = json.loads(payload)
    assert chosen == (*range(100), count + 5) and row.visible
    assert said["heading"] == "Chosen: 100 pictures and 1 caption"
    assert len(said["cards"]) == 60 and said["total"] == 101
    assert sum(number for _, number in said["counts"]) + said["others"]["count"] == 101
    assert ask.choose([], "kind", shown)[2] == ()


def test_a_selection_as_parquet_holds_vectors_and_as_csv_reads_back(shown, tmp_path):
    points = [4, len(shown.collection) + 9]
    table = selection.selection_table(shown.collection, points, shown.projection.coordinates, vectors=True)
    selection.write_parquet(table, tmp_path / "a.parquet")
    back = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert back["point"].to_pylist() == ["picture", "caption"]
    assert np.array(back["vector"].to_pylist(), np.float32) == pytest.approx(shown.collection.vectors[points])
    assert back["map x"].to_pylist() == pytest.approx(shown.projection.coordinates[points, 0])
    assert back["caption"].to_pylist() == shown.collection.table["caption"].take([4, 9]).to_pylist()
    plain = selection.selection_table(shown.collection, points, shown.projection.coordinates, vectors=False)
    selection.write_csv(plain, tmp_path / "a.csv")
    assert pyarrow.csv.read_csv(tmp_path / "a.csv")["name"].to_pylist() == plain["name"].to_pylist()


def test_pictures_sent_on_are_the_regions_own_each_once(shown, tmp_path):
    count = len(shown.collection)
    files, note = export.pictures_of((4, count + 4, 9), shown, tmp_path)
    assert len(files) == 2 and note == "2 pictures sent to the zero-shot tab."
    from PIL import Image

    assert np.array_equal(np.asarray(Image.open(files[1])), np.asarray(shown.collection.picture(9)))
    many, note = export.pictures_of(tuple(range(70)), shown, tmp_path)
    assert len(many) == len(set(many)) == 64 and "the first of 70" in note


def test_the_python_shown_runs(capsys):
    exec(export.PYTHON, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and "(4800, 2)" in lines[-1]


def test_columns_that_sort_pictures_into_classes_are_offered(shown):
    assert class_columns(shown.collection) == ["colour", "shape", "size", "kind", "things", "style"]
    assert drawn(shown)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (("umap", 2, False, 30, 0.5, "cosine", 0), Layout()),
        (("nonsense", 7, None, 10**9, 5, "hamming", -3), Layout(neighbours=200, min_dist=0.99, seed=3)),
        (("pca", 3, True, None, None, "euclidean", None), Layout("pca", 3, 15, 0.0, "euclidean", 0, True)),
    ],
)
def test_settings_are_kept_within_what_is_possible(typed, kept):
    assert layout_of(*typed) == kept


def test_a_search_by_nobody_with_nothing_open_says_so():
    updates = list(ask.look_up("a", "", None, "pictures", 3, None, None, SimpleNamespace(session_hash="x")))
    assert "Nothing is open yet" in updates[-1][0]
