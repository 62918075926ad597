"""Collections: opened, stopped, searched, added to, saved and opened again, with vectors worked out by hand."""

import json
import shutil
import threading

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from mmexplorer.errors import Refusal
from mmexplorer.explore import embedding
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.picture_listing import Listing, Skipped
from mmexplorer.hub import Stopped

HALF = 0.5**0.5


@pytest.fixture
def folder(colour_clip, painted):
    """Five plain pictures with a table, two of them without a caption."""
    colours = {
        "red": (255, 0, 0),
        "green": (0, 255, 0),
        "blue": (0, 0, 255),
        "violet": (200, 0, 200),
        "dull": (9, 9, 0),
    }
    paths = [painted(f"{name}.png", colour) for name, colour in colours.items()]
    captions = ["red", "green", "", "red blue", None]
    table = pa.table({"file": [path.name for path in paths], "caption": captions, "weight": [1, 2, 3, 4, 5]})
    parquet.write_table(table, paths[0].parent / "list.parquet")
    return paths[0].parent


@pytest.fixture
def collection(folder):
    return Collection.open(folder / "list.parquet")


def test_rows_belong_together(collection):
    assert collection.name == "list" and collection.model == "toy-clip" and collection.complete
    assert collection.table["name"].to_pylist() == ["red.png", "green.png", "blue.png", "violet.png", "dull.png"]
    assert collection.table["weight"].to_pylist() == [1, 2, 3, 4, 5]
    assert len(collection) == len(collection.locations) == 5
    images = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [HALF, 0, HALF], [HALF, HALF, 0]]
    texts = [[1, 0, 0], [0, 1, 0], [HALF, 0, HALF]]
    np.testing.assert_allclose(collection.images, images, atol=1e-6)
    np.testing.assert_allclose(collection.texts, texts, atol=1e-6)
    np.testing.assert_allclose(collection.vectors, images + texts, atol=1e-6)
    assert collection.text_rows.tolist() == [0, 1, 3] and collection.vectors.dtype == np.float32
    assert collection.picture(2).getpixel((0, 0)) == (0, 0, 255)
    assert collection.sheets.thumbnail(1).getpixel((48, 48))[1] > 240
    assert [collection.point_name(point) for point in (1, 6, 7)] == ["green.png", "green", "red blue"]


def test_unreadable_pictures_leave_the_table_too(folder):
    (folder / "green.png").write_bytes(b"no picture")
    (folder / "blue.png").unlink()
    collection = Collection.open(folder / "list.parquet")
    assert [one.name for one in collection.skipped] == ["blue.png", "green.png"]  # the table's, then the pictures'
    assert collection.table["name"].to_pylist() == ["red.png", "violet.png", "dull.png"]
    assert collection.text_rows.tolist() == [0, 1] and collection.complete
    np.testing.assert_allclose(collection.texts, [[1, 0, 0], [HALF, 0, HALF]], atol=1e-6)
    assert collection.sheets.thumbnail(1).getpixel((48, 48))[0] > 180  # violet's


def test_nothing_readable_is_refused(folder):
    for path in folder.glob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(Refusal, match=r"red\.png is not a picture .* and 4 more cannot be read\.$"):
        Collection.open(folder / "list.parquet")


def test_one_picture_is_a_collection(colour_clip, painted):
    collection = Collection.open([painted("one.png", (0, 0, 99))], local=False)
    assert len(collection) == 1 and collection.texts.shape == (0, 3)
    assert collection.search("blue", among="all").indices.tolist() == [[0]]
    with pytest.raises(Refusal, match="no captions"):
        collection.search("blue", among="captions")


def test_progress_counts_pictures_and_captions(folder):
    seen = []
    Collection.open(folder / "list.parquet", progress=lambda *done: seen.append(done))
    assert seen == [(5, 8, 0), (8, 8, 0)]
    Collection.open(folder / "list.parquet", progress=lambda *done: seen.append(done))
    assert seen[2:] == [(5, 8, 5), (8, 8, 8)]


def test_stopped_half_way_it_keeps_what_is_done_and_goes_on(folder, colour_clip, monkeypatch):
    monkeypatch.setattr(embedding, "BATCH", 2)
    stop = threading.Event()
    half = Collection.open(folder / "list.parquet", stop=stop, progress=lambda *_: stop.set())
    assert len(half) == 2 and not half.complete and half.texts.shape == (0, 3)
    assert half.sheets.thumbnail(1).getpixel((48, 48))[1] > 240
    whole = Collection.open(folder / "list.parquet")
    assert len(whole) == 5 and whole.complete and colour_clip.batches == [2, 2, 1]


def test_stopped_before_anything_was_done(folder):
    stop = threading.Event()
    stop.set()
    table = pa.table({"name": ["a"], "caption": pa.array([None], pa.string())})
    with pytest.raises(Stopped):
        Collection.open(Listing("a", (f"file:{folder / 'red.png'}",), table), stop=stop)


# Search


@pytest.mark.parametrize(
    ("query", "vector"),
    [
        ({"words": " red "}, [1, 0, 0]),
        ({"words": "red", "minus": "blue"}, [HALF, 0, -HALF]),
        ({"minus": "green"}, [0, -1, 0]),
        ({"picture": (0, 0, 255)}, [0, 0, 1]),
        ({"words": "red", "picture": (0, 0, 255)}, [HALF, 0, HALF]),
        ({"words": "red blue", "picture": (0, 255, 0), "minus": "red"}, [HALF - 1, 1, HALF]),
    ],
)
def test_a_query_is_the_sum_of_unit_vectors(collection, query, vector):
    if "picture" in query:
        query = query | {"picture": Image.new("RGB", (4, 4), query["picture"])}
    np.testing.assert_allclose(collection.query_vector(**query), vector / np.linalg.norm(vector), atol=1e-6)


def test_search_gives_points_the_best_first(collection):
    found = collection.search("red", k=3)
    assert found.indices.tolist() == [[0, 3, 4]]  # of equal cosines the lower
    np.testing.assert_allclose(found.cosines, [[1, HALF, HALF]], atol=1e-6)
    found = collection.search("red", k=2, among="captions")
    assert found.indices.tolist() == [[5, 7]]
    found = collection.search("red blue", minus="blue", among="all")
    assert found.indices.shape == (1, 8) and found.indices[0, :2].tolist() == [0, 5]
    np.testing.assert_allclose(found.cosines[0], np.sort(found.cosines[0])[::-1])
    assert collection.search("red", k=3, among="all").indices.tolist() == [[0, 5, 3]]


def test_queries_that_mean_nothing_are_refused(collection):
    with pytest.raises(Refusal, match="Type some words"):
        collection.search("  ", minus="\n")
    with pytest.raises(Refusal, match="are the same"):
        collection.search("red", minus="red")
    with pytest.raises(Refusal, match="'nowhere' cannot be searched"):
        collection.search("red", among="nowhere")


# Saving


def test_a_saved_collection_opens_without_model_or_pictures(collection, folder, colour_clip, tmp_path):
    collection.save(tmp_path / "saved")
    shutil.rmtree(folder)
    colour_clip.missing = True
    opened = Collection.open(tmp_path / "saved")
    assert opened.fingerprint == collection.fingerprint and np.array_equal(opened.vectors, collection.vectors)
    assert opened.table.equals(collection.table) and opened.locations == collection.locations
    assert opened.text_rows.tolist() == [0, 1, 3] and (opened.name, opened.model) == ("list", "toy-clip")
    assert opened.sheets.thumbnail(2).getpixel((48, 48))[2] > 240
    with pytest.raises(Refusal, match=r"blue\.png is no longer there"):
        opened.picture(2)
    with pytest.raises(Refusal, match=r"red\.png is no longer there, and 4 more cannot be read"):
        opened.with_model("toy-clip-withheld")


def test_nothing_is_pickled(collection, tmp_path):
    collection.save(tmp_path / "saved")
    files = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert files == ["collection.json", "pictures.parquet", "thumbnails-000.webp", "vectors-toy-clip.npz"]
    starts = {name: (tmp_path / "saved" / name).read_bytes()[:2] for name in files}
    assert all(start[:1] != b"\x80" for start in starts.values())
    with np.load(tmp_path / "saved" / "vectors-toy-clip.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.kind for name in arrays} == {"images": "f", "texts": "f", "text_rows": "i"}


def test_half_precision_takes_half_the_room_and_gives_unit_rows(colour_clip, painted, tmp_path):
    random = np.random.default_rng(0).integers(1, 255, (40, 3))
    collection = Collection.open([painted(f"{i}.png", tuple(map(int, rgb))) for i, rgb in enumerate(random)])
    collection.save(tmp_path / "half", half=True)
    with np.load(tmp_path / "half" / "vectors-toy-clip.npz") as arrays:
        assert arrays["images"].dtype == np.float16
    opened = Collection.open(tmp_path / "half")
    np.testing.assert_allclose(np.linalg.norm(opened.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(opened.vectors @ opened.vectors.T, collection.vectors @ collection.vectors.T, atol=1e-3)


def test_what_was_said_is_kept(folder, tmp_path):
    (folder / "green.png").write_bytes(b"no picture")
    collection = Collection.open(folder / "list.parquet")
    collection.remarks, collection.complete = ("A remark.",), False
    collection.save(tmp_path / "saved")
    opened = Collection.open(tmp_path / "saved")
    assert opened.skipped == collection.skipped and isinstance(opened.skipped[0], Skipped)
    assert opened.remarks == ("A remark.",) and not opened.complete


def test_several_models_share_a_folder(collection, colour_clip, tmp_path):
    other = collection.with_model("toy-clip-withheld")
    np.testing.assert_allclose(other.vectors, np.roll(collection.vectors, 1, axis=1), atol=1e-6)
    assert other.table.equals(collection.table) and other.sheets is collection.sheets
    collection.save(tmp_path / "saved")
    other.save(tmp_path / "saved")
    colour_clip.missing = True
    assert Collection.open(tmp_path / "saved").model == "toy-clip-withheld"
    first = Collection.open(tmp_path / "saved", model="toy-clip")
    assert np.array_equal(first.vectors, collection.vectors)
    assert np.array_equal(first.with_model("toy-clip-withheld").vectors, other.vectors)


def test_vectors_of_other_pictures_or_of_another_version_are_not_taken(collection, painted, colour_clip, tmp_path):
    saved = tmp_path / "saved"
    collection.save(saved)
    (saved / "layouts-toy-clip.npz").touch()
    another = Collection.open([painted("one.png", (7, 0, 0))], model="toy-clip-withheld")
    another.save(saved)
    assert sorted(path.name for path in saved.glob("*.npz")) == ["vectors-toy-clip-withheld.npz"]
    about = json.loads((saved / "collection.json").read_text())
    assert list(about["models"]) == ["toy-clip-withheld"]
    about["models"]["toy-clip-withheld"] = "an older one"
    (saved / "collection.json").write_text(json.dumps(about))
    shutil.rmtree(tmp_path / "cache")
    colour_clip.batches.clear()
    assert len(Collection.open(saved)) == 1 and colour_clip.batches == [1]


@pytest.mark.parametrize("name", ["collection.json", "pictures.parquet"])
@pytest.mark.parametrize("damage", [b"", b"{}", b'{"format": 1, "name": "a"}', None])
def test_a_damaged_folder_is_refused(collection, tmp_path, name, damage):
    collection.save(tmp_path / "saved")
    path = tmp_path / "saved" / name
    if damage is None:
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.write_bytes(damage)
    with pytest.raises(Refusal, match=f"saved cannot be opened: {name} is missing or damaged"):
        Collection.open(tmp_path / "saved")


def test_a_table_without_names_is_refused(collection, tmp_path):
    collection.save(tmp_path / "saved")
    parquet.write_table(collection.table.drop_columns("name"), tmp_path / "saved" / "pictures.parquet")
    with pytest.raises(Refusal, match=r"pictures\.parquet is missing or damaged"):
        Collection.open(tmp_path / "saved")


def test_a_listing_without_pictures_is_refused():
    with pytest.raises(Refusal, match="no pictures to embed"):
        Collection.open(Listing("none", (), pa.table({"name": pa.array([], "str"), "caption": pa.array([], "str")})))


@pytest.mark.parametrize("path", ["~nobody-of-this-name/a", 3000 * "a/b", 3000 * "a"])
def test_a_path_that_cannot_be(path):
    with pytest.raises(Refusal, match="There is no file or folder at") as caught:
        Collection.open(path)
    assert len(str(caught.value)) < 250


def test_damaged_vectors_are_made_anew(collection, tmp_path):
    collection.save(tmp_path / "saved")
    path = tmp_path / "saved" / "vectors-toy-clip.npz"
    path.write_bytes(path.read_bytes()[:-40])
    assert np.array_equal(Collection.open(tmp_path / "saved").vectors, collection.vectors)


def test_a_visitor_cannot_open_folders_of_the_server(collection, tmp_path):
    collection.save(tmp_path / "saved")
    with pytest.raises(Refusal, match="not open to visitors"):
        Collection.open(tmp_path / "saved", local=False)


# Adding


def test_added_pictures_are_searched_shown_and_saved(collection, painted, tmp_path):
    before = collection.fingerprint
    cyan = Image.new("RGB", (10, 10), (0, 200, 200))
    collection.add(
        [painted("red.png", (200, 0, 0)), cyan], captions=[None, "green blue"], metadata={"weight": [6, None]}
    )
    assert collection.fingerprint != before
    assert collection.table["name"].to_pylist()[4:] == ["dull.png", "red.png (2)", "picture 2"]
    assert collection.table["weight"].to_pylist()[4:] == [5, 6, None]
    assert collection.text_rows.tolist() == [0, 1, 3, 6] and collection.vectors.shape == (11, 3)
    np.testing.assert_allclose(collection.images[5:], [[1, 0, 0], [0, HALF, HALF]], atol=1e-6)
    np.testing.assert_allclose(collection.texts[3], [0, HALF, HALF], atol=1e-6)
    assert collection.search("green blue", k=1).indices.tolist() == [[6]]
    assert collection.search("green blue", k=1, among="captions").indices.tolist() == [[10]]
    shown = [collection.sheets.thumbnail(row).getpixel((48, 48)) for row in (0, 6)]
    assert shown[0][0] > 240 and shown[1][0] < 20 and shown[1][2] > 180
    collection.save(tmp_path / "saved")
    opened = Collection.open(tmp_path / "saved")
    locations, vectors = opened.locations, collection.vectors
    del collection  # and with it the temporary folders
    assert str(tmp_path / "saved" / "pictures") in locations[6]
    assert opened.picture(6).getpixel((5, 5)) == (0, 200, 200) and np.array_equal(opened.vectors, vectors)


def test_adding_to_a_saved_collection_leaves_its_folder_alone(collection, tmp_path):
    collection.save(tmp_path / "saved")
    opened = Collection.open(tmp_path / "saved")
    opened.add(np.full((4, 4, 3), 80, np.uint8))
    assert len(opened) == 6 and len(Collection.open(tmp_path / "saved")) == 5
    assert opened.with_model("toy-clip-withheld").images.shape == (6, 3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"images": []}, "no picture"),
        ({"images": [b"words"]}, "Picture 1 is not a picture"),
        ({"images": ["/nowhere/a.png"]}, r"a\.png is no longer there"),
        ({"captions": ["a", "b"]}, "'caption' must have one entry"),
        ({"captions": "a"}, "'caption' must have one entry"),
        ({"metadata": {"size": [1, 2]}}, "'size' must have one entry"),
        ({"metadata": {"weight": ["heavy"]}}, "another kind of value"),
    ],
)
def test_what_cannot_be_added_changes_nothing(collection, wrong, said):
    before, table = collection.fingerprint, collection.table
    with pytest.raises(Refusal, match=said):
        collection.add(**{"images": [Image.new("RGB", (3, 3))]} | wrong)
    assert collection.fingerprint == before and collection.table is table and len(collection) == 5
