"""Writes the model cards of the toy CLIPs and the README's table from their reports.

Run `python -m mmexplorer.training.clip_card` after `clip_report` wrote assets/models/*/report.json.
"""

import json
from pathlib import Path

from mmexplorer.presets import ROOT, preset

KEYS = ("toy-clip", "toy-clip-withheld", "toy-clip-hard-negatives")
REGIMES = dict(zip(KEYS, ("full", "withheld", "hard-negatives"), strict=True))
MARKS = ("<!-- report -->", "<!-- end of report -->")
# What the README shows; the cards show everything.
CHIEF = (
    "zero-shot, seen pairs",
    "zero-shot, unseen pairs",
    "zero-shot, drawn by PIL",
    "swap, kept combinations",
    "swap, withheld combinations",
    "counting, 1 to 4",
    "left/right",
    "above/below",
    "text-to-image recall@1 among 100",
    "shape, no sticker",
    "shape, another shape's name written on it",
)


def report(key: str) -> dict[str, dict]:
    """The figures that `clip_report` wrote for a model: name -> value, samples, chance."""
    return json.loads((preset(key).path / "report.json").read_text(encoding="utf-8"))


def table(keys: tuple[str, ...], names: tuple[str, ...] | None = None) -> str:
    """Figures in per cent, a column for each model, with the number of samples and what guessing gives."""
    reports = {key: report(key) for key in keys}
    first = reports[keys[0]]
    lines = ["| On held-out scenes | " + " | ".join(f"`{key}`" for key in keys) + " | samples | chance |"]
    lines.append("|---|" + "---:|" * (len(keys) + 2))
    for name in names or first:
        shares = " | ".join(f"{100 * reports[key][name]['value']:.1f} %" for key in keys)
        samples, chance = first[name]["samples"], 100 * first[name]["chance"]
        lines.append(f"| {name} | {shares} | {samples:,} | {chance:.1f} % |")
    return "\n".join(lines)


def card(key: str) -> str:
    """The model card of one toy CLIP."""
    row, regime = preset(key), REGIMES[key]
    commands = [
        "python -m mmexplorer.training.clip --regime words --run runs/words \\",
        "    --steps 3000 --batch-size 64 --processes 3 --learning-rate 1e-3",
        f"python -m mmexplorer.training.clip --regime {regime} --start runs/words --run runs/{regime}",
        f"python -m mmexplorer.training.clip_report runs/{regime}/model",
    ]
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: zero-shot-image-classification
---

# {row.label}

{row.note}

A `transformers.CLIPModel` with 1.5 million parameters for pictures of 64 x 64 pixels in patches of 8, made for
teaching: it knows drawn shapes and about 160 words, nothing else. What it says about photographs means nothing.

```python
from transformers import AutoProcessor, CLIPModel

model = CLIPModel.from_pretrained("{row.source}")
processor = AutoProcessor.from_pretrained("{row.source}")
```

## How it was trained

From scratch, on pictures and captions that `mmexplorer/toyworld` draws from seeds, on a few CPU cores in bf16; the
weights are stored in half precision. The three toy CLIPs share their first stage. The recipe:

```bash
{chr(10).join(commands)}
```

These very weights were trained while the recipe was being found, and differ from it in their first stage: 3,150 steps
of 64 with AdamW and without naming patches, 700 steps with it and Muon, both on smaller and noisier scenes, then 600
steps of the command above, left at step 1,500 of 3,000, and 250 steps of the second stage at a rate of 4e-4 with two
fifths twins. The second stage then ran as written.

Never drawn in training: a tenth of the colour x shape pairs ("unseen pairs"), numbers above four, and a tenth of the
arrangements of two shapes. {_withheld(regime)}

## What it can do

{table((key,))}

"drawn by PIL" are shapes by another program, with other sizes, backgrounds, thin outlines and JPEG noise. "Kept" and
"withheld" are the two halves of the swap pairs; the group score asks that both pictures and both captions of a pair
choose each other (Thrush et al. 2022, arXiv 2204.03162). A sticker is a black word above or below the shape.
"""


def _withheld(regime: str) -> str:
    if regime == "full":
        return "Both members of every swap pair are drawn."
    told = " Captions of the missing member were added as negatives." if regime == "hard-negatives" else ""
    return f"Of every swap pair (red circle and blue square, blue circle and red square) only one is drawn.{told}"


def filled(text: str, content: str, marks: tuple[str, str] = MARKS) -> str:
    """The text with everything between two marks replaced."""
    before, rest = text.split(marks[0])
    return f"{before}{marks[0]}\n{content}\n{marks[1]}{rest.split(marks[1])[1]}"


def main() -> None:
    for key in KEYS:
        (preset(key).path / "README.md").write_text(card(key), encoding="utf-8")
    readme = Path(ROOT) / "README.md"
    readme.write_text(filled(readme.read_text(encoding="utf-8"), table(KEYS, CHIEF)), encoding="utf-8")


if __name__ == "__main__":
    main()
