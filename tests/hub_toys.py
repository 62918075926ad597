"""The toy checkpoints on the stand-in Hub under the ids of real ones, as a visitor's machine meets them."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from mmexplorer import presets, residency

_spec = importlib.util.spec_from_file_location("hub_stand_in", Path(__file__).with_name("hub_stand_in.py"))
stand_in = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stand_in)

# {key of a real model: key of the toy whose files are served as its own}
TOYS = {
    "clip-vit-base-patch32": "toy-clip",
    "siglip-base-patch16-224": "toy-clip-withheld",
    "llava-1.5-7b": "toy-llava",
    "llava-v1.6-mistral-7b": "toy-llava-next",
    "stable-diffusion-1.5": "toy-diffusion",
}
# Beside them lie, as on the Hub, files that must not be fetched.
UNWANTED = {"pytorch_model.bin": b"pickle", "tf_model.h5": b"h5", "code.py": b"raise SystemExit", "README.md": b"#"}


@cache
def _files(key: str) -> dict[str, bytes]:
    folder = presets.preset(key).path
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items()} | UNWANTED


@pytest.fixture
def toy_hub(monkeypatch, tmp_path):
    """The stand-in Hub; an empty disk, no model in memory, and room for models that say they are large."""
    real = {presets.preset(key): _files(toy) for key, toy in TOYS.items()}
    repositories = {preset.source: dict(files) for preset, files in real.items()}
    monkeypatch.setenv("MMEXPLORER_CACHE", str(tmp_path / "embeddings"))
    monkeypatch.setattr(residency._default, "_budget", 10**12)
    monkeypatch.setattr("mmexplorer.hub_transfer.PAUSE_SECONDS", 0.01)
    if residency.loaded():
        residency.evict()
    with stand_in.serving(repositories, {preset.source: preset.revision for preset in real}) as running:
        stand_in.connect(monkeypatch, running.url, tmp_path / "hub")
        yield running
    residency.evict()
    residency._default._failures.clear()
