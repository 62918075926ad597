"""The program that `residency_loads` starts afresh: loads cached checkpoints in one of the ways, and measures it.

first: one load from before the libraries are imported; loads: loads in turn with bare from_pretrained; switches:
residency under a budget that holds one of the models. Prints its figures as JSON.
"""

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable

import psutil

UNCOUNTED = 2  # what a warm process has done before: so many loads of each kind are not counted


def first(way: str, key: str) -> dict:
    """Seconds of a first load in this process, the libraries' import included."""
    return {"seconds": _seconds(lambda: {"ours": _ours, "bare": _bare}[way](key))}


def loads(key: str, runs: str) -> dict:
    """Seconds of loads by residency and by from_pretrained, in turn, each alone in memory."""
    seconds = {"ours": [], "bare": []}
    ways = [("ours", _ours), ("bare", _bare)]
    for _ in range(UNCOUNTED + int(runs)):
        ways.reverse()  # whoever comes second finds another process than the first
        for way, load in ways:
            seconds[way].append(_seconds(lambda load=load: load(key)))
            _drop()
    return {way: measured[UNCOUNTED:] for way, measured in seconds.items()}


def switches(way: str, keys: str, number: str) -> dict:
    """Seconds of each switch, memory after it, what is left when all is evicted, and what of that glibc keeps unused.

    After each switch the model is used once: weights are mapped from their file and come into memory when touched.
    """
    from PIL import Image

    from mmexplorer import presets
    from mmexplorer.placement import memory_bytes
    from mmexplorer.residency import Residency

    keys, picture = keys.split(","), Image.new("RGB", (224, 224), "red")
    residency = Residency("cpu", budget=max(memory_bytes(presets.preset(key), 32) for key in keys))
    held = None
    seconds, resident, own = [], [], []
    for i in range(int(number)):
        key = keys[i % len(keys)]
        started = time.perf_counter()
        if way == "ours":
            with residency.use(key) as model:
                seconds.append(time.perf_counter() - started)
                model.embed_images([picture])
                model.embed_texts(["a red square"])
                del model
            assert [loaded for loaded, *_ in residency.loaded()] == [key]
        else:
            held = None
            gc.collect()
            held = _bare(key)
            seconds.append(time.perf_counter() - started)
            _embed(*held, picture, "a red square")
        memory = psutil.Process().memory_info()
        resident.append(memory.rss)
        own.append(memory.rss - memory.shared)  # without what is mapped from files
    del held
    residency.evict()
    evicted = psutil.Process().memory_info().rss
    return {"seconds": seconds, "resident": resident, "own": own, "evicted": evicted, "kept": _kept_by_glibc()}


def _embed(model, processor, picture, text: str) -> None:
    import torch

    with torch.inference_mode():
        model(**processor(text=[text], images=[picture], padding="max_length", return_tensors="pt"))


def _ours(key: str):
    from mmexplorer import residency

    with residency.use(key) as model:
        return model


def _bare(key: str):
    """The model and its processor from the same folder, in the same number format."""
    import torch
    from huggingface_hub import try_to_load_from_cache
    from transformers import AutoModel, AutoProcessor

    from mmexplorer.presets import preset

    row = preset(key)
    folder = try_to_load_from_cache(row.source, "config.json", revision=row.revision).removesuffix("/config.json")
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    return model, AutoProcessor.from_pretrained(folder)


def _drop() -> None:
    """Takes everything out of memory, so that the next load finds the process as the last one did."""
    from mmexplorer import residency

    residency.evict()
    gc.collect()


def _seconds(work: Callable) -> float:
    started = time.perf_counter()
    kept = work()  # noqa: F841  to free it is no part of the time
    return time.perf_counter() - started


class _Info(ctypes.Structure):
    """mallinfo2 of glibc; fordblks are bytes of freed blocks that it keeps."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _kept_by_glibc() -> int:
    """Bytes of freed blocks, resident or already given back."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Info
    return ask().fordblks


if __name__ == "__main__":
    print(json.dumps({"first": first, "loads": loads, "switches": switches}[sys.argv[1]](*sys.argv[2:])))
