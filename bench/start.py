"""How long `python app.py` takes to its first page, beside a Gradio app with as many tabs and nothing else."""

from pathlib import Path
from statistics import median

from bench.report import Row, spread
from bench.served import ROOT, served
from mmexplorer.tabs import TABS

BUDGET = 1.25

BARE = """\
import sys
import gradio as gr

with gr.Blocks() as page:
    with gr.Tabs():
        for i in range({tabs}):
            with gr.Tab(f"Tab {{i + 1}}"):
                gr.Textbox()
page.launch(server_port=int(sys.argv[2]), quiet=True)
"""


def measure(runs: int, folder: Path) -> list[Row]:
    """One row; the two take turns, after a start of each that is not counted."""
    bare = folder / "bare.py"
    bare.write_text(BARE.format(tabs=len(TABS)), encoding="utf-8")
    ours, theirs = [], []
    for _ in range(runs + 1):
        ours.append(_seconds(ROOT / "app.py"))
        theirs.append(_seconds(bare))
    ours, theirs = ours[1:], theirs[1:]
    ratio = median(ours) / median(theirs)
    tabs = f"{len(TABS)} tab{'s' if len(TABS) > 1 else ''}"
    return [
        Row(
            "start to the first 200",
            spread(ours),
            f"{runs} + {runs}, in turn",
            f"bare Gradio, {tabs}: {spread(theirs)}",
            f"{ratio:.2f}",
            f"ratio at most {BUDGET}",
            ratio <= BUDGET,
        )
    ]


def _seconds(script: Path) -> float:
    with served(script) as (_, seconds):
        return seconds
