"""The cache gives back exactly what was kept, and damage of any kind is a miss, never an error."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.explore import embedding_cache
from mmexplorer.explore.embedding_cache import EmbeddingCache, PreviewCache, model_version, picture_key, text_key
from mmexplorer.presets import preset

VECTORS = {bytes([i]): np.random.default_rng(i).normal(size=5).astype(np.float32) for i in range(4)}


@pytest.fixture
def cache(tmp_path):
    cache = EmbeddingCache(tmp_path / "new" / "cache.sqlite3")
    cache.keep(VECTORS)
    yield cache
    cache.close()


def assert_works(cache):
    assert cache.find(b"\x00") is None
    cache.keep(VECTORS)
    assert np.array_equal(cache.find(b"\x00"), VECTORS[b"\x00"])


def test_what_was_kept_is_found_bit_for_bit_by_another_process(cache):
    cache.close()
    code = (
        "import sys; from mmexplorer.explore.embedding_cache import EmbeddingCache\n"
        "print(EmbeddingCache(sys.argv[1]).find(bytes([2])).tobytes().hex())"
    )
    output = subprocess.run([sys.executable, "-c", code, cache.path], capture_output=True, text=True, check=True).stdout
    assert bytes.fromhex(output) == VECTORS[b"\x02"].tobytes()
    assert cache.find(b"\x09") is None


def test_a_file_that_is_no_database_is_replaced(cache):
    cache.close()
    cache.path.write_bytes(b"no database" * 1000)
    assert_works(cache)


def test_a_file_damaged_in_the_middle_is_replaced(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache.sqlite3")
    many = {i.to_bytes(2, "big"): np.full(256, i, np.float32) for i in range(500)}
    cache.keep(many)
    cache.close()
    data = bytearray(cache.path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    cache.path.write_bytes(data)
    assert all(cache.find(key) is None for key in many)
    assert_works(cache)


def test_a_file_cut_short_is_replaced(cache):
    cache.close()
    with cache.path.open("r+b") as file:
        file.truncate(5000)
    assert cache.find(b"\x01") is None
    cache.keep(VECTORS)
    assert np.array_equal(cache.find(b"\x01"), VECTORS[b"\x01"])


def test_a_database_of_another_kind_is_replaced(tmp_path):
    path = tmp_path / "cache.sqlite3"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE blobs (something TEXT)")
    other.close()
    assert_works(EmbeddingCache(path))


@pytest.mark.parametrize(
    "damage",
    [
        "data = substr(data, 1, 12)",
        "data = substr(data, 1, 12), size = 12",
        "data = zeroblob(20)",
        "data = x'', size = 0",
        "data = NULL",
        "data = 'words'",
        "checksum = 7",
    ],
)
def test_a_damaged_row_is_a_miss_and_can_be_kept_anew(cache, damage):
    with sqlite3.connect(cache.path) as rows:
        rows.execute(f"UPDATE blobs SET {damage} WHERE key = ?", (b"\x01",))
    rows.close()
    assert cache.find(b"\x01") is None
    assert np.array_equal(cache.find(b"\x02"), VECTORS[b"\x02"])
    cache.keep(VECTORS)
    assert np.array_equal(cache.find(b"\x01"), VECTORS[b"\x01"])


def test_a_folder_that_cannot_be_written_makes_every_look_a_miss_and_is_told_once(tmp_path, caplog):
    (tmp_path / "file").touch()
    cache = EmbeddingCache(tmp_path / "file" / "cache.sqlite3")
    cache.keep(VECTORS)
    assert cache.find(b"\x01") is None
    assert [record.getMessage()[:32] for record in caplog.records] == ["Embeddings are not kept on disk:"]


def test_a_file_that_another_holds_is_left_alone(cache, monkeypatch):
    monkeypatch.setattr(embedding_cache, "PATIENCE_SECONDS", 0)
    cache.close()
    other = sqlite3.connect(cache.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert cache.find(b"\x01") is None
    cache.keep({b"new": np.ones(2, np.float32)})
    other.execute("ROLLBACK")
    other.close()
    assert np.array_equal(cache.find(b"\x01"), VECTORS[b"\x01"]) and cache.find(b"new") is None


def test_threads_share_a_cache(cache):
    def work(number):
        for i in range(20):
            key = bytes([number, i])
            cache.keep({key: np.array([number, i], np.float32)})
            wrong.extend([key] if cache.find(key).tolist() != [number, i] else [])

    wrong, threads = [], [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and all(cache.find(bytes([n, i])) is not None for n in range(8) for i in range(20))


def test_keys_tell_contents_and_kinds_apart():
    assert picture_key(b"red") == picture_key(b"red") != picture_key(b"Red")
    assert text_key("red") == text_key("red") != picture_key(b"red")


def test_each_model_and_version_has_its_own_file(clip_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MMEXPLORER_CACHE", str(tmp_path / "kept"))
    folder = shutil.copytree(clip_folder, tmp_path / "model")
    local = replace(preset("toy-clip"), source=str(folder))
    hub = preset("clip-vit-base-patch32")
    first = EmbeddingCache.of(local).path
    assert first.is_relative_to(tmp_path / "kept") and first == EmbeddingCache.of(local).path
    assert model_version(hub) == hub.revision and EmbeddingCache.of(hub).path != first
    (folder / "report.json").write_text("{}")  # says how well the model does, and changes nothing
    assert EmbeddingCache.of(local).path == first
    (folder / "processor_config.json").write_text("{}")
    changed = EmbeddingCache.of(local).path
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert len({first, changed, EmbeddingCache.of(local).path}) == 3


def test_previews_come_back_tiny_ones_to_the_pixel(tmp_path):
    cache = PreviewCache(tmp_path / "previews.sqlite3")
    noise = np.random.default_rng(0).integers(0, 256, (64, 40, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(192, dtype=np.uint8)[None, :, None], (120, 192, 3))
    cache.keep({b"tiny": Image.fromarray(noise), b"photo": Image.fromarray(np.ascontiguousarray(ramp))})
    assert np.array_equal(np.asarray(cache.find(b"tiny")), noise)
    back = cache.find(b"photo")
    assert back.mode == "RGB" and np.abs(np.asarray(back).astype(int) - ramp).max() < 10
    cache.keep_bytes({b"broken": b"no picture"})
    assert cache.find(b"broken") is None and cache.find(b"unknown") is None
