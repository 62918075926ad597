import errno
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub import constants
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


def point_at(monkeypatch, url):
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def server(monkeypatch, tmp_path):
    for name in ("MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with stand_in.serving(dict(FILES)) as running:
        point_at(monkeypatch, running.url)
        yield running


def refused(preset=PRESET, **options) -> str:
    with pytest.raises(Refusal) as caught:
        hub.fetch(preset, **options)
    sentence = str(caught.value)
    assert preset.label in sentence
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


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
    assert reports[0] == (0, BYTES) and reports[-1] == (BYTES, BYTES)
    dones = [done for done, _ in reports]
    assert dones == sorted(dones)
    assert len(set(dones)) > 50  # 64 kB in blocks of one
    assert hub.here(PRESET) == folder
    assert hub.missing_bytes(PRESET) == 0


def test_a_checkpoint_that_is_here_asks_the_network_nothing(server):
    folder = hub.fetch(PRESET)
    server.requests.clear()
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


def test_stop_ends_the_download_and_keeps_complete_files(server):
    stop = threading.Event()
    server.before_block = lambda sent: stop.set() if sent >= 8192 else None
    with pytest.raises(hub.Stopped):
        hub.fetch(PRESET, stop=stop)
    assert hub.here(PRESET) is None
    assert hub.missing_bytes(PRESET) <= BYTES
    server.before_block = lambda sent: None
    server.requests.clear()
    assert hub.fetch(PRESET) == hub.here(PRESET)


def test_only_the_missing_file_is_fetched_after_a_broken_download(server):
    server.cut = 100
    assert "broke off" in refused()
    assert hub.here(PRESET) is None
    assert hub.missing_bytes(PRESET) == len(WEIGHTS)
    server.cut = 0
    server.requests.clear()
    hub.fetch(PRESET)
    fetched = [request for request in server.requests if request.startswith("GET") and "/api/" not in request]
    assert fetched == ["GET /store/model.safetensors"]


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
    server.requests.clear()
    hub.fetch(PRESET)
    assert [request for request in server.requests if shards[1] in request]
    assert not [request for request in server.requests if shards[0] in request and "resolve" in request]


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


def test_a_pipeline_of_an_unknown_kind(server):
    index = {"_class_name": "AudioLDMPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    server.files = {"model_index.json": json.dumps(index).encode(), "vae/diffusion_pytorch_model.safetensors": WEIGHTS}
    assert "'AudioLDMPipeline'" in refused(replace(PRESET, family="diffusion"))


@pytest.mark.parametrize("change", [{"cut_at": 5000}, {"cut_at": 0}, {"body": b"x" * len(WEIGHTS)}])
def test_damaged_weights_on_disk_are_fetched_again(server, change):
    folder = hub.fetch(PRESET)
    damage_cached_weights(**change)
    assert hub.here(PRESET) is None
    assert hub.missing_bytes(PRESET) == BYTES
    assert hub.fetch(PRESET) == folder
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_damaged_weights_on_disk_offline(server, monkeypatch):
    hub.fetch(PRESET)
    damage_cached_weights(cut_at=5000)
    monkeypatch.setenv("MMEXPLORER_OFFLINE", "1")
    assert "offline" in refused()


def test_weights_that_arrive_damaged(server):
    server.files["model.safetensors"] = WEIGHTS[:-100]
    assert "arrived damaged (model.safetensors is cut short" in refused()
    server.files["model.safetensors"] = WEIGHTS
    assert hub.fetch(PRESET) == hub.here(PRESET)


@pytest.mark.parametrize("variable", ["MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_and_not_here(server, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert "is not on this disk and the app is offline" in refused()
    assert server.requests == []


def test_offline_and_here(server, monkeypatch):
    folder = hub.fetch(PRESET)
    monkeypatch.setenv("MMEXPLORER_OFFLINE", "1")
    assert hub.fetch(PRESET) == folder


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ((404, "RepoNotFound"), ("was not found on the Hub as someone/tiny",)),
        ((401, ""), ("was not found on the Hub as someone/tiny",)),
        ((404, "RevisionNotFound"), ("revision 0123456789ab",)),
        ((401, "GatedRepo"), ("is gated", "/someone/tiny", "hf auth login")),
        ((403, "GatedRepo"), ("is gated", "/someone/tiny", "hf auth login")),
        ((500, ""), ("error 500", "try again")),
        ((503, ""), ("error 503", "try again")),
    ],
)
def test_the_hub_says_no(server, error, words):
    server.error = error
    sentence = refused()
    assert all(word in sentence for word in words)
    assert len(server.requests) == 1  # said at once, not after five tries
    with pytest.raises(Refusal, match=re.escape(sentence)):
        hub.missing_bytes(PRESET)


def test_a_gate_that_shows_only_at_the_files(server):
    server.file_error = (403, "GatedRepo")
    assert "is gated" in refused()


def test_a_fault_that_shows_only_at_the_files(server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
    server.file_error = (500, "")
    assert "error 500" in refused()


def test_connection_refused(server, monkeypatch):
    with socket.socket() as held:  # bound but not listening, so nobody answers there
        held.bind(("127.0.0.1", 0))
        point_at(monkeypatch, f"http://127.0.0.1:{held.getsockname()[1]}")
        sentence = refused()
    assert "could not be reached" in sentence and "check the network" in sentence


def test_a_fault_of_the_store_behind_the_hub(server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda seconds: None))

    def drop_connection(sent):
        raise ConnectionAbortedError

    server.before_block = drop_connection
    assert "could not be reached" in refused() or "broke off" in refused()
    assert hub.here(PRESET) is None


def test_no_room_on_the_disk_is_said_before_the_download(server, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    sentence = refused()
    assert "66 kB of disk space" in sentence and "1 kB is free" in sentence
    assert not any("/resolve/" in request for request in server.requests)


def test_the_disk_fills_up_during_the_download(server, monkeypatch):
    def full(*_, **options):
        if options.get("local_files_only"):
            raise hub.LocalEntryNotFoundError("nothing")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub, "snapshot_download", full)
    assert "disk space" in refused()


def test_pickled_weights_only(server):
    del server.files["model.safetensors"]
    del server.files["open_clip_model.safetensors"]
    assert "no safetensors weights" in refused()
    assert not any("/resolve/" in request for request in server.requests)


def test_a_checkpoint_of_another_family(server):
    server.files["config.json"] = json.dumps({"model_type": "vilt"}).encode()
    assert "'vilt' where clip or siglip is needed" in refused()


def test_a_configuration_that_is_not_json(server):
    server.files["config.json"] = b"<html>"
    assert "config.json cannot be read" in refused()


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
        f"spec = importlib.util.spec_from_file_location('test_hub', {str(Path(__file__))!r});"
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
