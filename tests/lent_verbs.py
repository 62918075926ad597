"""Small work for tests of `lending`, run as on ZeroGPU over the stand-in for `spaces`, with a model that is a text."""

import importlib.util
import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

_spec = importlib.util.spec_from_file_location("spaces", Path(__file__).with_name("spaces_stand_in.py"))
spaces = sys.modules["spaces"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(spaces)

from mmexplorer import residency  # noqa: E402
from mmexplorer.errors import Refusal  # noqa: E402
from mmexplorer.hub import Stopped  # noqa: E402
from mmexplorer.lending import lent  # noqa: E402
from mmexplorer.residency_forked import ForkedResidency  # noqa: E402


def forget_models() -> None:
    """A new residency without any."""
    files = SimpleNamespace(
        fetch=lambda preset, progress, stop: None, here=lambda preset: None, begun_bytes=lambda preset: 0
    )
    forked = ForkedResidency("cpu", files=files, load=lambda preset, folder, device: preset.key)
    for name in ("use", "prepare", "status", "loaded", "evict"):
        setattr(residency, name, getattr(forked, name))


forget_models()
with residency.use("toy-clip"):
    pass


@lent(9)
def outer(model: str) -> tuple[int, int, int]:
    return os.getpid(), inner(model), *pids(model)


@lent(20)
def inner(model: str) -> int:
    return os.getpid()


@lent(20)
def pids(model: str):
    yield os.getpid()


@lent(lambda asked: asked["seconds"])
def counted(model: str, seconds: float) -> None:
    pass


@lent(5, computes=False)
def asked(model: str) -> int:
    return os.getpid()


@lent(5)
def refuse(model: str, sentence: str) -> None:
    raise Refusal(sentence)


@lent(5)
def refuse_late(model: str):
    yield 1
    raise Stopped("Stopped late.")


@lent(5)
def end_process(model: str) -> None:
    os._exit(1)


@lent(5)
def fail(model: str) -> None:
    raise KeyError("a bug")


@lent(5)
def until_stopped(model: str, stop: threading.Event) -> str:
    for _ in range(1000):
        if stop.is_set():
            return "stopped"
        time.sleep(0.01)
    return "never stopped"


@lent(5)
def endless(model: str, stop: threading.Event):
    for number in range(1000):
        if stop.is_set():
            yield "stopped"
            return
        yield number
        time.sleep(0.01)


@lent(5)
def finite(model: str):
    yield from range(2)
    return "returned"
