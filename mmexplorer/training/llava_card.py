r"""Writes the model card of a toy LLaVA, with its report and the curve of its training.

  python -m mmexplorer.training.llava_report assets/models/toy-llava
  python -m mmexplorer.training.llava_card toy-llava --runs runs/llava-language runs/llava-align runs/llava-instruct \
      --measured "after 1,500 steps=runs/curve/1500.json"

The first writes report.json into the model's folder; the second README.md, training.json (the runs that led to these
weights) and curve.svg. Without --runs it keeps the training.json that is there.
"""

import argparse
import json
from math import prod
from pathlib import Path

from safetensors import safe_open

from mmexplorer.presets import Preset, preset, presets
from mmexplorer.toyworld.lexicon import spoken_lexicon
from mmexplorer.training.llava_curve import curve_svg, training_of

KEYS = tuple(row.key for row in presets() if row.is_local and row.family == "llava")
EXISTENCE = tuple(f"existence, {absence} absences" for absence in ("random", "popular", "adversarial"))
TARGETS = {
    "colour": 0.95,
    "shape": 0.95,
    **{f"{name}: accuracy": 0.95 for name in EXISTENCE},
    "counting, 1 to 4": 0.90,
    "left/right/above/below": 0.90,
    "reading": 0.85,
}
GUESS = 0.7  # what is right more often than this is no guess, whatever a blind model says
HISTORY = {
    "llava": """
Runs end early where the mixture of questions and scenes was changed. Relations stayed at chance through the first
4,400 steps of instructions and came within 400 once there were questions about the place of a single thing.
""",
    "llava_next": "",
}
COMMANDS = {
    "llava": """python -m mmexplorer.training.llava --stage language --run runs/llava-language --steps 1500
python -m mmexplorer.training.llava --stage align --start runs/llava-language --run runs/llava-align --steps 600
python -m mmexplorer.training.llava --stage instruct --start runs/llava-align --run runs/llava-instruct --steps 9000""",
    "llava_next": """# from the finished runs/llava-instruct of toy-llava
python -m mmexplorer.training.llava --stage next --start runs/llava-instruct --run runs/llava-next --steps 1800 \\
    --batch-size 48 --learning-rate 7e-4""",
}
ABOUT = {
    "llava": """A `transformers.LlavaForConditionalGeneration` as in LLaVA-1.5 (Liu et al. 2023, arXiv 2310.03744): the
vision tower of `toy-clip`, frozen and read at its second to last layer, a projector of two layers, and a small
language model of Llama's kind that was trained here from nothing. A picture of 64 x 64 pixels gives 64 tokens.""",
    "llava_next": """A `transformers.LlavaNextForConditionalGeneration` as in LLaVA-1.6 (Liu et al. 2024): `toy-llava`
trained further on larger pictures, which it sees twice, squashed into 64 x 64 pixels (64 tokens) and cut into tiles of
64 x 64 (up to 272 tokens more, with a newline after each row, padding left out). The vision tower is still that of
`toy-clip`, frozen; LLaVA-1.6 trains its tower too.""",
}
CLASSES = {"llava": "LlavaForConditionalGeneration", "llava_next": "LlavaNextForConditionalGeneration"}


def read(folder: Path, name: str):
    """One of the JSON files of a model's folder."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


def table(report: dict[str, dict]) -> str:
    """All figures in per cent beside what is left of them without sight, and the targets there are."""
    untiled = any(figure["untiled"] is not None for figure in report.values())
    names = ["target", "projector zeroed", "shuffled", "commonest answer", *["base view only"] * untiled, "samples"]
    lines = ["| On held-out scenes | model | " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) + 1)]
    for name, figure in report.items():
        least = f"≥ {100 * TARGETS[name]:.0f} %" if name in TARGETS else ""
        shares = [figure[key] for key in ("zeroed", "shuffled", "commonest", *["untiled"] * untiled)]
        cells = [f"**{_percent(figure['value'])}**", least, *map(_percent, shares), f"{figure['samples']:,}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def misses(report: dict[str, dict]) -> str:
    """A sentence on each target that is missed, or one that says that there is none."""
    missed = [name for name, least in TARGETS.items() if report[name]["value"] < least]
    if not missed:
        return "Every target is met."
    return "\n".join(
        f"- {name}: {_percent(report[name]['value'])} where {_percent(TARGETS[name])} was aimed at." for name in missed
    )


def guesses(report: dict[str, dict]) -> str:
    """A sentence that names what the model answers no better than it does blind, empty if there is nothing."""
    blind = {name: max(f["zeroed"], f["shuffled"], f["commonest"]) for name, f in report.items() if ":" not in name}
    names = [name for name in blind if report[name]["value"] < min(GUESS, blind[name] + 0.05)]
    return f"\nNo better than a guess: {', '.join(names)}.\n" if names else ""


def stages(training: dict) -> str:
    """The runs that led to the weights, and what was measured on the way."""
    lines = ["| stage | steps | batch | rate | minutes | answer tokens right at the end |", "|---|" + "---:|" * 5]
    for run in training["runs"]:
        last = run["log"][-1]
        steps = f"{last['step']:,}" + f" of {run['steps']:,}" * (last["step"] < run["steps"])
        lines.append(
            f"| {run['stage']} | {steps} | {run['batch_size']} | {run['learning_rate']:g} "
            f"| {last['seconds'] / 60:.0f} | {_percent(last['right'])} |"
        )
    measured = training["measured"]
    if measured:
        lines += ["", "| Measured on the way | " + " | ".join(measured) + " |", "|---|" + "---:|" * len(measured)]
        for name in (name for name in TARGETS if all(name in figures for figures in measured.values())):
            lines.append(f"| {name} | " + " | ".join(_percent(f[name]) for f in measured.values()) + " |")
    return "\n".join(lines)


def card(row: Preset, folder: Path) -> str:
    """The model card of the toy LLaVA in a folder."""
    kind, report = read(folder, "config.json")["model_type"], read(folder, "report.json")
    with safe_open(folder / "model.safetensors", framework="np") as weights:
        parameters = sum(prod(weights.get_slice(name).get_shape()) for name in weights.offset_keys())
    scenes = "128 x 128" if kind == "llava_next" else "64 x 64"
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---

# {row.label}

{row.note}

{ABOUT[kind]}

Made for teaching, with {parameters / 1e6:.1f} million parameters: it knows drawn shapes and {len(spoken_lexicon())}
words, nothing else. What it says about photographs means nothing.

```python
from transformers import AutoProcessor, {CLASSES[kind]}

model = {CLASSES[kind]}.from_pretrained("{row.source}")
processor = AutoProcessor.from_pretrained("{row.source}")
```

## How it was trained

On pictures, questions and answers that `mmexplorer/toyworld` draws from seeds, each once, on a few CPU cores in bf16;
the weights are stored in half precision. Several questions about a picture share one sequence without seeing each
other; three in ten pictures have a conversation instead, and some conversations have several pictures. The recipe:

```bash
{COMMANDS[kind]}
python -m mmexplorer.training.llava_report {row.source}
python -m mmexplorer.training.llava_card {row.key} --runs ...
```

The runs that led to these very weights:

{stages(read(folder, "training.json"))}
{HISTORY[kind]}
![Share of answer tokens predicted, over hours of training](curve.svg)

Never drawn in training: a tenth of the colour x shape pairs ("unseen pairs"), numbers above four, and a tenth of the
arrangements of two shapes.

## What it can do

{table(report)}

Scenes of {scenes} pixels from seeds that training never draws; an answer is right if it is so word for word. "Projector
zeroed" and "shuffled" are the same model with no picture and with a senseless one, "commonest answer" the share of one
answer given always. Existence is asked as in POPE (Li et al. 2023, arXiv 2305.10355), half of the time about things
that are there.{_untiled(kind)}

## What it cannot do

{misses(report)}
{guesses(report)}
It does not know words outside its list, counts no further than four, and answers one question at a time. Of several
pictures it speaks about the newest. It never says that it does not know, except of text too small to read.
"""


def _untiled(kind: str) -> str:
    return ' "Base view only" has grey tiles.' if kind == "llava_next" else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def write(row: Preset, folder: Path) -> None:
    """Writes card and curve into a folder that has report.json and training.json."""
    (folder / "README.md").write_text(card(row, folder), encoding="utf-8")
    (folder / "curve.svg").write_text(curve_svg(read(folder, "training.json")["runs"]), encoding="utf-8")


def _measured(text: str) -> tuple[str, dict[str, float]]:
    """The label and the figures' values of LABEL=REPORT."""
    label, _, path = text.partition("=")
    report = json.loads(Path(path).read_text(encoding="utf-8"))
    return label, {name: figure["value"] for name, figure in report.items() if name in TARGETS}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.llava_card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("key", choices=KEYS, help="which model of assets/models")
    parser.add_argument("--folder", type=Path, help="its folder, if it is elsewhere")
    parser.add_argument("--runs", type=Path, nargs="+", help="folders of the runs that led to the weights, in order")
    parser.add_argument(
        "--measured", type=_measured, nargs="*", default=[], metavar="LABEL=REPORT", help="reports of checkpoints"
    )
    options = parser.parse_args(arguments)
    row = preset(options.key)
    folder = options.folder or row.path
    if options.runs:
        training = {"runs": training_of(options.runs), "measured": dict(options.measured)}
        (folder / "training.json").write_text(json.dumps(training, indent=1) + "\n", encoding="utf-8")
    write(row, folder)


if __name__ == "__main__":
    main()
