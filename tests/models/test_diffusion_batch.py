"""A batch draws what single drawings draw, prompts are encoded once, and stopping and closing leave nothing behind."""

import importlib.util
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmexplorer.errors import Refusal
from mmexplorer.models import diffusion_batch
from mmexplorer.models.diffusion_batch import Batch, Wish, at_once, draw_batch, slerp, together
from mmexplorer.models.diffusion_embeddings import mix

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_pipelines.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

SHARED = {"steps": 3, "width": 32, "height": 48}
ONE = Wish("a red circle", 3, 5.0)


@pytest.fixture(scope="module")
def sd(painters):
    return painters("sd")


def batch(painter, *wishes, **changes):
    return Batch(wishes, **{"negative_prompt": "", "scheduler": painter.schedulers[0], **SHARED, **changes})


def drawn(painter, *wishes, texts=None, **changes):
    texts = {} if texts is None else texts
    *_, last = draw_batch(painter, batch(painter, *wishes, **changes), texts, threading.Event())
    return last.pictures


def single(painter, wish, **changes):
    settings = {"negative_prompt": "", "scheduler": painter.schedulers[0], **SHARED, **changes}
    settings |= {"seed": wish.seed, "guidance": wish.guidance}
    return list(painter.draw(wish.prompt, settings, maps=False))[-1].drawing.image


def farthest(image, other):
    return int(np.abs(np.asarray(image).astype(int) - np.asarray(other)).max())


def hooks(painter):
    models = [part for part in painter.pipe.components.values() if isinstance(part, torch.nn.Module)]
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for model in models for m in model.modules())


# The pictures


@pytest.mark.parametrize("name", tiny.BUILDERS)
def test_a_batch_draws_what_single_drawings_draw(name, painters):
    painter = painters(name)
    scales = {"turbo": (0.0, 0.0, 0.0), "lcm": (5.0, 5.0, 5.0)}.get(name, (5.0, 2.5, 7.3))
    texts, seeds = ("a red circle", "blue", "a circle"), (3, 3, 8)
    wishes = [Wish(*wish) for wish in zip(texts, seeds, scales, strict=True)]
    negative = "blue" if painter.takes_negative and not painter.unguided else ""
    pictures = [single(painter, wish, negative_prompt=negative) for wish in wishes]
    assert farthest(drawn(painter, wishes[0], negative_prompt=negative)[0], pictures[0]) == 0
    together = drawn(painter, *wishes, negative_prompt=negative)
    assert max(map(farthest, together, pictures)) <= 2
    assert min(farthest(a, b) for i, a in enumerate(together) for b in together[:i]) > 20


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "euler a", "dpm++ 2m", "unipc", "pndm"])
def test_schedulers_that_add_noise_add_each_pictures_own(scheduler, sd):
    wishes = [Wish("a red circle", 3, 5.0), Wish("blue", 8, 2.0)]
    pictures = drawn(sd, *wishes, scheduler=scheduler)
    assert (
        max(farthest(a, single(sd, wish, scheduler=scheduler)) for a, wish in zip(pictures, wishes, strict=True)) <= 2
    )


def test_pictures_without_guidance_draw_together(sd):
    wishes = [replace(ONE, guidance=0.0), replace(ONE, guidance=1.0, seed=4)]
    assert max(farthest(a, single(sd, wish)) for a, wish in zip(drawn(sd, *wishes), wishes, strict=True)) <= 2


def test_scales_multiply_as_numbers_do():
    tensor = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    product = diffusion_batch._Scales((7.3, 2.9)) * tensor
    assert product.dtype == torch.bfloat16
    assert torch.equal(product[0], 7.3 * tensor[0]) and torch.equal(product[1], 2.9 * tensor[1])


def test_what_must_agree_in_a_batch(sd, painters):
    assert together(sd, 2.0) == together(sd, 7.0) != together(sd, 1.0) == together(sd, 0.0)
    assert together(painters("lcm"), 2.0) != together(painters("lcm"), 7.0)


def test_large_pictures_come_in_smaller_batches():
    assert [at_once(side, side) for side in (64, 256, 512, 1024)] == [8, 8, 2, 1]


# In between


def test_both_ends_are_the_pictures_themselves(sd):
    ways = {"other_prompt": "blue"}, {"other_seed": 8}
    ends = Wish("blue", 3, 5.0), Wish("a red circle", 8, 5.0)
    for way, end in zip(ways, ends, strict=True):
        first, half, last = (drawn(sd, replace(ONE, **way, share=share))[0] for share in (0.0, 0.5, 1.0))
        assert farthest(first, single(sd, ONE)) == 0 and farthest(last, single(sd, end)) == 0
        assert farthest(half, first) > 5 and farthest(half, last) > 5


@pytest.mark.parametrize("name", ["sdxl", "pixart", "sd3"])
def test_between_prompts_of_other_families(name, painters):
    painter = painters(name)
    first, half, last = drawn(painter, *(replace(ONE, other_prompt="blue", share=share) for share in (0.0, 0.5, 1.0)))
    assert farthest(first, single(painter, ONE)) <= 2
    # Where texts have masks, the last one's lets through what the first one's does as well.
    assert name == "pixart" or farthest(last, single(painter, replace(ONE, prompt="blue"))) <= 2
    assert farthest(half, first) > 5 and farthest(half, last) > 5


def test_slerp_goes_along_the_circle():
    right, up = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert torch.allclose(slerp(right, up, 1 / 3), torch.tensor([[3**0.5, 1.0]]))  # 30 degrees
    assert torch.equal(slerp(right, up, 0.0), right) and torch.equal(slerp(right, up, 1.0), up)
    assert torch.allclose(slerp(right, right * 2, 0.5), right * 1.5) and slerp(right, -right, 0.5).isfinite().all()
    a, b = (torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    first, half, last = (float(slerp(a, b, share).norm()) for share in (0.0, 0.5, 1.0))
    # Halfway on a straight line the noise would be weaker by a factor of the square root of two.
    assert min(first, last) < half < max(first, last) and float(torch.lerp(a, b, 0.5).norm()) < 0.75 * half


def test_prompts_mix_on_a_line_and_masks_let_through_either():
    a = {"prompt_embeds": torch.tensor([0.0, 4.0]), "prompt_attention_mask": torch.tensor([1, 0, 1])}
    b = {"prompt_embeds": torch.tensor([2.0, 0.0]), "prompt_attention_mask": torch.tensor([1, 1, 0])}
    mixed = mix(a, b, 0.25)
    assert mixed["prompt_embeds"].tolist() == [0.5, 3.0] and mixed["prompt_attention_mask"].tolist() == [1, 1, 1]


# Shared work, and its end


def test_each_prompt_is_encoded_once(sd, monkeypatch):
    read, texts = [], {}
    encode = diffusion_batch.encode
    monkeypatch.setattr(diffusion_batch, "encode", lambda pipe, *key: (read.append(key[0]), encode(pipe, *key))[1])
    wishes = [Wish("blue", seed, scale) for seed in (1, 2) for scale in (2.0, 3.0)]
    drawn(sd, *wishes, texts=texts)
    drawn(sd, *wishes, Wish("red", 1, 2.0), texts=texts, steps=2)
    assert read == ["blue", "red"]


def test_stop_ends_it_after_the_step_under_way(sd):
    for number in range(3):
        stop, events = threading.Event(), []
        for event in draw_batch(sd, batch(sd, ONE, ONE, scheduler="ddim"), {}, stop):
            events.append(event)
            if event.number == number:
                stop.set()
        assert [event.number for event in events] == list(range(number + 1)) and events[-1].pictures == ()
    assert hooks(sd) == 0


def test_stop_at_the_last_step_changes_nothing(sd):
    stop = threading.Event()
    for event in draw_batch(sd, batch(sd, ONE, scheduler="ddim"), {}, stop):
        if event.number == event.total:
            stop.set()
    assert farthest(event.pictures[0], single(sd, ONE, scheduler="ddim")) == 0


def test_who_leaves_leaves_nothing_behind(sd):
    own, threads = dict(sd.pipe.scheduler.__dict__), threading.active_count()
    events = draw_batch(sd, batch(sd, ONE, ONE), {}, threading.Event())
    next(events), next(events)
    assert hooks(sd) > 0
    events.close()
    assert hooks(sd) == 0 and threading.active_count() == threads and sd.pipe.scheduler.__dict__ == own


def test_numbers_that_are_not_finite_are_refused(sd, monkeypatch):
    monkeypatch.setattr(sd.pipe.unet.conv_out, "forward", lambda tensor: tensor[:, :4] * float("nan"))
    with pytest.raises(Refusal, match="numbers that are not finite"):
        drawn(sd, ONE, ONE)
    monkeypatch.undo()
    assert hooks(sd) == 0
