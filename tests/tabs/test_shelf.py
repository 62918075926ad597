"""What visitors made stays on the disk as long as somebody may look at it, in memory only if that was lately."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mmexplorer.tabs import shelf
from mmexplorer.tabs.shelf import Shelved


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the files are; memory has room for two values of a thousand bytes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(shelf, "_recent", shelf._Recent())
    monkeypatch.setattr(shelf, "_folder", shelf._Folder())
    monkeypatch.setattr(shelf, "MEMORY_BYTES", 3000)
    return Path(shelf._folder.path())


def values(count: int) -> list[np.ndarray]:
    return [np.full(1000, number, np.uint8) for number in range(count)]


def test_the_latest_values_are_in_memory_and_older_ones_equal_what_they_were(folder):
    given = values(4)
    kept = [Shelved(value) for value in given]
    assert [one.value is value for one, value in zip(kept[2:], given[2:], strict=True)] == [True, True]
    again = kept[0].value
    assert again is not given[0] and np.array_equal(again, given[0])
    # Asked for, it is among the latest now, and pushed out the one that was asked for longest ago.
    assert kept[0].value is again and kept[3].value is given[3] and kept[2].value is not given[2]


def test_the_latest_stays_however_large(folder):
    large = np.zeros(9000, np.uint8)
    kept = Shelved(large)
    assert kept.value is large and kept.bytes > 9000
    other = Shelved(values(1)[0])
    assert kept.value is not large and np.array_equal(kept.value, large) and len(other.value) == 1000


def test_a_file_goes_with_the_last_reference(folder):
    kept = [Shelved(value) for value in values(3)]
    assert len(list(folder.iterdir())) == 3
    del kept[1]
    gc.collect()
    assert len(list(folder.iterdir())) == 2
    for file in folder.iterdir():
        Path.unlink(file)  # as a computer does that tidies up
    folder.rmdir()
    del kept[:]
    gc.collect()
    assert Shelved(b"next").value == b"next" and len(shelf._recent._values) == 1


def test_a_fork_that_drops_a_value_leaves_its_file(folder):
    kept = [Shelved(values(1)[0])]

    def drop() -> None:
        kept.clear()
        gc.collect()

    fork = multiprocessing.get_context("fork").Process(target=drop)
    fork.start()
    fork.join(20)
    assert fork.exitcode == 0 and len(list(folder.iterdir())) == 1


def test_many_may_put_and_take_at_once(folder):
    wrong = []

    def visit(number: int) -> None:
        mine = [Shelved(np.full(500, number * 50 + i, np.int32)) for i in range(50)]
        for i in (*range(50), *range(49, -1, -7)):
            if not np.array_equal(mine[i].value, np.full(500, number * 50 + i, np.int32)):
                wrong.append((number, i))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_on_a_full_disk_a_value_stays_in_memory_and_no_file_does(folder, monkeypatch):
    def full(value, stream, protocol):
        stream.write(b"x")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as fault:
        fault.setattr(shelf.pickle, "dump", full)
        large = values(1)[0]
        kept = Shelved(large)
    assert list(folder.iterdir()) == []
    others = [Shelved(value) for value in values(4)]  # enough to push it out of the latest
    assert kept.value is large and kept.bytes == 0 < others[0].bytes
    del kept
    gc.collect()
    assert len(list(folder.iterdir())) == len(others)


def test_everything_goes_when_the_process_ends_also_what_killed_ones_left(folder):
    kept = Shelved(values(1)[0])
    beside = folder.parent
    old, young, other = (beside / name for name in (f"{shelf.PREFIX}old", f"{shelf.PREFIX}young", "of-others"))
    for left in (old, young, other):
        left.mkdir()
        (left / "value").write_bytes(b"x")
        os.utime(left, times=(0, 0) if left != young else None)
    shelf.clear()
    assert not folder.exists() and len(kept.value) == 1000  # which is in memory still
    again = Shelved(values(1)[0])
    assert sorted(path.name for path in beside.iterdir() if path != Path(shelf._folder.path())) == sorted(
        [young.name, other.name]
    )
    ends = "import sys; from mmexplorer.tabs.shelf import Shelved; kept = Shelved(1); print(kept._path)"
    path = subprocess.run([sys.executable, "-c", ends], capture_output=True, text=True, check=True).stdout.strip()
    assert path and not Path(path).parent.exists() and again.bytes
