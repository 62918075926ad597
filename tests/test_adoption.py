import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from mmexplorer import adoption, hub, presets
from mmexplorer.errors import Refusal
from mmexplorer.explore.catalogue import add_model, models
from mmexplorer.presets import ROOT, preset

_spec = importlib.util.spec_from_file_location("stand_in", Path(__file__).with_name("hub_stand_in.py"))
stand_in = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stand_in)

TOY_CLIP, TOY_DIFFUSION = preset("toy-clip").path, preset("toy-diffusion").path
NUMBERS = sum(array.size for array in load_file(TOY_CLIP / "model.safetensors").values())


def files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The stand-in Hub with a toy CLIP; the disk has nothing of it."""
    with stand_in.serving({stand_in.REPOSITORY: files(TOY_CLIP)}) as running:
        stand_in.connect(monkeypatch, running.url, tmp_path / "cache")
        yield running


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test adds is gone after it."""
    monkeypatch.setattr(presets, "_others", {})


def test_a_repository_of_the_hub_is_pinned_and_counted_without_its_weights(server):
    row = add_model(f" {stand_in.REPOSITORY} ")
    assert (row.key, row.source, row.revision) == (stand_in.REPOSITORY, stand_in.REPOSITORY, stand_in.REVISION)
    assert (row.family, row.abilities, row.tier) == ("clip", preset("toy-clip").abilities, "cpu")
    assert row.parameters == NUMBERS
    fetched = ("config.json", "model.safetensors", "processor_config.json", "tokenizer.json", "tokenizer_config.json")
    assert row.disk_bytes == sum((TOY_CLIP / name).stat().st_size for name in fetched)
    assert models()[-1] is row and preset(row.key) is row and add_model(row.key) is row
    assert hub.here(row) is None
    folder = hub.fetch(row)
    assert (folder / "model.safetensors").read_bytes() == (TOY_CLIP / "model.safetensors").read_bytes()


def test_a_repository_on_this_disk_asks_the_network_nothing(server):
    row = adoption.from_hub(f"{stand_in.REPOSITORY}@{stand_in.REVISION}")
    hub.fetch(row)
    server.asked.clear()
    again = adoption.from_hub(row.key)
    assert server.requests == []
    assert (again.revision, again.parameters, again.family) == (row.revision, row.parameters, row.family)


def test_a_pipeline_is_known_by_its_index(server):
    server.files = files(TOY_DIFFUSION)
    row = adoption.from_hub(stand_in.REPOSITORY)
    assert row.family == "diffusion" and row.abilities == presets.DRAWS
    weights = list(TOY_DIFFUSION.rglob("*.safetensors"))
    assert row.parameters == sum(array.size for file in weights for array in load_file(file).values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config.json": json.dumps({"model_type": "bert"}).encode()}, "holds no CLIP or SigLIP model, LLaVA"),
        ({"config.json": b"{"}, "holds no CLIP or SigLIP model, LLaVA"),
        ({"config.json": None}, "holds no CLIP or SigLIP model, LLaVA"),
        ({"model.safetensors": None, "pytorch_model.bin": b"0"}, "has no safetensors weights"),
    ],
)
def test_what_is_of_no_use_is_said(server, change, words):
    for name, body in change.items():
        server.files.pop(name, None)
        if body is not None:
            server.files[name] = body
    with pytest.raises(Refusal, match=words):
        adoption.from_hub(stand_in.REPOSITORY)


def test_faults_of_the_hub_are_said_as_for_any_download(server, monkeypatch):
    server.error = (401, "GatedRepo")
    with pytest.raises(Refusal, match="is gated"):
        adoption.from_hub(stand_in.REPOSITORY)
    server.error = (404, "RepoNotFound")
    with pytest.raises(Refusal, match=stand_in.REPOSITORY):
        adoption.from_hub(stand_in.REPOSITORY)
    server.error = None
    with pytest.raises(Refusal, match=f"^{stand_in.REPOSITORY} has no revision 'v2'.$"):
        adoption.from_hub(f"{stand_in.REPOSITORY}@v2")
    monkeypatch.setenv("MMEXPLORER_OFFLINE", "1")
    server.asked.clear()
    with pytest.raises(Refusal, match="the app is offline"):
        adoption.from_hub(stand_in.REPOSITORY)
    assert server.requests == []


@pytest.mark.parametrize("name", ["", "clip", "a/b/c", "a b/c", "a/b@", "a" * 200 + "/b", "http://x/y"])
def test_what_is_no_name_is_refused(name):
    assert not adoption.is_name(name)
    with pytest.raises(Refusal):
        adoption.from_hub(name)


def test_a_folder_is_read_where_it_is(tmp_path):
    folder = shutil.copytree(TOY_CLIP, tmp_path / "mine")
    row = add_model(folder)
    assert (row.key, row.label, row.is_local, row.path) == (str(folder), "mine", True, folder)
    assert row.parameters == NUMBERS and hub.here(row) == folder
    (folder / "model.safetensors").write_bytes(b"short")
    presets._others.clear()
    with pytest.raises(Refusal, match=r"mine cannot be used: model.safetensors is cut short"):
        add_model(folder)
    with pytest.raises(Refusal, match="There is no folder"):
        add_model(tmp_path / "nowhere")
    with pytest.raises(Refusal, match="holds no CLIP"):
        add_model(ROOT / "assets")


def test_of_many_others_the_oldest_are_forgotten_and_the_table_stays():
    row = adoption.from_folder(TOY_CLIP)
    for number in range(presets.MOST_OTHERS + 3):
        presets.add(adoption.replace(row, key=f"other {number}"))
    others = [row.key for row in models() if row.key.startswith("other ")]
    assert others == [f"other {number}" for number in range(3, presets.MOST_OTHERS + 3)]
    presets.add(adoption.replace(row, key="toy-clip", note="another"))
    assert preset("toy-clip").note != "another"
