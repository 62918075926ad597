"""What every measurement hands in, the table it is printed as, and the machine it was made on."""

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

HEAD = ("measured", "mmexplorer", "beside it", "ratio", "budget", "runs")


@dataclass(frozen=True)
class Row:
    """One line of the table; `met` says whether the budget was kept, None where there is none."""

    measured: str
    ours: str
    runs: str
    beside: str = ""
    ratio: str = ""
    budget: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        verdict = {None: "", True: " (met)", False: " (MISSED)"}[self.met]
        return self.measured, self.ours, self.beside, self.ratio, self.budget + verdict, self.runs


def duration(seconds: float) -> str:
    """A time for reading: seconds from one second on, else milliseconds."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def spread(seconds: Sequence[float]) -> str:
    """The median and, in brackets, the smallest and the largest of several runs."""
    return f"{duration(median(seconds))} ({duration(min(seconds))} to {duration(max(seconds))})"


def percentile(seconds: Sequence[float], percent: float) -> float:
    """The smallest of the measured times that at least this percentage of them do not exceed."""
    ordered = sorted(seconds)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def table(rows: Sequence[Row], markdown: bool) -> str:
    """The rows with aligned columns, either for a terminal or as a Markdown table."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    rule = ["-" * width for width in widths]
    if markdown:
        return "\n".join(f"| {' | '.join(line)} |" for line in (padded[0], rule, *padded[1:]))
    return "\n".join("  ".join(line).rstrip() for line in (padded[0], rule, *padded[1:]))


def size(count: int) -> str:
    """A number of bytes for reading: megabytes from one on, else kilobytes (of 1,000 bytes)."""
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} KB"


def machine(packages: Sequence[str]) -> str:
    """Processor, cores this process may use, threads of the numerical libraries, load and versions of packages."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", "as many as the libraries choose")
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    return (
        f"{_processor()}, {cores} cores of {os.cpu_count()}, threads: {threads}{load}\n"
        f"{platform.system()}, Python {platform.python_version()}, {versions}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
