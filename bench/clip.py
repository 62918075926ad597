"""Measures the zero-shot tab and `mmexplorer.classify` beside their peers: python bench/clip.py --help

Every figure is the median of the runs named beside it, with the smallest and the largest in brackets.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import command, report

SECTIONS = {
    "start": "`python app.py` to its first page, beside a bare Gradio app",
    "first": "first click in a fresh process to the first status and the bars (Chromium)",
    "clicks": "click to bars, warm (Chromium)",
    "peers": "1,000 labels x 20 pictures, beside the transformers pipeline",
    "visitors": "20 visitors at once",
}
PACKAGES = ("gradio", "torch", "transformers")


def arguments() -> argparse.Namespace:
    parser = command.parser(__doc__, SECTIONS)
    parser.add_argument("--clicks", type=int, default=50, help="warm clicks of each case (default: %(default)s)")
    parser.add_argument("--real-size", action="store_true", help="peers: also a random CLIP of ViT-B/32's size")
    parser.add_argument(
        "--pipeline-pictures", type=int, default=2,
        help="peers, with --real-size: pictures of 20 the pipeline gets, at many seconds each (default: %(default)s)",
    )  # fmt: skip
    return parser.parse_args()


def rows(options: argparse.Namespace, folder: Path) -> Iterator[report.Row]:
    """The rows of the chosen sections; what they need is imported here, after the threads were set."""
    if "start" in options.only:
        from bench import start

        yield from start.measure(options.runs, folder)
    if "first" in options.only:
        from bench import clicks

        yield from clicks.measure_first(options.runs, folder)
    if "clicks" in options.only:
        from bench import clicks

        yield from clicks.measure_warm(options.clicks, folder)
    if "visitors" in options.only:
        from bench import visitors

        yield from visitors.measure(options.runs, folder)
    if "peers" in options.only:  # last, because it alone loads models into this process
        from bench import peers
        from bench.random_clip import random_clip

        yield peers.measure_fresh(options.runs, folder)
        yield from peers.measure("toy-clip", "toy CLIP", options.runs, peers.PICTURES, folder)
        if options.real_size:
            with random_clip(folder / "random") as key:
                yield from peers.measure(key, "ViT-B/32 size", options.runs, options.pipeline_pictures, folder)


if __name__ == "__main__":
    command.run(arguments(), rows, PACKAGES)
