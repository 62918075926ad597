"""The most memory that some work takes beyond what its process held before: a GPU's, or else the process's own."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

FORGET, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def with_peak(work: Callable, device: str) -> tuple[object, int]:
    """What `work` returns, and the bytes by which its peak rose above the level at its start.

    On Linux the peak of the process begins anew; elsewhere it is only right if the process never held more before.
    """
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = work()
        return result, torch.cuda.max_memory_allocated() - before
    if FORGET.exists():
        FORGET.write_text("5")  # resets the peak resident set size, see proc(5)
    before = psutil.Process().memory_info().rss
    result = work()
    return result, _peak() - before


def _peak() -> int:
    if STATUS.exists():  # getrusage would count what the process that started this one held
        [line] = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
