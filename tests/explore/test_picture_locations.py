"""Every kind of location gives back the bytes that were put there, and names the picture in what it refuses."""

import io
import os
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import picture_locations
from mmexplorer.explore.picture_locations import (
    location_name,
    open_location,
    parquet_location,
    read_location,
    zip_location,
)
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Sampler, rng_for


def png(colour) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(file, "PNG")
    return file.getvalue()


def refused(location) -> str:
    with pytest.raises(Refusal) as caught:
        open_location(location)
    return str(caught.value)


@pytest.mark.parametrize("folder", ["plain", "with :: and 100%25"])
def test_every_kind_gives_its_bytes_back(tmp_path, folder):
    home = tmp_path / folder
    home.mkdir()
    (home / "a.png").write_bytes(png("red"))
    with zipfile.ZipFile(home / "a.zip", "w") as archive:
        archive.writestr("b::c/50%25.png", png("lime"))
    pq.write_table(pa.table({"x::y": [b"", png("blue")]}), home / "a.parquet")
    locations = [
        f"file:{home / 'a.png'}",
        zip_location(home / "a.zip", "b::c/50%25.png"),
        parquet_location(home / "a.parquet", 1, "x::y"),
    ]
    assert [read_location(location) for location in locations] == [png("red"), png("lime"), png("blue")]
    assert [open_location(location).getpixel((0, 0)) for location in locations] == [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
    ]
    assert [location_name(location) for location in locations] == ["a.png", "50%25.png", "row 2 of a.parquet"]


def test_a_toy_location_is_the_scene_of_its_seed():
    scene = render([Sampler(rng_for("collection", 5)).scene()])[0]
    assert np.array_equal(np.asarray(open_location("toy:5")), scene)
    assert read_location("toy:5").startswith(b"\x89PNG")
    assert read_location("toy:5") != read_location("toy:6")
    assert location_name("toy:5") == "toy scene 5"


@pytest.mark.parametrize("location", ["", "a.png", "http://example.org/a.png", "zip:a.zip", "parquet:a::1", "toy:x"])
def test_what_is_no_location_is_a_bug(location):
    with pytest.raises(ValueError) as caught:
        read_location(location)
    assert not isinstance(caught.value, Refusal)


def test_an_archive_that_changed_is_opened_anew(tmp_path):
    path = tmp_path / "a.zip"
    for number, colour in enumerate(("red", "blue")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", png(colour))
        os.utime(path, (number, number))
        assert read_location(zip_location(path, "a.png")) == png(colour)


def test_what_is_gone_is_refused_by_name(tmp_path):
    assert refused(f"file:{tmp_path}/a.png") == "a.png is no longer there."
    assert refused(zip_location(tmp_path / "a.zip", "b.png")) == "a.zip is no longer there."
    assert refused(parquet_location(tmp_path / "a.parquet", 0, "image")) == "a.parquet is no longer there."
    assert refused(f"file:{tmp_path}").endswith("cannot be read (Is a directory).")


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    assert refused(f"file:{tmp_path}/a.png").startswith("a.png is not a picture")


def test_what_is_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_locations, "MAX_BYTES", 1_000_000)
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1_000_001)
    pq.write_table(pa.table({"image": [bytes(1_000_001)]}), tmp_path / "a.parquet")
    sentence = " has more than 1 MB; scale it down first."
    assert refused(f"file:{tmp_path}/a.png") == "a.png" + sentence
    assert refused(parquet_location(tmp_path / "a.parquet", 0, "image")) == "row 1 of a.parquet" + sentence
