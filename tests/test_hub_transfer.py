"""Bytes from the Hub: stopped, broken off, damaged and silent transfers, and what the next one asks for."""

import hashlib
import importlib.util
import multiprocessing
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from mmexplorer import hub, hub_files

_spec = importlib.util.spec_from_file_location("hub_tiny", Path(__file__).with_name("hub_tiny.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)
BYTES, FETCHED, PRESET, WEIGHTS = tiny.BYTES, tiny.FETCHED, tiny.PRESET, tiny.WEIGHTS
server, refused = tiny.server, tiny.refused


def weights_asked(server) -> list[str]:
    """The ranges of the weights that were asked for."""
    return [span for name, span in server.downloads() if name == "model.safetensors"]


def begun() -> int:
    """Bytes of the weights that wait for the rest."""
    return beginning().stat().st_size


def beginning() -> Path:
    [part] = Path(constants.HF_HUB_CACHE).rglob(f"{hashlib.sha256(WEIGHTS).hexdigest()}.incomplete")
    return part


def assert_fetched() -> list[tuple[int, int]]:
    """That all is well now; what was reported of it."""
    reports = []
    folder = hub.fetch(PRESET, lambda done, total: reports.append((done, total)))
    assert folder == hub.here(PRESET)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert list(Path(constants.HF_HUB_CACHE).rglob("*.incomplete")) == []
    return reports


def test_a_stopped_download_goes_on_where_it_stopped(server):
    stop, over = threading.Event(), threading.Event()
    server.before_block = lambda sent: over.wait(5) if sent >= 8192 else None
    enough = BYTES - len(WEIGHTS) + 8192
    with pytest.raises(hub.Stopped):
        hub.fetch(PRESET, lambda done, total: stop.set() if done >= enough else None, stop)
    over.set()
    assert hub.here(PRESET) is None
    there = begun()
    assert there == 8192
    assert hub.missing_bytes(PRESET) == len(WEIGHTS) - there
    server.asked.clear()
    assert hub.begun_bytes(PRESET) == BYTES - len(WEIGHTS) + there  # small files arrived whole
    assert server.asked == [] and hub.begun_bytes(replace(PRESET, disk_bytes=100)) == 100
    reports = assert_fetched()
    assert hub.begun_bytes(PRESET) == 0
    assert weights_asked(server) == [f"bytes={there}-"]
    assert reports[1] == (there, len(WEIGHTS)) and reports[-1] == (len(WEIGHTS), len(WEIGHTS))


def test_stop_is_heard_while_the_server_is_silent(server):
    server.silent_after = 4096
    stop, begun_at = threading.Event(), time.monotonic()
    with pytest.raises(hub.Stopped):
        hub.fetch(PRESET, lambda done, total: stop.set() if done >= 4096 else None, stop)
    assert time.monotonic() - begun_at < 5  # not after the ten seconds of a silent connection
    server.behave()
    assert_fetched()


def test_stop_is_heard_while_the_list_of_files_is_awaited(server):
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    held = threading.Event()
    server.before_listing = lambda: held.wait(20)
    with pytest.raises(hub.Stopped):
        hub.fetch(PRESET, stop=stop)
    held.set()


def test_a_dropped_connection_goes_on_by_itself(server):
    server.drop_after, server.drops = 20_000, 2
    assert_fetched()
    assert weights_asked(server) == ["", "bytes=20480-", "bytes=20480-"]


def test_a_connection_that_drops_at_once_is_given_up_and_the_next_try_goes_on(server):
    server.drop_after = 20_000
    assert "broke off" in refused()
    assert weights_asked(server) == ["", *["bytes=20480-"] * 3]
    there = begun()
    server.behave()
    server.asked.clear()
    assert_fetched()
    assert weights_asked(server) == [f"bytes={there}-"]


def test_a_killed_process_leaves_a_beginning_that_counts(server):
    server.silent_after = 30_000
    process = multiprocessing.get_context("fork").Process(target=hub.fetch, args=(PRESET,), daemon=True)
    process.start()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if any(part.stat().st_size >= 30_000 for part in Path(constants.HF_HUB_CACHE).rglob("*.incomplete")):
            break
        time.sleep(0.01)
    process.kill()
    process.join()
    there = begun()
    server.behave()
    server.asked.clear()
    assert_fetched()
    assert weights_asked(server) == [f"bytes={there}-"]


@pytest.mark.parametrize("ranges", ["ignored", "refused"])
def test_a_server_without_ranges_sends_the_file_anew(server, ranges):
    server.cut = 100
    assert "broke off" in refused()
    server.behave()
    server.ranges = ranges
    server.asked.clear()
    assert_fetched()
    assert weights_asked(server) == [f"bytes={len(WEIGHTS) - 100}-"] + [""] * (ranges == "refused")


def test_a_beginning_longer_than_the_file_is_thrown_away(server):
    server.cut = 100
    refused()
    beginning().write_bytes(b"x" * (len(WEIGHTS) + 1))
    server.behave()
    assert "arrived damaged" in refused()
    assert_fetched()


def test_another_content_of_the_same_size_is_not_kept(server):
    server.corrupt = True
    assert "arrived damaged (model.safetensors is not what the Hub announced)" in refused()
    assert hub.here(PRESET) is None and hub.missing_bytes(PRESET) >= len(WEIGHTS)
    server.behave()
    assert_fetched()


def test_a_damaged_small_file_is_not_kept(server):
    server.files["config.json"], announced = b'{"model_type": "clap"}', server.files["config.json"]
    server.announced["config.json"] = announced
    assert "arrived damaged (config.json" in refused()
    server.files["config.json"] = announced
    assert_fetched()


def test_a_silent_server_is_given_up(server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    server.silent_after = 10_240
    assert "fell silent" in refused()
    there = begun()
    assert there == 10_240
    server.behave()
    server.asked.clear()
    assert_fetched()
    assert weights_asked(server) == ["bytes=10240-"]


def test_a_file_that_vanishes_on_the_way(server):
    server.vanish_after = 20_000
    assert "A file of Tiny CLIP is no longer on the Hub" in refused()
    server.behave()
    assert_fetched()


def test_a_fault_of_the_store_that_passes(server):
    server.store_error, server.store_errors = (503,), 2
    assert_fetched()
    assert weights_asked(server) == ["", "", ""]


def test_two_processes_fetch_a_file_once(server):
    server.bytes_per_second = 200_000
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=hub.fetch, args=(PRESET,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0]
    assert weights_asked(server) == [""]
    assert_fetched()


def test_a_file_that_another_process_put_in_place_meanwhile_is_never_gone(server, monkeypatch):
    folder = hub.fetch(PRESET)
    link = folder / "model.safetensors"
    file = hub_files.HubFile(link.name, len(WEIGHTS), link.resolve().name)
    removed, unlink = [], Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **options: (removed.append(path.name), unlink(path, **options)))
    monkeypatch.setattr(Path, "exists", lambda path, **options: False)  # as it was when this process looked
    hub_files.put_in_place(PRESET, file)
    monkeypatch.undo()
    assert link.read_bytes() == WEIGHTS and removed == []
    assert sorted(path.name for path in folder.iterdir()) == sorted(FETCHED)


def test_the_token_goes_to_the_hub_and_not_to_the_store(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert_fetched()
    assert set(server.tokens) == {"Bearer hf_secret"}
    assert server.store_tokens == [None]
