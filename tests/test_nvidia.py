import os
import stat

import pytest

from mmexplorer import nvidia, runtime

MIB = 2**20


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """A function that puts an nvidia-smi with that answer, or that fails, before all other programs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def answers(lines, status=0):
        program = tmp_path / "nvidia-smi"
        program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines) + f"exit {status}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return answers


def test_each_card_has_its_free_and_total_bytes(driver):
    driver(["15000, 16384", "200, 24576"])
    assert nvidia.cards() == ((15000 * MIB, 16384 * MIB), (200 * MIB, 24576 * MIB))


@pytest.mark.parametrize(
    ("visible", "numbers"), [("1", [1]), ("1,0", [1, 0]), ("", []), ("-1", []), ("0,7", [0]), ("GPU-8a3f", [0, 1])]
)
def test_cards_that_are_hidden_do_not_count(driver, monkeypatch, visible, numbers):
    driver(["1, 10", "2, 20"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    every = ((1 * MIB, 10 * MIB), (2 * MIB, 20 * MIB))
    assert nvidia.cards() == tuple(every[number] for number in numbers)


def test_without_a_driver_there_are_none(driver, monkeypatch, tmp_path):
    driver(["Failed to initialize NVML: Driver/library version mismatch"], status=18)
    assert nvidia.cards() == ()
    driver(["[N/A], [N/A]"])
    assert nvidia.cards() == ()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert nvidia.cards() == ()


@pytest.mark.parametrize(
    ("cards", "build", "platform", "wanted", "expected"),
    [
        (1, "2.13.0", "linux", "", "cuda"),
        (1, "2.13.0+cpu", "linux", "", "cpu"),  # a torch that cannot use the card
        (0, "2.13.0", "linux", "", "cpu"),
        (0, "2.13.0", "darwin", "", "mps"),
        (1, "2.13.0", "linux", " CPU ", "cpu"),
    ],
)
def test_the_device_is_expected_without_torch(monkeypatch, cards, build, platform, wanted, expected):
    monkeypatch.setattr(nvidia, "cards", lambda: ((1, 2),) * cards)
    monkeypatch.setattr(runtime, "version", lambda name: build)
    monkeypatch.setattr(runtime.sys, "platform", platform)
    monkeypatch.setattr(runtime.platform, "machine", lambda: "arm64")
    monkeypatch.delitem(runtime.sys.modules, "torch", raising=False)
    monkeypatch.setenv("MMEXPLORER_DEVICE", wanted)
    assert runtime.expected_device() == expected


def test_a_cards_memory_is_told_without_torch(monkeypatch):
    monkeypatch.setattr(nvidia, "cards", lambda: ((1, 10), (2, 20)))
    monkeypatch.delitem(runtime.sys.modules, "torch", raising=False)
    assert runtime.memory("cuda") == (1, 10) and runtime.memory("cuda:1") == (2, 20)
