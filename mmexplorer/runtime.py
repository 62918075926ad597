"""Where the app runs: device, number format, memory, network, Space or not, and the seed.

Read from the machine and from MMEXPLORER_DEVICE, MMEXPLORER_MEMORY_BUDGET and MMEXPLORER_OFFLINE when asked, not at
import. The module knows nothing of models.
"""

import ctypes
import gc
import os
import platform
import random
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from mmexplorer import nvidia
from mmexplorer.errors import Refusal

if TYPE_CHECKING:
    import torch

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_ARENA_MAX, _ARENAS = -8, 2  # M_ARENA_MAX in glibc's malloc.h, and how many threads rarely wait for each other at
TIDY_SECONDS = 30
_tidied = 0.0
_PAUSE_SOFT = 1  # omp_pause_soft in omp.h of OpenMP 5.0: what is given up is taken again when needed


def parse_size(text: str) -> int:
    """Bytes of a size such as "6GB", "512 MB" or "1.5GiB"; a bare number is bytes; Refusal on anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if match is None or match[2] not in UNITS or not (size := int(float(match[1]) * UNITS[match[2]])):
        raise Refusal(f"{text[:40]!r} is not a size; write it like 6GB or 512MB.")
    return size


def size_text(size: int) -> str:
    """Bytes for reading, in decimal units: "16 MB", "1.7 GB"."""
    if size >= 10**9:
        return f"{size / 10**9:.1f} GB"
    if size >= 10**6:
        return f"{size / 10**6:.0f} MB"
    return f"{max(size, 0) / 10**3:.0f} kB"


def device() -> str:
    """The device that models run on, "cuda", "mps" or "cpu"; MMEXPLORER_DEVICE decides, else the best there is.

    Refusal where MMEXPLORER_DEVICE names a device that torch does not know or see.
    """
    if zero_gpu():
        return "cuda"
    import torch

    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available, "cpu": lambda: True}
    wanted = os.environ.get("MMEXPLORER_DEVICE", "").strip().lower()
    if not wanted:
        return next(name for name, has in available.items() if has())
    kind, _, index = wanted.partition(":")
    known = kind in available and (not index or (kind == "cuda" and index.isdecimal()))
    if not known:
        raise Refusal(f"MMEXPLORER_DEVICE is {wanted[:40]!r}; it can be cpu, cuda, cuda:1 or mps.")
    if not available[kind]() or (index and int(index) >= torch.cuda.device_count()):
        raise Refusal(f"MMEXPLORER_DEVICE asks for {wanted}, which this machine does not have; unset it or choose cpu.")
    return wanted


def expected_device() -> str:
    """The device that models will run on, as `device` will say, told without loading torch; not checked."""
    wanted = os.environ.get("MMEXPLORER_DEVICE", "").strip().lower()
    if "torch" in sys.modules or zero_gpu():
        return device()
    if wanted:
        return wanted
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if nvidia.cards() and "+cpu" not in version("torch") else "cpu"


def cuda_index(device: str) -> int:
    """Which of several CUDA devices a name such as "cuda:1" means."""
    return int(device.partition(":")[2] or 0)


def device_name(device: str) -> str:
    """What a device is called, such as "NVIDIA L4" or "CPU"."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device == "mps" else "CPU"


def dtype(device: str, bits: int = 16) -> "torch.dtype":
    """The floating point format of that many bits on a device; of 16, bfloat16 unless a GPU has only float16."""
    import torch

    if bits == 32:
        return torch.float32
    has_only_float16 = device == "mps" or (device.startswith("cuda") and not torch.cuda.is_bf16_supported())
    return torch.float16 if has_only_float16 else torch.bfloat16


def memory(device: str) -> tuple[int, int]:
    """Free and total memory of a device in bytes; on a CPU a container's limit counts."""
    if device.startswith("cuda"):
        if "torch" not in sys.modules and (cards := nvidia.cards()):
            return cards[cuda_index(device)]
        import torch

        return torch.cuda.mem_get_info(device)
    if device == "mps":
        import torch

        total = torch.mps.recommended_max_memory()
        return max(0, total - torch.mps.driver_allocated_memory()), total
    machine = psutil.virtual_memory()
    limit, used = _container_memory()
    if limit is None:
        return machine.available, machine.total
    return max(0, min(machine.available, limit - used)), min(machine.total, limit)


def _container_memory(root: Path = Path("/sys/fs/cgroup")) -> tuple[int | None, int]:
    """Limit (None without one) and use in bytes of the Linux control group, version 2 and 1, this process is in."""
    version_1 = root / "memory"
    for limit_file, usage_file, statistics, cache in (
        (root / "memory.max", root / "memory.current", root / "memory.stat", "inactive_file"),
        (
            version_1 / "memory.limit_in_bytes",
            version_1 / "memory.usage_in_bytes",
            version_1 / "memory.stat",
            "total_inactive_file",
        ),
    ):
        try:
            limit, used = int(limit_file.read_text()), int(usage_file.read_text())
            counts = dict(line.split() for line in statistics.read_text().splitlines())
        except (OSError, ValueError):  # no such version, or the limit reads "max"
            continue
        if limit < 2**60:  # version 1 writes a number near 2**63 for "no limit"
            # Cached files count as used, yet the kernel drops them before it refuses memory.
            return limit, max(0, used - int(counts.get(cache, 0)))
    return None, 0


def memory_budget() -> int | None:
    """Bytes that models may take together, from MMEXPLORER_MEMORY_BUDGET; None if it is not set."""
    text = os.environ.get("MMEXPLORER_MEMORY_BUDGET", "").strip()
    return parse_size(text) if text else None


def share_heaps() -> None:
    """Have all threads that begin from now on take memory from a few common heaps.

    glibc has one for each thread, up to eight for each processor, and keeps in every one what was freed in it: of a
    thread that has drawn a picture with a toy model about 7 MB. Other C libraries need no such thing.
    """
    if sys.platform == "linux" and (option := getattr(ctypes.CDLL(None), "mallopt", None)):
        option(_ARENA_MAX, _ARENAS)


def release_memory(device: str) -> None:
    """Give memory that nothing refers to any more back to the device."""
    gc.collect()
    _trim_heap()
    if device == "cpu":
        return
    import torch

    if device == "mps":
        torch.mps.empty_cache()
    else:
        torch.cuda.empty_cache()


def tidy_heap() -> None:
    """Give freed blocks back to the system, unless that was done lately; it takes some tens of milliseconds.

    Where many visitors compute, blocks that stay lie scattered among those that go, and what is free between them
    grows to hundreds of megabytes.
    """
    global _tidied
    now = time.monotonic()
    if now - _tidied >= TIDY_SECONDS:
        _tidied = now
        _trim_heap()


def _trim_heap() -> None:
    """Give freed blocks back to the system; glibc keeps those that lie below a block in use, which can be gigabytes.

    Other C libraries have no such function, and need none or cannot be asked.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def release_helpers() -> None:
    """End the threads that helped the calling one to compute on a CPU; it gets new ones when it computes again.

    GNU's OpenMP keeps a team of threads for every thread that has computed, and lets helpers that wait for work sleep,
    where otherwise they stay awake a little, as soon as there are more threads in all than processors. A model's many
    short operations then take up to twice the time. Nothing happens with another OpenMP, or before torch is loaded.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return
    # Not any copy of the library in the process: others bring their own, which knows nothing of torch's threads.
    library = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    if library.exists():
        ctypes.CDLL(str(library)).omp_pause_resource_all(_PAUSE_SOFT)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device; torch says so by a RuntimeError and its words."""
    said = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    )


def offline() -> bool:
    """Whether the app must not use the network: MMEXPLORER_OFFLINE or HF_HUB_OFFLINE is on."""
    return any(_is_on(name) for name in ("MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def on_space() -> bool:
    """Whether this is a Hugging Face Space."""
    return os.environ.get("SYSTEM") == "spaces"


def zero_gpu() -> bool:
    """Whether this is a Space whose GPU is lent call by call (ZeroGPU)."""
    return _is_on("SPACES_ZERO_GPU")


def gpu(work: Callable, *, seconds: int | Callable[..., int] = 60) -> Callable:
    """The function itself, or on ZeroGPU the function run in a fork that holds the GPU for at most `seconds`.

    seconds may be a function of the same arguments. Those and the results cross processes: numpy, strings and numbers,
    no tensors. `lending` does the rest.
    """
    if not zero_gpu():
        return work
    import spaces  # comes with the Space's image, so it is in no requirements file

    return spaces.GPU(duration=seconds)(work)


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch on every device."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}
