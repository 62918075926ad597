"""What ZeroGPU's residency does besides keeping models: fetching files for the fork that will load them."""

from types import SimpleNamespace

import pytest

from mmexplorer import placement, presets
from mmexplorer.errors import Refusal
from mmexplorer.residency_forked import ForkedResidency


def residency(fetch) -> ForkedResidency:
    files = SimpleNamespace(fetch=fetch, here=lambda preset: "folder")
    return ForkedResidency("cpu", files=files, load=lambda preset, folder, device: preset.key)


def test_files_are_fetched_and_the_model_is_not_loaded():
    told = []

    def fetch(preset, progress, stop):
        progress(1_000_000, 4_000_000)
        told.append((preset.key, lent.status(preset.key).stage, lent.status(preset.key).bytes_done, stop))

    lent = residency(fetch)
    lent.prepare("sd-turbo", "stop")
    assert told == [("sd-turbo", "downloading", 1_000_000, "stop")]
    assert lent.loaded() == []
    assert lent.status("sd-turbo").stage == "found"


def test_what_is_in_memory_is_not_fetched_again():
    fetched = []
    lent = residency(lambda preset, progress, stop: fetched.append(preset.key))
    with lent.use("toy-clip"):
        lent.prepare("toy-clip")
    assert fetched == ["toy-clip"]
    [loaded] = lent.loaded()
    assert loaded.memory_bytes == placement.memory_bytes(presets.preset("toy-clip"), 32)


def test_a_refusal_of_the_hub_comes_through_and_the_next_one_starts_over():
    def fetch(preset, progress, stop):
        raise Refusal("It is gated.")

    lent = residency(fetch)
    for _ in range(2):
        with pytest.raises(Refusal, match=r"It is gated\."):
            lent.prepare("sd-turbo")
    assert lent.status("sd-turbo").stage == "found"
