"""A checkpoint of 64 kB on the stand-in Hub, and what tests ask of fetching it."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from mmexplorer import hub, presets
from mmexplorer.errors import Refusal

_spec = importlib.util.spec_from_file_location("hub_stand_in", Path(__file__).with_name("hub_stand_in.py"))
stand_in = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stand_in)

WEIGHTS = save({"weight": np.arange(16384, dtype=np.float32)})  # 64 KiB and a header
FILES = {
    "config.json": json.dumps({"model_type": "clip"}).encode(),
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "open_clip_model.safetensors": b"unwanted",
    "model.fp16.safetensors": b"unwanted",
    "pytorch_model.bin": b"unwanted",
    "code.py": b"raise SystemExit",
}
FETCHED = {"config.json", "tokenizer.json", "model.safetensors"}
BYTES = sum(len(FILES[name]) for name in FETCHED)

PRESET = presets.Preset(
    key="tiny",
    label="Tiny CLIP",
    family="clip",
    source=stand_in.REPOSITORY,
    revision=stand_in.REVISION,
    disk_bytes=66_000,
    parameters=16_500,
    licence="MIT",
    gated=False,
    paper="",
    abilities=frozenset({"embeds"}),
    tier="cpu",
    note="",
)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The stand-in Hub with the checkpoint, which is not on this disk; tries follow each other quickly."""
    monkeypatch.setattr("mmexplorer.hub_transfer.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("mmexplorer.hub_transfer.BEAT_SECONDS", 0.005)
    with stand_in.serving({stand_in.REPOSITORY: dict(FILES)}) as running:
        stand_in.connect(monkeypatch, running.url, tmp_path / "cache")
        yield running


def refused(preset=PRESET, **options) -> str:
    """The sentence of fetching."""
    with pytest.raises(Refusal) as caught:
        hub.fetch(preset, **options)
    sentence = str(caught.value)
    assert preset.label in sentence
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence
