"""The program that `full_size` starts afresh: a checkpoint of the published size is loaded, used once and evicted.

Prints its figures as JSON: seconds and bytes of each part.
"""

import json
import sys
import time
from collections.abc import Callable
from unittest import mock

import psutil

from bench import material
from bench.peak_memory import with_peak


def main(key: str, dtype: str) -> None:
    import torch

    from mmexplorer import residency, runtime
    from mmexplorer.presets import preset

    # What every process that computes holds, whatever the model.
    torch.zeros(1)
    __import__("mmexplorer.models." + preset(key).family)
    before = _resident()
    own = runtime.dtype
    with mock.patch.object(runtime, "dtype", lambda *given: getattr(torch, dtype) if dtype else own(*given)):
        loaded, load_peak = _timed(lambda: _load(key))
        at_rest = _resident()
        used, run_peak = _timed(lambda: USES[preset(key).family](key))
    [(_, counted, _)] = residency.loaded()
    held = _resident()
    residency.evict()
    figures = {
        "dtype": dtype if dtype and preset(key).family != "clip" else "float32",  # as on every CPU
        "before": before,
        "load_seconds": loaded,
        "load_peak": before + load_peak,
        "run_seconds": used,
        "run_peak": at_rest + run_peak,
        "held": held,
        "counted": counted,
        "evicted": _resident(),
    }
    print(json.dumps(figures))


def _load(key: str) -> None:
    from mmexplorer import residency

    with residency.use(key):
        pass


def _classify(key: str) -> None:
    from mmexplorer import classify

    found = classify(material.new_pictures(1), material.labels(10), model=key)
    assert found.probabilities.shape == (1, 10)


def _answer(key: str) -> None:
    from mmexplorer import answer

    reply = answer(material.new_pictures(1)[0], "word1 word2 word3", model=key, max_new_tokens=ANSWER_TOKENS)
    assert reply.tokens


def _draw(key: str) -> None:
    from mmexplorer import draw

    *_, last = draw("a red circle", model=key, steps=DRAW_STEPS)
    assert last.drawing.image.size[0] >= 512


ANSWER_TOKENS, DRAW_STEPS = 4, 2
USES = {"clip": _classify, "llava": _answer, "diffusion": _draw}


def _timed(work: Callable) -> tuple[float, int]:
    def measured() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return with_peak(measured, "cpu")


def _resident() -> int:
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    main(*sys.argv[1:])
