"""Measures checkpoints of the published sizes: python bench/full_size.py --help

Each is written with random weights into a Hub cache of its own, loaded under its real preset, used once by the public
function and evicted, in a process of its own; then its files are deleted. Every figure is from one run.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import command, hub_cache, published, report
from bench.one_full_size import ANSWER_TOKENS, DRAW_STEPS
from bench.served import ROOT
from mmexplorer.placement import memory_bytes
from mmexplorer.presets import Preset, preset

USED = {"clip": "1 picture, 10 labels", "llava": f"{ANSWER_TOKENS} tokens", "diffusion": f"{DRAW_STEPS} steps"}
PACKAGES = ("torch", "transformers", "diffusers")


def arguments() -> argparse.Namespace:
    parser = command.parser(__doc__, {key: USED[preset(key).family] for key in published.CHECKPOINTS})
    parser.add_argument("--dtype", default="", help="number format of LLaVAs and pipelines instead of the app's choice")
    parser.set_defaults(runs=1)
    return parser.parse_args()


def rows(options: argparse.Namespace, folder: Path) -> Iterator[report.Row]:
    """For each model: what it takes, beside what its preset says."""
    for key in options.only:
        row = preset(key)
        parameters = published.place(key, folder)
        on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        yield from _measured(row, parameters, on_disk, _alone(key, options.dtype, folder))
        rmtree(folder)
        folder.mkdir()


def _measured(row: Preset, parameters: int, on_disk: int, told: dict) -> Iterator[report.Row]:
    """Memory is resident memory beyond what the process held before the model."""
    expected = memory_bytes(row, 32 if told["dtype"] == "float32" else 16)
    beyond = {name: report.size(told[name] - told["before"]) for name in ("load_peak", "run_peak", "held", "evicted")}
    yield report.Row(
        f"{row.key}: {parameters / 1e6:,.0f} M parameters in {told['dtype']}, weights",
        report.size(told["counted"]),
        "1",
        f"counted beforehand: {report.size(expected)}",
        f"{expected / told['counted']:.2f}",
    )
    yield report.Row(
        "  files",
        report.size(on_disk),
        "1",
        f"preset: {report.size(row.disk_bytes)}",
        f"{row.disk_bytes / on_disk:.2f}",
    )
    seconds = report.duration(told["load_seconds"])
    yield report.Row("  load", f"{seconds}, peak {beyond['load_peak']}", "1")
    seconds = report.duration(told["run_seconds"])
    yield report.Row(f"  first use, {USED[row.family]}", f"{seconds}, peak {beyond['run_peak']}", "1")
    yield report.Row("  memory afterwards", f"{beyond['held']}, evicted: {beyond['evicted']}", "1")


def _alone(key: str, dtype: str, cache: Path) -> dict:
    command = [sys.executable, "-m", "bench.one_full_size", key, dtype]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=hub_cache.environment(cache))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    command.run(arguments(), rows, PACKAGES)
