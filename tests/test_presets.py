import re

import pytest

from mmexplorer import presets
from mmexplorer.errors import Refusal
from mmexplorer.presets import preset


def test_keys_are_unique_and_found():
    rows = presets.presets()
    assert len({row.key for row in rows}) == len(rows)
    assert all(preset(row.key) is row for row in rows)


def test_the_toy_models_come_first_and_live_in_the_repository():
    rows = presets.presets()
    assert [row.key for row in rows[:3]] == ["toy-clip", "toy-clip-withheld", "toy-clip-hard-negatives"]
    assert all(row.is_local == (row.tier == "toy") for row in rows)
    assert preset("toy-clip").path == presets.ROOT / "assets" / "models" / "toy-clip"
    assert (presets.ROOT / "mmexplorer" / "presets.py").is_file()


@pytest.mark.parametrize("row", [row for row in presets.presets() if not row.is_local], ids=lambda row: row.key)
def test_a_hub_checkpoint_is_pinned(row):
    assert re.fullmatch("[0-9a-f]{40}", row.revision)
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.source)
    assert row.family in presets.MODEL_TYPES
    # Published in float32 or in half of that, with a tokenizer of some megabytes beside the weights.
    bytes_each = row.disk_bytes / row.parameters
    assert 3.9 < bytes_each < 4.3 or 1.9 < bytes_each < 2.1
    with pytest.raises(ValueError, match=row.key):
        _ = row.path


@pytest.mark.parametrize("asked", ["toyclip", "toy_clip", "Toy-Clip"])
def test_a_near_miss_names_the_model_that_was_meant(asked):
    with pytest.raises(Refusal, match="toy-clip"):
        preset(asked)


@pytest.mark.parametrize("asked", ["", "../../etc/passwd", "x" * 10_000, None, 3])
def test_nonsense_is_refused_in_one_short_sentence(asked):
    with pytest.raises(Refusal) as caught:
        preset(asked)
    assert len(str(caught.value)) < 200
