"""What the shipped toy Stable Diffusions draw for held-out prompts: the report's thresholds, and some of it anew.

The pictures are graded by `toyworld.grade`, which knows no model.
"""

import json
import math

import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from safetensors import safe_open

from mmexplorer.presets import preset
from mmexplorer.training.diffusion_report import GROUPS, load, measured

STEPS_OF_TRAINING = ("toy-diffusion-early", "toy-diffusion-middle", "toy-diffusion")
SCALE = 0.12  # share of the report's pictures that are drawn again
# What the report must show at least.
LEAST = {
    "colour": 0.98,
    "shape": 0.85,  # an outline that fits its template; 0.95 was aimed at
    "shape, the nearest of ten": 0.95,
    "never-seen colour x shape": 0.75,
    "two objects with their own colours": 0.60,
    "counts 1-4": 0.60,
    "relation": 0.60,
}
POINTING = 0.80  # of shape words, in pictures of a single thing


def report() -> dict:
    return json.loads((preset("toy-diffusion").path / "report.json").read_text(encoding="utf-8"))


def test_the_report_meets_the_thresholds():
    figures = report()["figures"]
    assert not {name: figures[name]["value"] for name, least in LEAST.items() if figures[name]["value"] < least}
    assert all(figures[name]["samples"] >= 200 for name in LEAST)


def test_the_weights_are_those_of_the_report():
    """Measured anew, no figure is lower than sampling explains (three standard errors of the smaller sample)."""
    figures, lower = report()["figures"], {}
    for name, figure in measured(load(preset("toy-diffusion").path), SCALE).items():
        share = figures[name]["value"]
        error = math.sqrt(max(share * (1 - share), 1 / figure.samples) / figure.samples)
        if figure.value < share - 3 * error:
            lower[name] = (figure.value, share, figure.samples)
    assert not lower


def test_colour_comes_before_shape_and_shape_before_binding():
    """The lesson of the three checkpoints."""
    found = report()
    early, middle = (found["snapshots"][step] for step in sorted(found["snapshots"], key=int))
    last = found["figures"]
    of = {name: [stage[name]["value"] for stage in (early, middle, last)] for name in LEAST}
    assert of["colour"][0] > 0.8 and of["shape"][0] < 0.2 and of["two objects with their own colours"][0] < 0.1
    assert 0.25 < of["shape"][1] < of["shape"][2] and of["two objects with their own colours"][1] < of["shape"][1]
    assert set(last) == {name for _, measures in GROUPS.values() for name in measures}


def test_word_maps_point_at_what_words_name():
    """In pictures that the view was not chosen on, and better than places that know nothing of the word."""
    found = json.loads((preset("toy-diffusion").path / "grounding.json").read_text(encoding="utf-8"))
    shapes, best = found["second half"]["one thing"]["shape"], found["best"]
    assert shapes["words"] >= 150
    assert shapes["views"][best["steps"]][best["layers"]]["pointing"] >= POINTING
    two = found["second half"]["two things"]["shape"]
    pointing = two["views"][best["steps"]][best["layers"]]["pointing"]
    assert pointing > 1.3 * max(scores["pointing"] for scores in two["baselines"].values())


@pytest.mark.parametrize("key", STEPS_OF_TRAINING)
def test_plain_diffusers_loads_the_folder(key):
    folder = preset(key).path
    pipeline = DiffusionPipeline.from_pretrained(folder)
    assert type(pipeline) is StableDiffusionPipeline
    assert all(path.stat().st_size < 10_000_000 for path in folder.rglob("*") if path.is_file())
    for part, precision in (("unet", "F16"), ("vae", "F16"), ("text_encoder", "F32")):
        for file in (folder / part).glob("*.safetensors"):
            with safe_open(file, framework="pt") as weights:
                assert {weights.get_slice(name).get_dtype() for name in weights.offset_keys()} == {precision}
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline("a red circle", num_inference_steps=1, generator=torch.Generator().manual_seed(0)).images[0]
    assert drawn.size == (64, 64)
