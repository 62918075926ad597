"""Measures drawings with previews and word maps beside the bare pipeline, and grids: python bench/draw.py --help

Every figure is the median of the runs named beside it, with the smallest and the largest in brackets.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import command, report

SECTIONS = {
    "toy": "the toy Stable Diffusion: with previews and word maps, beside the bare pipeline and AttnProcessor",
    "grid": "a grid of sixteen of its pictures, beside single ones",
    "sd": "as toy, for a random pipeline of Stable Diffusion 1.5's size",
    "sd-grid": "as grid, for that pipeline; once, because it takes many minutes",
}
PACKAGES = ("diffusers", "torch", "transformers")


def arguments() -> argparse.Namespace:
    parser = command.parser(__doc__, SECTIONS)
    parser.add_argument(
        "--quick", action="store_true", help="sd, sd-grid: a far smaller model, to try the measurement itself"
    )
    parser.set_defaults(runs=3)
    return parser.parse_args()


def rows(options: argparse.Namespace, folder: Path) -> Iterator[report.Row]:
    """The rows of the chosen sections; what they need is imported here, after the threads were set."""
    from bench import draw_cost, draw_grid

    large = "quick" if options.quick else "sd"
    if "toy" in options.only:
        yield from draw_cost.measure(options.runs, "toy")
    if "grid" in options.only:
        yield from draw_grid.measure(options.runs, "toy")
    if "sd" in options.only:
        yield from draw_cost.measure(options.runs, large)
    if "sd-grid" in options.only:
        yield from draw_grid.measure(1, large)


if __name__ == "__main__":
    command.run(arguments(), rows, PACKAGES)
