"""Checkpoints on disk: found without the network, fetched with only what is needed, mended where damaged."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants, snapshot_download, try_to_load_from_cache

from mmexplorer import hub, presets

_spec = importlib.util.spec_from_file_location("hub_tiny", Path(__file__).with_name("hub_tiny.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)
BYTES, FETCHED, FILES, PRESET, WEIGHTS = tiny.BYTES, tiny.FETCHED, tiny.FILES, tiny.PRESET, tiny.WEIGHTS
server, refused = tiny.server, tiny.refused


def damage_cached_weights(**change):
    [blob] = [file for file in Path(constants.HF_HUB_CACHE).rglob("blobs/*") if file.stat().st_size == len(WEIGHTS)]
    body = blob.read_bytes()
    blob.write_bytes(body[: change["cut_at"]] if "cut_at" in change else change["body"])


def test_fetch_downloads_only_what_a_model_needs_and_reports_bytes(server):
    reports = []
    assert hub.here(PRESET) is None
    assert hub.missing_bytes(PRESET) == BYTES
    folder = hub.fetch(PRESET, lambda done, total: reports.append((done, total)))
    assert {file.name for file in folder.iterdir()} == FETCHED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert reports[:2] == [(0, 0), (0, BYTES)] and reports[-1] == (BYTES, BYTES)
    dones = [done for done, _ in reports]
    assert dones == sorted(dones)
    assert hub.here(PRESET) == folder
    assert hub.missing_bytes(PRESET) == 0
    assert sorted(name for name, _ in server.downloads()) == sorted(FETCHED)
    assert len(server.requests) == 2 + 2 * len(FETCHED)  # the list, twice, and each file with its redirect


def test_what_is_fetched_lies_where_huggingface_hub_looks_for_it(server):
    folder = hub.fetch(PRESET)
    for name in FETCHED:
        assert try_to_load_from_cache(PRESET.source, name, revision=PRESET.revision) == str(folder / name)
    asked = len(server.asked)
    assert snapshot_download(PRESET.source, revision=PRESET.revision, local_files_only=True) == str(folder)
    assert len(server.asked) == asked
    patterns = ["*.json", "model.safetensors"]
    assert snapshot_download(PRESET.source, revision=PRESET.revision, allow_patterns=patterns) == str(folder)
    assert [path for method, path, _ in server.asked[asked:] if method == "GET" and "/api/" not in path] == []


def test_what_huggingface_hub_fetched_is_here(server):
    patterns = ["*.json", "model.safetensors"]
    constants.HF_HUB_DISABLE_XET, before = True, constants.HF_HUB_DISABLE_XET
    try:
        folder = snapshot_download(PRESET.source, revision=PRESET.revision, allow_patterns=patterns)
    finally:
        constants.HF_HUB_DISABLE_XET = before
    server.asked.clear()
    assert hub.here(PRESET) == hub.fetch(PRESET) == Path(folder)
    assert server.asked == []


def test_a_checkpoint_that_is_here_asks_the_network_nothing(server):
    folder = hub.fetch(PRESET)
    server.asked.clear()
    assert hub.fetch(PRESET) == folder
    assert hub.here(PRESET) == folder
    assert server.requests == []


def test_progress_is_seen_while_the_server_is_still_sending(server):
    go_on, half = threading.Event(), len(WEIGHTS) // 2
    server.before_block = lambda sent: go_on.wait(10) if sent >= half else None
    seen = []
    thread = threading.Thread(target=hub.fetch, args=(PRESET, lambda done, total: seen.append(done)))
    thread.start()
    deadline = time.monotonic() + 10
    while max(seen, default=0) < half - 2048 and time.monotonic() < deadline:
        time.sleep(0.01)
    during = max(seen)
    go_on.set()
    thread.join()
    assert half - 2048 <= during < BYTES
    assert max(seen) == BYTES


def test_a_checkpoint_in_shards_with_a_chat_template(server):
    del server.files["model.safetensors"]
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = {"weight_map": {f"weight{i}": name for i, name in enumerate(shards)}}
    words = {"chat_template.jinja": b"{{ messages }}", "generation_config.json": b"{}"}
    words["model.safetensors.index.json"] = json.dumps(index).encode()
    server.files |= words | dict.fromkeys(shards, WEIGHTS)
    folder = hub.fetch(PRESET)
    assert {file.name for file in folder.iterdir()} == {
        *FETCHED - {"model.safetensors"}, *shards, *words
    }  # fmt: skip
    (folder / shards[1]).unlink()
    assert hub.here(PRESET) is None
    server.asked.clear()
    hub.fetch(PRESET)
    assert server.downloads() == []  # its content is still there


def test_a_pipeline_is_fetched_part_by_part_without_copies_and_checkers(server):
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["x", "y"]}
    index |= {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "safety_checker": ["a", "b"],
        "transformer": [None] * 2,
    }
    wanted = {
        "model_index.json": json.dumps(index).encode(),
        "scheduler/scheduler_config.json": b"{}",
        "tokenizer/vocab.json": b"{}",
        "tokenizer/merges.txt": b"",
        "text_encoder/config.json": b"{}",
        "text_encoder/model.safetensors": WEIGHTS,
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors.index.json": b"{}",
        "unet/diffusion_pytorch_model-00001-of-00002.safetensors": WEIGHTS,
        "unet/diffusion_pytorch_model-00002-of-00002.safetensors": WEIGHTS,
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": WEIGHTS,
    }
    unwanted = (
        "v1-5-pruned.safetensors",
        "safety_checker/model.safetensors",
        "text_encoder/model.fp16.safetensors",
        "text_encoder/pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    )
    server.files = wanted | dict.fromkeys(unwanted, b"unwanted")
    preset = replace(PRESET, family="diffusion")
    assert hub.missing_bytes(preset) == sum(map(len, wanted.values()))
    folder = hub.fetch(preset)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == set(wanted) and hub.here(preset) == folder
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert hub.here(preset) is None
    assert hub.fetch(preset) == folder and hub.here(preset) == folder


@pytest.mark.parametrize("change", [{"cut_at": 5000}, {"cut_at": 0}, {"body": b"x" * len(WEIGHTS)}])
def test_damaged_weights_on_disk_are_fetched_again(server, change):
    folder = hub.fetch(PRESET)
    damage_cached_weights(**change)
    assert hub.here(PRESET) is None
    assert hub.missing_bytes(PRESET) == len(WEIGHTS)
    assert hub.fetch(PRESET) == folder
    assert [name for name, _ in server.downloads()].count("config.json") == 1  # what is right is not fetched again
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_damaged_weights_on_disk_offline(server, monkeypatch):
    hub.fetch(PRESET)
    damage_cached_weights(cut_at=5000)
    monkeypatch.setenv("MMEXPLORER_OFFLINE", "1")
    assert "offline" in refused()


@pytest.mark.parametrize("variable", ["MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_and_not_here(server, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert "is not on this disk and the app is offline" in refused()
    assert server.requests == []


def test_offline_and_here(server, monkeypatch):
    folder = hub.fetch(PRESET)
    monkeypatch.setenv("MMEXPLORER_OFFLINE", "1")
    assert hub.fetch(PRESET) == folder


@pytest.fixture
def local(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "ROOT", tmp_path)
    folder = tmp_path / "assets/models/tiny"
    folder.mkdir(parents=True)
    for name in FETCHED:
        (folder / name).write_bytes(FILES[name])
    return replace(PRESET, source="assets/models/tiny", revision=None), folder


def test_a_local_checkpoint_is_its_folder(local):
    preset, folder = local
    assert hub.here(preset) == hub.fetch(preset) == folder
    assert hub.missing_bytes(preset) == 0


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "not a safetensors file"),
        ("model.safetensors", WEIGHTS[:-1], "cut short"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("config.json", None, "config.json cannot be read"),
    ],
)
def test_a_local_checkpoint_with_bad_files(local, name, body, words):
    preset, folder = local
    (folder / name).unlink() if body is None else (folder / name).write_bytes(body)
    assert hub.here(preset) is None
    sentence = refused(preset)
    assert words in sentence and "restore that folder" in sentence


def test_the_environment_names_the_hub_and_the_cache(server, tmp_path):
    code = (
        "import importlib.util, sys; from mmexplorer import hub;"
        f"spec = importlib.util.spec_from_file_location('hub_tiny', {tiny.__file__!r});"
        "tests = importlib.util.module_from_spec(spec); spec.loader.exec_module(tests);"
        "print(hub.fetch(tests.PRESET))"
    )
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
    environment.pop("HF_HUB_CACHE", None)
    root = Path(hub.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(tmp_path / "home")
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_importing_is_light():
    code = (
        "import sys, mmexplorer.presets, mmexplorer.runtime, mmexplorer.hub, mmexplorer.residency;"
        "print([m for m in ('torch', 'transformers', 'diffusers', 'umap', 'plotly', 'gradio') if m in sys.modules])"
    )
    root = Path(hub.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
