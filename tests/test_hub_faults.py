"""One sentence for everything that can go wrong with a download, and none of it said twice or late."""

import errno
import importlib.util
import json
import re
import shutil
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import save

from mmexplorer import hub
from mmexplorer.errors import Refusal

_spec = importlib.util.spec_from_file_location("hub_tiny", Path(__file__).with_name("hub_tiny.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)
PRESET, WEIGHTS, FILES = tiny.PRESET, tiny.WEIGHTS, tiny.FILES
server, refused = tiny.server, tiny.refused

TOKEN = "`hf auth login` or the environment variable HF_TOKEN"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ((404, "RepoNotFound"), ("was not found on the Hub as someone/tiny", TOKEN)),
        ((401, ""), ("was not found on the Hub as someone/tiny",)),
        ((404, "RevisionNotFound"), ("revision 0123456789ab",)),
        ((401, "GatedRepo"), ("is gated", "/someone/tiny", TOKEN)),
        ((403, "GatedRepo"), ("is gated", "/someone/tiny", TOKEN)),
        ((403, ""), ("does not let this app read", TOKEN)),
        ((401, "", {"X-Error-Message": "Invalid credentials in Authorization header"}), ("refuses the token", TOKEN)),
        ((429, ""), ("too many requests", "in a few minutes", TOKEN)),
        ((429, "", {"Retry-After": "55"}), ("too many requests", "in 55 s")),
        ((429, "", {"RateLimit": '"api";r=0;t=120'}), ("too many requests", "in 120 s")),
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
    server.behave()
    assert hub.fetch(PRESET) == hub.here(PRESET)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ((403, "GatedRepo"), "is gated"),
        ((404, "EntryNotFound"), "A file of Tiny CLIP is no longer on the Hub"),
        ((429, ""), "too many requests"),
        ((500, ""), "error 500"),
    ],
)
@pytest.mark.parametrize("place", ["file_error", "store_error"])
def test_a_fault_that_shows_only_at_the_files(server, place, error, words):
    setattr(server, place, error)
    assert words in refused()
    server.behave()
    assert hub.fetch(PRESET) == hub.here(PRESET)


def test_a_gate_opens_with_a_token(server, monkeypatch):
    server.gate = "hf_good"
    assert f"accept its terms at {server.url}/someone/tiny" in refused()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "refuses the token" in refused()
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert hub.fetch(PRESET) == hub.here(PRESET)


def test_connection_refused(server, monkeypatch, tmp_path):
    with socket.socket() as held:  # bound but not listening, so nobody answers there
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        tiny.stand_in.connect(monkeypatch, url, tmp_path / "cache")
        assert f"could not be reached at {url}" in refused()


def test_a_name_that_leads_nowhere(server, monkeypatch, tmp_path):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    tiny.stand_in.connect(monkeypatch, "http://hub.invalid", tmp_path / "cache")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "could not be reached at http://hub.invalid" in refused()


@pytest.mark.parametrize("silent", ["server", "name service"])
def test_nobody_answers(server, monkeypatch, tmp_path, silent):
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:  # takes connections and says nothing
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        tiny.stand_in.connect(monkeypatch, url, tmp_path / "cache")
        if silent == "name service":
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(20) and [])
        started = time.monotonic()
        assert "did not answer" in refused()
        assert time.monotonic() - started < 10
        ended.set()


@pytest.mark.parametrize("page", [b"<html>Sign in to the hotel</html>", b"[]", b"{}", b"null", b""])
def test_what_answers_is_not_a_hub(server, page):
    server.page = page
    assert f"What answered at {server.url}" in refused()


def test_a_listing_without_checksums_or_with_ways_out_of_the_folder(server):
    server.files["tokenizer_/../../x.json"] = b"{}"
    server.files["tokenizer/../../../tokenizer.json"] = b"{}"
    assert "is not the Hub" in refused()
    assert not server.downloads()


def test_no_room_on_the_disk_is_said_before_the_download(server, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    sentence = refused()
    assert "66 kB more of disk space" in sentence and "1 kB is free" in sentence and "HF_HOME" in sentence
    assert not server.downloads()


def test_room_is_needed_only_for_what_is_missing(server, monkeypatch):
    server.cut = 100
    refused()
    server.behave()
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda folder: usage._replace(free=100))
    assert hub.fetch(PRESET) == hub.here(PRESET)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk became full while Tiny CLIP"),
        (errno.EACCES, "cannot be kept in"),
        (errno.EROFS, "HF_HOME"),
    ],
)
def test_the_disk_fails_during_the_download(server, monkeypatch, number, words):
    opening = Path.open

    def failing(path, mode="r", **options):
        if path.name.endswith(".incomplete") and mode in ("ab", "wb"):
            raise OSError(number, "the disk says no")
        return opening(path, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        assert words in refused()
    assert hub.fetch(PRESET) == hub.here(PRESET)


def test_pickled_weights_only(server):
    del server.files["model.safetensors"]
    del server.files["open_clip_model.safetensors"]
    assert "no safetensors weights" in refused()
    assert not server.downloads()


def test_no_index(server):
    del server.files["config.json"]
    assert "has no config.json" in refused()


def test_a_checkpoint_of_another_family_costs_only_its_index(server):
    server.files["config.json"] = json.dumps({"model_type": "vilt"}).encode()
    assert "'vilt' where clip or siglip is needed" in refused()
    assert [name for name, _ in server.downloads()] == ["config.json"]


def test_a_pipeline_of_an_unknown_kind(server):
    index = {"_class_name": "AudioLDMPipeline", "vae": ["diffusers", "AutoencoderKL"]}
    server.files = {"model_index.json": json.dumps(index).encode(), "vae/diffusion_pytorch_model.safetensors": WEIGHTS}
    assert "'AudioLDMPipeline'" in refused(replace(PRESET, family="diffusion"))


def test_a_configuration_that_is_not_json(server):
    server.files["config.json"] = b"<html>"
    assert "config.json cannot be read" in refused()


@pytest.mark.parametrize("body", [WEIGHTS[:-100], save({})[:4], b"x" * 1000])
def test_weights_that_are_damaged_on_the_hub(server, body):
    server.files["model.safetensors"] = body
    assert "arrived damaged (model.safetensors is cut short or not a safetensors file)" in refused()


def test_a_mistake_of_our_own_is_not_blamed_on_the_network(server, monkeypatch):
    def wrong(*_):
        raise TypeError("wrong")

    monkeypatch.setattr(hub, "transfer", wrong)
    with pytest.raises(TypeError, match="wrong"):
        hub.fetch(PRESET)


def test_a_name_that_no_repository_can_have(server):
    assert "is no name for a repository" in refused(replace(PRESET, source="a/b/c"))
    assert server.requests == []
