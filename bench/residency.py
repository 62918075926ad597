"""Measures loading, switching and many visitors: python bench/residency.py --help

Checkpoints are of the published sizes with random weights, in a Hub cache of its own under their real ids. Every figure
is the median of the runs named beside it, with the smallest and the largest in brackets.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import command, report

SECTIONS = {
    "first": "click to ready of a cached CLIP in fresh processes, beside from_pretrained",
    "loads": "the same in a process that has loaded it before",
    "switches": "50 switches between two models under a budget that holds one: time and memory",
    "crowd": "30 visitors over 4 tabs: failures, seconds of every kind of click, the server's memory",
}
PACKAGES = ("gradio", "torch", "transformers", "huggingface_hub")


def arguments() -> argparse.Namespace:
    parser = command.parser(__doc__, SECTIONS)
    parser.add_argument("--visitors", type=int, default=30, help="crowd: how many (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=5, help="crowd: for how long (default: %(default)s)")
    return parser.parse_args()


def rows(options: argparse.Namespace, folder: Path) -> Iterator[report.Row]:
    """The rows of the chosen sections; what they need is imported here, after the threads were set."""
    from bench import residency_loads

    if "first" in options.only:
        yield residency_loads.measure_first(options.runs, folder)
    if "loads" in options.only:
        yield residency_loads.measure_loads(options.runs, folder)
    if "switches" in options.only:
        yield from residency_loads.measure_switches(folder)
    if "crowd" in options.only:
        from bench import residency_crowd

        yield from residency_crowd.measure(options.visitors, options.minutes, folder)


if __name__ == "__main__":
    command.run(arguments(), rows, PACKAGES)
