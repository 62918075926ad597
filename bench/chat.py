"""Measures answers with attention maps, and streaming to the browser: python bench/chat.py --help

Every figure is the median of the runs named beside it, with the smallest and the largest in brackets.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import command, report

SECTIONS = {
    "maps": "a random LLaVA of 24 layers: with attention rows, beside plain generate() and eager attention",
    "stream": "tokens a second of both LLaVAs through the browser, beside generation alone (Chromium)",
    "gpu": "as maps, for a random LLaVA-NeXT of 7B's size in bfloat16; only where there is CUDA",
}
PACKAGES = ("gradio", "torch", "transformers")


def arguments() -> argparse.Namespace:
    parser = command.parser(__doc__, SECTIONS)
    parser.add_argument("--tokens", type=int, default=128, help="maps, gpu: length of answers (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="maps: a far smaller model, to try the measurement itself")
    parser.set_defaults(runs=3)
    return parser.parse_args()


def rows(options: argparse.Namespace, folder: Path) -> Iterator[report.Row]:
    """The rows of the chosen sections; what they need is imported here, after the threads were set."""
    if "maps" in options.only:
        from bench import answer_maps

        model = "quick" if options.quick else "small"
        yield from answer_maps.measure(options.runs, model, "cpu", options.tokens, folder)
    if "stream" in options.only:
        from bench import chat_stream

        yield from chat_stream.measure(options.runs, folder)
    if "gpu" in options.only:
        import torch

        from bench import answer_maps

        if torch.cuda.is_available():
            yield from answer_maps.measure(options.runs, "7b-next", "cuda", options.tokens, folder)
        else:
            yield report.Row("LLaVA-NeXT of 7B's size", "not measured: no CUDA here", "0")


if __name__ == "__main__":
    command.run(arguments(), rows, PACKAGES)
