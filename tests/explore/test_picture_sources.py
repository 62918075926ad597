"""What is listed of each kind of source, what a visitor may not name, and what is said about the rest."""

import io
import os
import threading
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import picture_sources
from mmexplorer.explore.picture_sources import Skipped, list_pictures, open_location
from mmexplorer.hub import Stopped

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


def png(colour="red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(file, "PNG")
    return file.getvalue()


def saved(path, data=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def packed(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def colours(listing) -> list[str]:
    named = {value: name for name, value in COLOURS.items()}
    return [named[open_location(location).getpixel((0, 0))] for location in listing.locations]


def names(listing) -> list[str]:
    assert len(listing.locations) == listing.table.num_rows == len(set(listing.table["name"].to_pylist()))
    assert listing.table.column_names[:2] == ["name", "caption"]
    return listing.table["name"].to_pylist()


def refused(source, local=True, **options) -> str:
    with pytest.raises(Refusal) as caught:
        list_pictures(source, local=local, **options)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_listed_with_its_sub_folders(tmp_path):
    saved(tmp_path / "photos/b/1.PNG", png("blue"))
    saved(tmp_path / "photos/a/1.jpeg", png("red"))
    saved(tmp_path / "photos/top.webp", png("lime"))
    for other in ("notes.txt", ".hidden.png", ".cache/x.png", "__MACOSX/a/1.png", "a/more.zip", "a/deep/metadata.csv"):
        saved(tmp_path / "photos" / other, png())
    listing = list_pictures(tmp_path / "photos", local=True)
    assert names(listing) == ["top.webp", "a/1.jpeg", "b/1.PNG"]
    assert colours(listing) == ["lime", "red", "blue"]
    assert listing.table["folder"].to_pylist() == [".", "a", "b"]
    assert (listing.name, listing.skipped, len(listing)) == ("photos", (), 3)
    assert [remark[:35] for remark in listing.remarks] == ["a/deep/metadata.csv is not read; to"]


def test_a_folder_without_sub_folders_has_no_folder_column(tmp_path):
    saved(tmp_path / "1.png", png())
    listing = list_pictures(str(tmp_path), local=True)
    assert listing.table.column_names == ["name", "caption"]
    assert listing.locations == (f"file:{tmp_path}/1.png",)


def test_unreadable_pictures_are_left_to_whoever_opens_them(tmp_path):
    saved(tmp_path / "1.png", b"no picture")
    assert names(list_pictures(tmp_path, local=True)) == ["1.png"]


def test_links_that_go_round_end(tmp_path):
    saved(tmp_path / "a/1.png", png())
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    assert names(list_pictures(tmp_path, local=True)) == ["a/1.png"]


def test_a_name_that_is_not_unicode_is_skipped(tmp_path):
    saved(tmp_path / "1.png", png())
    saved(tmp_path / os.fsdecode(b"caf\xe9.png"), png())
    listing = list_pictures(tmp_path, local=True)
    assert names(listing) == ["1.png"]
    assert listing.skipped == (Skipped("caf?.png", "has a name that is not Unicode; rename it"),)


def test_nothing_to_list(tmp_path):
    saved(tmp_path / "none/notes.txt")
    empty = packed(tmp_path / "empty.zip", {"notes.txt": b""})
    assert refused(tmp_path / "none") == "There are no pictures in none."
    assert refused(empty) == "There are no pictures in empty."
    assert refused([]) == "There are no pictures yet; choose some, or a zip archive of them."
    assert refused(tmp_path / "gone") == f"There is no file or folder at {tmp_path}/gone."
    assert refused([saved(tmp_path / "t.csv", "image,n\n")]) == "t.csv has no rows; put one picture in each."


@pytest.mark.parametrize("kind", ["folder", "zip", "table", "picture"])
def test_visitors_open_nothing_where_the_app_runs(tmp_path, kind):
    source = {
        "folder": tmp_path,
        "zip": packed(tmp_path / "a.zip", {"1.png": png()}),
        "table": saved(tmp_path / "t.csv", "image\n1.png\n"),
        "picture": saved(tmp_path / "1.png", png()),
    }[kind]
    list_pictures(source, local=True)
    for named in (source, str(source)):
        assert refused(named, local=False).startswith("Files and folders where the app runs are not open to visitors")


def test_a_zip_is_listed_in_place(tmp_path):
    members = {
        "photos/b/1.png": png("blue"),
        "photos/a/1.png": png("red"),
        "photos\\a\\2.png": png("lime"),
        "photos/inner.zip": packed(tmp_path / "inner.zip", {"3.png": png()}).read_bytes(),
        "photos/notes.txt": b"",
        "photos/.DS_Store": b"",
        "photos/.thumbnails/1.png": png(),
        "__MACOSX/photos/a/._1.png": b"",
        "photos/a/": b"",
    }
    listing = list_pictures([packed(tmp_path / "holiday.zip", members)], local=False)
    assert names(listing) == ["photos/a/1.png", "photos/b/1.png", "photos/a/2.png"]
    assert colours(listing) == ["red", "blue", "lime"]
    assert listing.table["folder"].to_pylist() == ["a", "b", "a"]
    assert (listing.name, listing.skipped, listing.remarks) == ("holiday", (), ())


def test_names_that_leave_the_archive_lead_nowhere(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    path = packed(inside / "a.zip", {"../../evil.png": png("lime"), "/etc/evil.png": png("blue"), "c/../1.png": png()})
    before = sorted(tmp_path.rglob("*"))
    listing = list_pictures([path], local=False)
    assert names(listing) == ["evil.png", "etc/evil.png", "c/1.png"]
    assert colours(listing) == ["lime", "blue", "red"]
    assert sorted(tmp_path.rglob("*")) == before


def test_members_that_cannot_be_read_are_skipped_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_sources, "MAX_BYTES", 2_000_000)
    path = packed(tmp_path / "a.zip", {"1.png": png(), "large.png": bytes(2_000_001)})
    listing = list_pictures([path], local=False)
    assert names(listing) == ["1.png"]
    assert listing.skipped == (Skipped("large.png", "has more than 2 MB"),)
    path = packed(tmp_path / "b.zip", {"large.png": bytes(2_000_001)})
    assert refused([path]) == "There are no pictures in b; large.png has more than 2 MB."


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_sources, "MAX_ARCHIVE_BYTES", 1000)
    path = packed(tmp_path / "a.zip", {f"{i}.png": bytes(400) for i in range(3)})
    assert refused([path]).startswith("a.zip unpacks to more than ")


def test_uploads_of_several_kinds_are_one_list(tmp_path):
    uploads = [
        saved(tmp_path / "1/x.png", png("red")),
        saved(tmp_path / "2/x.png", png("lime")),
        packed(tmp_path / "a.zip", {"x.png": png("blue")}),
        saved(tmp_path / "no suffix", png("red")),
    ]
    listing = list_pictures([str(path) for path in uploads], local=False)
    assert names(listing) == ["x.png", "x.png (2)", "x.png (3)", "no suffix"]
    assert colours(listing) == ["red", "lime", "blue", "red"]
    assert listing.name == "4 files"


def test_a_table_beside_its_pictures(tmp_path):
    saved(tmp_path / "set/img/1.png", png("red"))
    saved(tmp_path / "2.png", png("lime"))
    saved(tmp_path / "set/unnamed.png", png())
    found = ["img/1.png,a,1", "img\\1.png,b,2", "../2.png,c,3", f"{tmp_path}/2.png,d,4"]
    rows = "\n".join(["image,caption,n", *found, "gone.png,e,5", "https://a.org/1.png,f,6", ",g,7", "img,h,8", ""])
    listing = list_pictures(saved(tmp_path / "set/pets.csv", rows), local=True)
    assert colours(listing) == ["red", "red", "lime", "lime"]
    assert listing.table["caption"].to_pylist() == ["a", "b", "c", "d"]
    assert listing.table["n"].to_pylist() == [1, 2, 3, 4]
    assert listing.skipped == (
        Skipped("gone.png", "does not exist"),
        Skipped("https://a.org/1.png", "is a web address, and pictures are not fetched from the web"),
        Skipped("row 7", "names no picture"),
        Skipped("img", "does not exist"),
    )
    assert all(os.path.isabs(location.removeprefix("file:")) for location in listing.locations)
    assert listing.name == "pets"


def test_an_uploaded_table_names_what_came_with_it_by_path_or_by_name(tmp_path):
    archive = packed(
        tmp_path / "a.zip",
        {"top/cats/1.png": png("red"), "top/dogs/1.png": png("lime"), "top/2.png": png("blue"), "top/3.png": png()},
    )
    loose = saved(tmp_path / "upload/4.png", png("lime"))
    found = ["top/cats/1.png", "dogs/1.png", "2.png", "./4.png", "/home/me/cats/1.png", "C:\\dogs\\1.png"]
    rows = "\n".join(["file", *found, "1.png", "birds/1.png", "5.png", ""])
    listing = list_pictures([archive, loose, saved(tmp_path / "t.csv", rows)], local=False)
    assert colours(listing) == ["red", "lime", "blue", "lime", "red", "lime"]
    assert listing.skipped == (
        Skipped("1.png", "could be any of 2 pictures of that name"),
        Skipped("birds/1.png", "could be any of 2 pictures of that name"),
        Skipped("5.png", "did not come with the table"),
    )
    assert listing.remarks == ("Pictures left out because t.csv does not name them: 1.",)


def test_accents_are_the_same_composed_or_not(tmp_path):
    archive = packed(tmp_path / "a.zip", {"cafe\u0301.png": png()})
    listing = list_pictures([archive, saved(tmp_path / "t.csv", "file\ncaf\u00e9.png\n")], local=False)
    assert colours(listing) == ["red"]


def test_an_uploaded_table_reaches_nothing_else(tmp_path):
    saved(tmp_path / "secret/1.png", png())
    saved(tmp_path / "beside.png", png())
    picture = saved(tmp_path / "upload/mine.png", png("blue"))
    rows = f"{tmp_path}/secret/1.png\nsecret/1.png\nbeside.png\n../beside.png\nfile:{tmp_path}/beside.png\nmine.png\n"
    listing = list_pictures([saved(tmp_path / "t.csv", "path\n" + rows), picture], local=False)
    assert listing.locations == (f"file:{picture}",)
    assert {skipped.reason for skipped in listing.skipped} == {"did not come with the table"}
    alone = refused([tmp_path / "t.csv"], local=False)
    assert alone == f"No row of t.csv leads to a picture: {tmp_path}/secret/1.png did not come with the table."


def test_a_deep_path_takes_no_more_than_a_shallow_one(tmp_path):
    deep = "a/" * 5000 + "1.png"
    listing = list_pictures(
        [packed(tmp_path / "a.zip", {deep: png()}), saved(tmp_path / "t.csv", "file\na/a/1.png\n")], local=False
    )
    assert colours(listing) == ["red"]
    found = picture_sources._Found([deep], ["x"])
    assert sum(map(len, picture_sources._Among(found).tails)) < 100


def test_two_tables_are_refused(tmp_path):
    tables = [saved(tmp_path / "a.csv"), saved(tmp_path / "b.parquet")]
    assert refused(tables) == "There are 2 tables; choose the one that lists the pictures."


def test_parquet_that_holds_the_pictures(tmp_path):
    pairs = (("red", "a.png"), ("lime", None), ("blue", "a.png"))
    rows = [{"bytes": png(colour), "path": path} for colour, path in pairs]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": rows, "text": ["x", None, "z"]}), path)
    for source, local in ((path, True), ([path], False)):
        listing = list_pictures(source, local=local)
        assert names(listing) == ["a.png", "row 2", "a.png (2)"]
        assert colours(listing) == ["red", "lime", "blue"]
        assert listing.table["caption"].to_pylist() == ["x", None, "z"]


def test_a_limit_is_kept_and_said(tmp_path):
    for i in range(5):
        saved(tmp_path / f"{i}.png", png())
    pq.write_table(pa.table({"image": [png()] * 5, "n": range(5)}), tmp_path / "t.parquet")
    listing = list_pictures(tmp_path, local=True, limit=2)
    assert names(listing) == ["0.png", "1.png"]
    assert listing.remarks[0] == "Only the first 2 of 5 pictures are listed."
    listing = list_pictures(tmp_path / "t.parquet", local=True, limit=2)
    assert listing.table["n"].to_pylist() == [0, 1]
    assert listing.remarks == ("Only the first 2 of 5 rows of t.parquet are listed.",)


@pytest.mark.parametrize("kind", ["folder", "zip", "table"])
def test_listing_can_be_stopped(tmp_path, kind):
    saved(tmp_path / "1.png", png())
    source = {
        "folder": tmp_path,
        "zip": packed(tmp_path / "a.zip", {"1.png": png()}),
        "table": saved(tmp_path / "t.csv", "image\n1.png\n"),
    }[kind]
    stop = threading.Event()
    assert len(list_pictures(source, local=True, stop=stop)) == 1
    stop.set()
    with pytest.raises(Stopped):
        list_pictures(source, local=True, stop=stop)
