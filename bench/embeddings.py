"""Measures the embedding tab, embedding and projection beside their peers: python bench/embeddings.py --help

Every figure is the median of the runs named beside it, with the smallest and the largest in brackets.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import command, report

SECTIONS = {
    "page": "bytes of the page and of the map's payload, plotly.js apart (Chromium)",
    "map": "50,000 points in the map: until usable, frames a second, hover and click (Chromium)",
    "projection": "PCA and UMAP of 5,000 points, beside plain umap-learn",
    "throughput": "embedding files with a CLIP of ViT-B/32's size, beside sentence-transformers",
}
PACKAGES = ("gradio", "plotly", "umap-learn", "torch", "transformers", "sentence-transformers")


def rows(options: argparse.Namespace, folder: Path) -> Iterator[report.Row]:
    """The rows of the chosen sections; what they need is imported here, after the threads were set."""
    if "page" in options.only:
        from bench import page_weight

        yield from page_weight.measure()
    if "map" in options.only:
        from bench import map_frames

        yield from map_frames.measure(options.runs, folder)
    if "projection" in options.only:
        from bench import projection

        yield from projection.measure(options.runs, folder)
    if "throughput" in options.only:  # last, because it alone loads models into this process
        from bench import throughput

        yield from throughput.measure(options.runs, folder)


if __name__ == "__main__":
    command.run(command.parser(__doc__, SECTIONS).parse_args(), rows, PACKAGES)
