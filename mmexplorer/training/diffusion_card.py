r"""Writes the model card of a toy Stable Diffusion from its report and the facts of its training.

  python -m mmexplorer.training.diffusion_report assets/models/toy-diffusion --snapshots 500=runs/early ...
  python -m mmexplorer.training.diffusion_card toy-diffusion

The first writes report.json into the model's folder, the second README.md; training.json came with the export.
"""

import argparse
import json
from math import prod
from pathlib import Path

from safetensors import safe_open

from mmexplorer.presets import Preset, preset, presets
from mmexplorer.toyworld.lexicon import lexicon

KEYS = tuple(row.key for row in presets() if row.is_local and row.family == "diffusion")
TARGETS = {
    "colour": 0.98,
    "shape": 0.95,
    "never-seen colour x shape": 0.75,
    "two objects with their own colours": 0.60,
    "counts 1-4": 0.60,
    "relation": 0.60,
}
PARTS = {"unet": "UNet", "vae": "autoencoder", "text_encoder": "text encoder"}


def read(folder: Path, name: str) -> dict:
    """One of the JSON files of a model's folder."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


def table(report: dict) -> str:
    """All figures in per cent with their standard errors, the targets there are, and those of earlier steps."""
    steps = sorted(report["snapshots"], key=int)
    names = ["this model", "target", "pictures", *[f"step {int(step):,}" for step in steps]]
    lines = ["| On held-out prompts | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for name, figure in report["figures"].items():
        least = f"≥ {100 * TARGETS[name]:.0f} %" if name in TARGETS else ""
        earlier = [_percent(report["snapshots"][step][name]["value"]) for step in steps]
        value = f"**{_percent(figure['value'])}** ± {100 * figure['error']:.1f}"
        lines.append(f"| {name} | " + " | ".join([value, least, f"{figure['samples']:,}", *earlier]) + " |")
    return "\n".join(lines)


def misses(report: dict) -> str:
    """A line on each target that is missed, or one that says that there is none."""
    values = {name: figure["value"] for name, figure in report["figures"].items()}
    missed = [name for name, least in TARGETS.items() if values[name] < least]
    if not missed:
        return "Every target is met."
    return "\n".join(
        f"- {name}: {_percent(values[name])} where {_percent(TARGETS[name])} was aimed at." for name in missed
    )


def parameters(folder: Path) -> dict[str, int]:
    """The number of weights of each part of a pipeline."""
    found = {}
    for part in PARTS:
        found[part] = 0
        for path in (folder / part).glob("*.safetensors"):
            with safe_open(path, framework="np") as weights:
                found[part] += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return found


def card(row: Preset, folder: Path) -> str:
    """The model card of the toy Stable Diffusion in a folder."""
    report, training, weights = read(folder, "report.json"), read(folder, "training.json"), parameters(folder)
    sizes = ", ".join(f"{PARTS[p]} {n / 1e6:.1f} M" for p, n in weights.items())
    runs = training["runs"]
    minutes = sum(run["log"][-1]["seconds"] for run in runs) / 60
    return f"""---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---

# {row.label}

{row.note}

A `diffusers.StableDiffusionPipeline` like Stable Diffusion 1 (Rombach et al. 2022, arXiv 2112.10752), only smaller
({sizes} parameters): pictures of 64 x 64 pixels, latents of 16 x 16 x 4, cross-attention at 16 x 16 and 8 x 8. Made for
teaching, it knows drawn shapes and {len(lexicon())} words, nothing else.

```python
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained("{row.source}")
picture = pipeline("a red circle to the left of a blue square", num_inference_steps={training["denoising_steps"]}, \
guidance_scale={training["guidance"]:g}).images[0]
```

`latent_rgb.json` holds a matrix and a bias that turn a scaled latent into a small picture without the decoder.

## How it was trained

On scenes that `mmexplorer/toyworld` draws from seeds, on a few CPU cores in bf16. First the autoencoder
({training["autoencoder"]["step"]:,} steps in {training["autoencoder"]["seconds"] / 60:.0f} minutes; held-out pictures
come back with {training["autoencoder_psnr"]:.1f} dB). Then UNet and text encoder together, the text encoder from
`toy-clip`'s, on the latents of {runs[0]["settings"]["scenes"]:,} scenes: {training["step"]:,} steps in batches of
{runs[0]["settings"]["batch_size"]}, in {minutes:.0f} minutes: {"; then ".join(map(_run, runs))}. v-prediction on the
cosine schedule, whose last step is pure noise, so that every scheduler of diffusers for discrete timesteps fits; one
caption in ten left out; inner weights by Muon, the rest by AdamW; exponential average of the weights. The recipe is
`python -m mmexplorer.training.diffusion --help`.

Never drawn in training: a tenth of the colour x shape pairs, and more than four equal things.

## What it can do

{table(report)}

Guidance {report["guidance"]:g}, {report["steps"]} steps, DDIM. Graded by `mmexplorer.toyworld.grade`, a parser that
knows no model and names a shape only where its outline fits; "the nearest of ten" is which of them fits best, however
badly. ± is one standard error.

## What it cannot do

{misses(report)}

Words outside its list mean nothing to it, and nor do more than four things of a kind.
"""


def _run(run: dict) -> str:
    settings, last = run["settings"], run["log"][-1]["step"]
    steps = (
        f"{last:,} of {settings['steps']:,} steps of a schedule from a learning rate of {settings['learning_rate']:g}"
    )
    steps += ", patches of the UNet's middle naming what they show" if settings.get("naming") else ""
    steps += ", more of them with much noise" if settings.get("shift") else ""
    often = [f"{shape} {times:g} times" for shape, times in settings.get("often", {}).items()]
    return steps + (f", some shapes more often ({', '.join(often)})" if often else "")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.diffusion_card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("key", choices=KEYS, help="which model of assets/models")
    parser.add_argument("--folder", type=Path, help="its folder, if it is elsewhere")
    options = parser.parse_args(arguments)
    row = preset(options.key)
    folder = options.folder or row.path
    (folder / "README.md").write_text(card(row, folder), encoding="utf-8")


if __name__ == "__main__":
    main()
