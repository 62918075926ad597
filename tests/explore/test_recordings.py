"""Recorded results: what a fresh computation with the shipped weights gives, in files that read and write alike."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmexplorer.explore import recordings
from mmexplorer.explore.recordings import Recording
from mmexplorer.figures.scores import scores_payload
from mmexplorer.presets import preset
from mmexplorer.results import Classification, probabilities
from mmexplorer.training import record

SHIPPED = recordings.recordings("zero_shot")


def assert_alike(recorded, fresh, where=""):
    """Equal payloads, up to 1e-4 in numbers, one step in heatmaps of 8 bits, and what encoders of pictures vary."""
    assert type(recorded) is type(fresh), where
    if isinstance(fresh, dict) and "float32" in fresh:
        assert recorded["shape"] == fresh["shape"], where
        np.testing.assert_allclose(floats(recorded), floats(fresh), rtol=0, atol=1e-4, err_msg=where)
    elif isinstance(fresh, dict):
        assert list(recorded) == list(fresh), where
        for key in fresh:
            assert_alike(recorded[key], fresh[key], f"{where}.{key}")
    elif isinstance(fresh, list):
        assert len(recorded) == len(fresh), where
        for index, pair in enumerate(zip(recorded, fresh, strict=True)):
            assert_alike(*pair, f"{where}[{index}]")
    elif isinstance(fresh, float):
        assert recorded == pytest.approx(fresh, rel=1e-4, abs=1e-4), where
    elif where.endswith(".maps"):
        steps = [np.frombuffer(base64.b64decode(text), np.uint8).astype(int) for text in (recorded, fresh)]
        np.testing.assert_allclose(*steps, atol=1, err_msg=where)
    elif isinstance(fresh, str) and fresh.startswith("data:image/"):
        np.testing.assert_allclose(pixels(recorded), pixels(fresh), atol=8, err_msg=where)
    else:
        assert recorded == fresh, where


def floats(value):
    return np.frombuffer(base64.b64decode(value["float32"]), "<f4")


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))), dtype=int)


@pytest.mark.parametrize("recorded", SHIPPED, ids=lambda recording: recording.picture)
def test_recorded_results_are_those_of_the_shipped_models(recorded):
    name = recorded.picture.removesuffix(".png")
    fresh = record.record(name, record.EXAMPLES[name])
    assert (recorded.title, recorded.labels, recorded.templates) == (fresh.title, fresh.labels, fresh.templates)
    assert list(recorded.payloads) == list(fresh.payloads) == ["scores", "viewer", "walk"]
    for part, payload in fresh.payloads.items():
        assert_alike(json.loads(recorded.payloads[part]), json.loads(payload), part)


def test_all_examples_are_recorded_and_in_order():
    assert [recording.picture for recording in SHIPPED] == [f"{name}.png" for name in record.EXAMPLES]
    for recording in SHIPPED:
        assert recording.path.is_file()
        assert [preset(key).tier for key in recording.models] == ["toy"]


def test_the_comparison_can_fail():
    def payload(cosine):
        cosines = np.array([[cosine]], np.float32)
        return json.loads(
            scores_payload([Classification(("a",), cosines, probabilities(cosines, 1, 0, "softmax"), 9.0)])
        )

    assert_alike(payload(0.25), payload(0.25004))
    with pytest.raises(AssertionError, match="cosines"):
        assert_alike(payload(0.25), payload(0.2502))


def test_a_file_gives_back_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "ASSETS", tmp_path)
    made = Recording("Ein Titel: ☆", "new", "a.png", ("a", "b"), ("{}",), ("toy-clip",), {"scores": '{"a":1}'})
    for name in ("2-later", "1-first"):
        made.save(name)
    recordings.recordings.cache_clear()
    assert recordings.recordings("new") == (made, made)
    assert recordings.recordings("none") == ()
    assert (tmp_path / "recordings" / "new" / "1-first.json").is_file()
    recordings.recordings.cache_clear()
