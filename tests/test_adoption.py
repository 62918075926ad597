import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from mmexplorer import adoption, hub, presets
from mmexplorer.errors import Refusal
from mmexplorer.explore.catalogue import add_model, models
from mmexplorer.presets import ROOT, preset

_spec = importlib.util.spec_from_file_location("stand_in", Path(__file__).with_name("hub_stand_in.py"))
stand_in = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stand_in)

TOY_CLIP, TOY_DIFFUSION = preset("toy-clip").path, preset("toy-diffusion").path
# What the cards of the toys say.
CLIP_PARAMETERS = json.loads((TOY_CLIP / "training.json").read_text())["parameters"]


def files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The stand-in Hub with a toy CLIP; the disk has nothing of it."""
    for name in ("MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with stand_in.serving(files(TOY_CLIP)) as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield running


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test adds is gone after it."""
    monkeypatch.setattr(presets, "_others", {})
