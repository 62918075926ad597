"""Models named at the start: which they are, what cannot be loaded, and when it happens."""

import logging
from contextlib import contextmanager

import pytest

from mmexplorer import preloading
from mmexplorer.errors import Refusal
from mmexplorer.tabs import server


@pytest.fixture
def used(monkeypatch):
    """The models that were used, in order; "sdxl" cannot be."""
    used = []

    @contextmanager
    def use(key):
        if key == "sdxl":
            raise Refusal("It does not fit.")
        used.append(key)
        yield

    monkeypatch.setattr(preloading.residency, "use", use)
    return used


def test_keys_are_read_from_a_text(monkeypatch):
    assert preloading.named(" toy-clip, clip-vit-base-patch32,,toy-clip") == ("toy-clip", "clip-vit-base-patch32")
    assert preloading.named(None) == ()
    with pytest.raises(Refusal, match="There is no model called 'toyclip'; try toy-clip or"):
        preloading.named("toy-llava,toyclip")
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert preloading.named(None) == ("toy-clip", "toy-llava", "toy-diffusion")
    assert preloading.named("toy-clip") == ("toy-clip",)


def test_what_cannot_be_loaded_is_told_and_does_not_stop_the_others(used, caplog):
    with caplog.at_level(logging.WARNING):
        preloading.load_in_background(("toy-clip", "sdxl", "toy-llava")).join(5)
    assert used == ["toy-clip", "toy-llava"]
    assert caplog.messages == ["Not loaded at start: It does not fit."]


@pytest.mark.parametrize(
    ("zero_gpu", "order"), [("", ["launched", "said", "toy-clip"]), ("1", ["toy-clip", "launched", "said"])]
)
def test_only_zero_gpu_loads_before_the_page_is_up(used, monkeypatch, zero_gpu, order):
    class Page:
        @property
        def local_url(self):
            used.append("said")
            return "http://127.0.0.1/"

    def end(_):
        raise SystemExit

    monkeypatch.setenv("SPACES_ZERO_GPU", zero_gpu)
    monkeypatch.setattr(server.shell, "build", lambda local: Page())
    monkeypatch.setattr(server, "launch", lambda *_, **__: used.append("launched"))
    monkeypatch.setattr(server, "_close", lambda _: None)
    monkeypatch.setattr(server.time, "sleep", end)
    monkeypatch.setattr(preloading.threading.Thread, "start", lambda thread: thread.run())
    server.serve("127.0.0.1", None, preload=("toy-clip",))
    assert used == order
