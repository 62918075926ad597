"""What the shipped toy CLIPs can do on held-out seeds, with the thresholds that the project promises.

Figures, samples and chance levels are in each model's card; these tests measure them anew from the shipped weights.
"""

from dataclasses import replace

import pytest
from PIL import Image
from safetensors import safe_open
from transformers import AutoProcessor, CLIPModel

from mmexplorer.models import clip
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.training.clip_report import Report


def report(key: str) -> Report:
    row = preset(key)
    model = clip.load(replace(row), row.path, CPU)
    return Report(model.embed_images, model.embed_texts)


@pytest.fixture(scope="module")
def full() -> Report:
    return report("toy-clip")


def at_least(figures, thresholds):
    missed = {name: figures[name] for name, least in thresholds.items() if figures[name].value < least}
    assert not missed
    assert all(figures[name].samples >= 200 for name in thresholds)


def test_zero_shot_on_seen_and_never_seen_pairs(full):
    at_least(full.zero_shot(), {"zero-shot, seen pairs": 0.95, "zero-shot, unseen pairs": 0.80})


def test_shapes_that_another_program_drew(full):
    at_least(full.foreign(), {"zero-shot, drawn by PIL": 0.85})


def test_counting(full):
    at_least(full.counts(), {"counting, 1 to 4": 0.90})


def test_left_right_and_above_below(full):
    at_least(full.relations(), {"left/right": 0.85, "above/below": 0.85})


def test_retrieval(full):
    at_least(full.recall(), {"text-to-image recall@1 among 100": 0.70})


def test_full_coverage_binds_attributes(full):
    at_least(full.swaps(), {"swap, kept combinations": 0.95, "swap, withheld combinations": 0.95})


def test_coverage_decides_over_binding():
    """The same network without one of each swap pair is a bag of words, unless its captions come as wrong answers."""
    withheld = report("toy-clip-withheld").swaps()
    negatives = report("toy-clip-hard-negatives").swaps()
    assert withheld["swap, withheld combinations"].value <= 0.70
    assert negatives["swap, kept combinations"].value >= 0.95
    assert negatives["swap, withheld combinations"].value >= 0.85


def test_an_ensemble_of_templates_is_no_worse_than_their_mean(full):
    figures = full.templates()
    ensemble = figures.pop("ensemble of 8 templates").value
    assert len(figures) == 8
    assert ensemble >= sum(figure.value for figure in figures.values()) / 8


@pytest.mark.parametrize("key", ["toy-clip", "toy-clip-withheld", "toy-clip-hard-negatives"])
def test_plain_transformers_loads_the_folder(key):
    model, found = CLIPModel.from_pretrained(preset(key).path, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"]
    processor = AutoProcessor.from_pretrained(preset(key).path)
    inputs = processor(text=["a red circle"], images=Image.new("RGB", (90, 64), "red"), return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 64, 64)
    assert model(**inputs).logits_per_image.shape == (1, 1)
    with safe_open(preset(key).path / "model.safetensors", framework="pt") as weights:
        dtypes = {weights.get_slice(name).get_dtype() for name in weights.offset_keys()}
    assert dtypes == {"F16"}
