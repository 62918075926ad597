"""A card shows the figures of its report, the facts of its training, and the targets that are missed."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from safetensors.numpy import save_file

from mmexplorer.presets import preset
from mmexplorer.training import diffusion_card
from mmexplorer.training.diffusion_card import TARGETS, card
from mmexplorer.training.diffusion_report import GROUPS, Figure

FIGURES = [name for _, measures in GROUPS.values() for name in measures]


def report_of(value: float, earlier: float) -> dict:
    figures = {name: asdict(Figure(value, 0.01, 200)) for name in FIGURES}
    early = {name: asdict(Figure(earlier, 0.01, 200)) for name in FIGURES}
    return {"guidance": 4.0, "steps": 20, "figures": figures, "snapshots": {"1000": early, "500": early}}


@pytest.fixture
def folder(tmp_path):
    """A model's folder with a report, the facts of its training and parts of 10, 20 and 30 weights."""
    (tmp_path / "report.json").write_text(json.dumps(report_of(0.9, 0.333)))
    line = {"step": 12000, "loss": 0.1, "seconds": 6600.0}
    settings = {"stage": "denoise", "steps": 12000, "batch_size": 32, "learning_rate": 1e-3, "scenes": 100000}
    facts = {"step": 20000, "guidance": 4.0, "denoising_steps": 20, "autoencoder_psnr": 36.25}
    facts |= {"autoencoder": {"step": 1600, "loss": 0.04, "seconds": 600.0}}
    later = {"settings": settings | {"steps": 9000, "naming": 0.1}, "log": [line | {"step": 8000, "seconds": 1200.0}]}
    facts |= {"runs": [{"settings": settings, "log": [line]}, later]}
    (tmp_path / "training.json").write_text(json.dumps(facts))
    for number, part in enumerate(diffusion_card.PARTS, 1):
        (tmp_path / part).mkdir()
        save_file({"weights": np.zeros((number, 1_000_000), np.float16)}, tmp_path / part / "model.safetensors")
    return tmp_path


def test_the_figures_are_measured_by_the_report():
    assert set(TARGETS) <= set(FIGURES)


def test_a_card_tells_figures_targets_earlier_steps_and_misses(folder):
    text = card(preset("toy-clip"), folder)
    assert "| On held-out prompts | this model | target | pictures | step 500 | step 1,000 |" in text
    assert "| colour | **90.0 %** ± 1.0 | ≥ 98 % | 200 | 33.3 % | 33.3 % |" in text
    assert "- colour: 90.0 % where 98.0 % was aimed at." in text and "- relation" not in text
    assert "UNet 1.0 M, autoencoder 2.0 M, text encoder 3.0 M" in text
    assert "in 130 minutes" in text and "100,000 scenes: 20,000 steps" in text and "36.2 dB" in text
    assert "12,000 of 12,000 steps" in text and "; then 8,000 of 9,000 steps" in text and text.count("naming what") == 1


def test_a_model_that_reaches_every_target_says_so(folder):
    (folder / "report.json").write_text(json.dumps(report_of(0.99, 0.333)))
    assert "Every target is met." in card(preset("toy-clip"), folder)


@pytest.mark.parametrize("key", diffusion_card.KEYS)
def test_a_shipped_card_shows_its_report(key):
    row = preset(key)
    assert (row.path / "README.md").read_text(encoding="utf-8") == card(row, row.path)
