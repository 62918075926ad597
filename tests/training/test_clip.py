"""The recipe: its loss against hand-computed values, its schedule, resuming, and a quick run end to end."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, CLIPModel

from mmexplorer.training import clip
from mmexplorer.training.clip_data import batch


def test_loss_of_two_pairs_by_hand():
    rows = torch.eye(2)
    loss, accuracy = clip.contrastive_loss(rows, rows, torch.tensor(2.0), ["a", "b"])
    # Each row's logits are (2, 0), so its cross entropy is log(1 + e^-2), the same in both directions.
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-6)
    assert accuracy == 1.0


def test_equal_captions_are_not_negatives_of_each_other():
    images, texts = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss, _ = clip.contrastive_loss(images, texts, torch.tensor(5.0), ["same", "same"])
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


def test_extra_captions_are_negatives_for_pictures_only():
    images, texts = torch.eye(2), torch.eye(2)
    extra = torch.cat([texts, texts[:1]])
    plain, _ = clip.contrastive_loss(images, texts, torch.tensor(2.0), ["a", "b"])
    harder, accuracy = clip.contrastive_loss(images, extra, torch.tensor(2.0), ["a", "b", "c"])
    # Picture 0 cannot tell its caption from the copy: log(2 + e^-2); picture 1 meets one more zero: log(1 + 2e^-2).
    image_side = (math.log(2 + math.exp(-2)) + math.log(1 + 2 * math.exp(-2))) / 2
    assert harder.item() == pytest.approx((image_side + plain.item()) / 2, abs=1e-6)
    assert accuracy >= 0.5


def test_learning_rate_rises_then_falls_to_zero():
    rates = [clip.learning_rate(step, 1000, 1.0) for step in range(1001)]
    assert rates[0] == pytest.approx(1 / clip.WARMUP)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (clip.WARMUP - 1, clip.WARMUP)
    assert rates[1000] == pytest.approx(0.0, abs=1e-9)


def run_in(folder, steps=4, until=None):
    run = clip.Run(folder, "hard-negatives", steps, 8, 1e-3)
    run.train(every=1, until=until)
    return run


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in the same order
    try:
        whole = run_in(tmp_path / "whole")
        run_in(tmp_path / "halves", until=2)
        resumed = run_in(tmp_path / "halves")
    finally:
        torch.set_num_threads(threads)
    assert resumed.step == whole.step == 4
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, rtol=0, atol=0)
    log = [json.loads(line)["step"] for line in (tmp_path / "halves" / "log.jsonl").read_text().splitlines()]
    assert log == [1, 2, 3, 4]


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path):
    run_in(tmp_path)
    with pytest.raises(SystemExit, match="other settings"):
        clip.Run(tmp_path, "full", 4, 8, 1e-3)


def test_a_run_starts_from_another_runs_weights(tmp_path):
    first = run_in(tmp_path / "words")
    second = clip.Run(tmp_path / "next", "full", 4, 8, 1e-3, start=tmp_path / "words")
    assert second.step == 0
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], value, rtol=0, atol=0)


def test_quick_run_learns_and_loads_with_transformers(tmp_path):
    command = [sys.executable, "-m", "mmexplorer.training.clip", "--quick", "--run", str(tmp_path), "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    model = CLIPModel.from_pretrained(tmp_path / "model")
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    assert model.config.text_config.eos_token_id not in (None, 2)
    words = processor.tokenizer("A Red circle, please!")["input_ids"]
    assert words[0] == model.config.text_config.bos_token_id and words[-1] == model.config.text_config.eos_token_id


def test_pixels_are_what_the_processor_would_make():
    from mmexplorer.training.clip_model import build_processor

    pictures = batch("words", 0, 4).pictures
    expected = build_processor().image_processor(images=list(pictures), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(clip.pixels(pictures).numpy(), expected, atol=1e-5)


def test_help_explains_the_regimes():
    shown = subprocess.run(
        [sys.executable, "-m", "mmexplorer.training.clip", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for regime in ("full", "withheld", "hard-negatives", "words"):
        assert regime in shown
