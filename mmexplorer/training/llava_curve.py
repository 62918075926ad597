"""How training went, as one figure: the share of answer tokens a toy LLaVA predicted, over the hours of its runs.

Knows the logs of `llava`'s runs and nothing else.
"""

import json
from itertools import accumulate
from pathlib import Path

import torch

from mmexplorer.training.llava import CHECKPOINT

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 280, 48, 40, 30
COLOURS = {"language": "#8a6d00", "align": "#b3412e", "instruct": "#1f6fb2", "next": "#2f7d4f"}


def training_of(runs: list[Path]) -> list[dict]:
    """The settings of some runs and their log lines as "log", in the order in which they followed each other."""
    return [_settings(run) | {"log": _lines(run)} for run in runs]


def _settings(run: Path) -> dict:
    return torch.load(run / CHECKPOINT, weights_only=True)["settings"]


def _lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def curve_svg(training: list[dict]) -> str:
    """A chart with a line for each run; hours are those of the machine it ran on."""
    begins = [0, *accumulate(run["log"][-1]["seconds"] / 3600 for run in training)]
    hours = max(begins[-1], 1e-9)
    lowest = min(line["right"] for run in training for line in run["log"])

    def place(hour: float, right: float) -> tuple[float, float]:
        across = LEFT + hour / hours * (WIDTH - LEFT - 16)
        down = TOP + (1 - right) / max(1 - lowest, 1e-9) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    parts = []
    for share in (lowest, (1 + lowest) / 2, 1.0):
        _, y = place(0, share)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - 16}" stroke="#ccc"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{100 * share:.0f} %</text>')
    for quarter in range(5):
        x, y = place(hours * quarter / 4, lowest)
        parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{hours * quarter / 4:.1f} h</text>')
    for run, begin in zip(training, begins, strict=False):
        points = [place(begin + line["seconds"] / 3600, line["right"]) for line in run["log"]]
        path = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[run["stage"]]}" stroke-width="2"/>')
    for number, stage in enumerate(dict.fromkeys(run["stage"] for run in training)):
        parts.append(f'<text x="{LEFT + 90 * number}" y="18" fill="{COLOURS[stage]}">{stage}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12">\n<title>Share of answer tokens predicted, over hours of training</title>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
