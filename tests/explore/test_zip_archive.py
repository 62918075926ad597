"""Zip archives read in place: what they hold, and hostile ones that cannot take memory, disk or time."""

import struct
import threading
import tracemalloc
import zipfile

import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import zip_archive
from mmexplorer.explore.zip_archive import ZipArchive, unreadable

LIMIT = 10_000_000


def packed(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def refused(call, *arguments) -> str:
    with pytest.raises(Refusal) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    return str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_come_back_whole(tmp_path, method):
    long = bytes(range(256)) * 10_000  # more than two blocks
    path = packed(tmp_path / "a.zip", {"x/long": long, "empty": b"", "folder/": b""}, compression=method)
    archive = ZipArchive(path)
    assert set(archive.members()) == {"x/long", "empty"}
    assert archive.read("x/long", LIMIT) == long
    assert archive.read("empty", LIMIT) == b""


def test_of_members_with_one_path_the_last_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"old")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", b"new")
    archive = ZipArchive(tmp_path / "a.zip")
    assert list(archive.members()) == ["a.png"]
    assert archive.read("a.png", LIMIT) == b"new"


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + b"\xff" * 18, b"PK\x03\x04" * 100])
def test_what_is_no_archive_is_refused(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    assert "a.zip" in refused(ZipArchive, tmp_path / "a.zip")


def test_an_archive_that_is_gone_is_refused(tmp_path):
    assert refused(ZipArchive, tmp_path / "a.zip") == "a.zip cannot be read (No such file or directory)."


def test_a_truncated_archive_is_refused(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.png": b"x" * 5000})
    path.write_bytes(path.read_bytes()[:-30])
    assert "damaged" in refused(ZipArchive, path)


def test_a_damaged_member_is_refused_by_name_and_the_others_are_read(tmp_path):
    path = packed(tmp_path / "a.zip", {"p/a.png": b"first" * 100, "b.png": b"second"})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"firstfirst", b"worstworst", 1))
    archive = ZipArchive(path)
    assert refused(archive.read, "p/a.png", LIMIT) == "a.png is damaged in a.zip; pack it again."
    assert archive.read("b.png", LIMIT) == b"second"
    assert refused(archive.read, "c.png", LIMIT) == "c.png is no longer in a.zip."


def test_a_member_that_lies_about_its_size_takes_no_more_than_it_states(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.png": bytes(100_000_000)}, compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    assert data.count(struct.pack("<I", 100_000_000)) == 2  # in the member's own header and in the table of contents
    path.write_bytes(data.replace(struct.pack("<I", 100_000_000), struct.pack("<I", 1000)))
    archive = ZipArchive(path)
    tracemalloc.start()
    try:
        assert "damaged" in refused(archive.read, "a.png", LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_member_that_states_too_much_is_refused_unread(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.png": bytes(3_000_000)}, compression=zipfile.ZIP_DEFLATED)
    assert refused(ZipArchive(path).read, "a.png", 2_000_000) == "a.png in a.zip has more than 2 MB."


def test_an_encrypted_member_is_refused(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.png": b"x"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    archive = ZipArchive(path)
    assert unreadable(archive.members()["a.png"], LIMIT) == "is encrypted"
    assert refused(archive.read, "a.png", LIMIT) == "a.png in a.zip is encrypted."


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_inflate_without_a_bound_are_refused(tmp_path, method):
    archive = ZipArchive(packed(tmp_path / "a.zip", {"a.png": b"x"}, compression=method))
    assert "other than Deflate" in refused(archive.read, "a.png", LIMIT)


def test_an_outsized_table_of_contents_is_refused_unread(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.zip", {f"{i}.png": b"" for i in range(200)})
    assert len(ZipArchive(path).members()) == 200
    monkeypatch.setattr(zip_archive, "MAX_DIRECTORY_BYTES", 200 * 46)
    assert refused(ZipArchive, path) == "a.zip holds too many files; pack fewer into one archive."


def test_threads_take_turns(tmp_path):
    members = {f"{i}.png": bytes([i]) * 50_000 for i in range(40)}
    archive = ZipArchive(packed(tmp_path / "a.zip", members, compression=zipfile.ZIP_DEFLATED))
    wrong = []

    def read():
        wrong.extend(name for name, data in members.items() if archive.read(name, LIMIT) != data)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
