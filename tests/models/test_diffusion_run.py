"""A drawing is the bare pipeline's picture, bit for bit; stopping, faults and neighbours leave nothing behind."""

import importlib.util
import itertools
import threading
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from mmexplorer.hub import Stopped
from mmexplorer.models import diffusion_families as families
from mmexplorer.models.diffusion import load
from mmexplorer.placement import Placement
from mmexplorer.presets import preset

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_pipelines.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

PRESET = replace(preset("toy-clip"), label="Tiny", tier="cpu", abilities=frozenset({"draws"}))
PROMPT = "a red circle"


@pytest.fixture(scope="module")
def sd(painters):
    return painters("sd")


def settings(painter, **changes):
    given = {"steps": 3, "guidance": 0.0 if painter.unguided else 5.0, "seed": 3, "width": 32, "height": 48}
    return given | {"scheduler": painter.schedulers[0], "negative_prompt": ""} | changes


def drawn(painter, prompt=PROMPT, maps=True, **changes):
    return list(painter.draw(prompt, settings(painter, **changes), maps=maps))[-1].drawing


def bare(pipe, scheduler=None, **arguments):
    """The picture of a pipeline's own call."""
    if scheduler is not None:
        pipe.scheduler = scheduler
    given = {"num_inference_steps": 3, "guidance_scale": 5.0, "width": 32, "height": 48} | arguments
    fixed = families.FAMILIES[type(pipe).__name__].arguments
    return pipe(PROMPT, generator=torch.Generator().manual_seed(3), **given, **fixed).images[0]


def loaded_bare(folder):
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def same(image, other):
    return np.array_equal(np.asarray(image), np.asarray(other))


def hooks(painter):
    """How many hooks hang on a painter's network and decoder; text encoders have some of their own."""
    models = families.network(painter.pipe), painter.pipe.vae
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for model in models for m in model.modules())


# The picture


@pytest.mark.parametrize("name", tiny.BUILDERS)
def test_the_picture_is_the_bare_pipelines(name, painters, pipeline_folder):
    painter = painters(name)
    picture = bare(loaded_bare(pipeline_folder(name)), guidance_scale=settings(painter)["guidance"])
    assert np.asarray(picture).std() > 10
    with_maps, without = drawn(painter), drawn(painter, maps=False)
    assert same(with_maps.image, picture) and same(without.image, picture)
    assert with_maps.word_maps is not None and without.word_maps is None


@pytest.mark.parametrize("name", ["sd", "sd-velocity", "sd-flow", "turbo", "pixart", "sd3"])
def test_the_picture_is_the_bare_pipelines_with_every_scheduler(name, painters, pipeline_folder):
    painter, pipe = painters(name), loaded_bare(pipeline_folder(name))
    pictures = {}
    for scheduler in painter.schedulers:
        picture = bare(pipe, painter.pipeline(scheduler).scheduler, guidance_scale=settings(painter)["guidance"])
        assert same(drawn(painter, scheduler=scheduler).image, picture), scheduler
        pictures[scheduler] = np.asarray(picture).tobytes()
    assert len(set(pictures.values())) == len(pictures)


@pytest.mark.parametrize("name", ["sd", "sdxl", "pixart", "sd3"])
def test_the_picture_is_the_bare_pipelines_in_half_precision(name, pipeline_folder):
    painter = load(PRESET, pipeline_folder(name), Placement("cpu", 16))
    pipe = diffusers.DiffusionPipeline.from_pretrained(pipeline_folder(name), dtype=torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    drawing = drawn(painter)
    assert same(drawing.image, bare(pipe)) and painter.pipe.dtype == torch.bfloat16
    assert all(np.isfinite(maps).all() for maps in drawing.word_maps.maps)


@pytest.mark.parametrize("name", ["sd", "sdxl", "pixart", "sd3"])
def test_the_negative_prompt_is_the_bare_pipelines(name, painters, pipeline_folder):
    painter, pipe = painters(name), loaded_bare(pipeline_folder(name))
    drawing = drawn(painter, negative_prompt="blue")
    assert same(drawing.image, bare(pipe, negative_prompt="blue"))
    assert not same(drawing.image, drawn(painter).image)


@pytest.mark.parametrize("name", ["sd", "sd-velocity", "sd-flow", "lcm", "pixart", "sd3"])
def test_few_and_many_steps(name, painters):
    painter = painters(name)
    fewest, most = painter.steps_range
    for scheduler in painter.schedulers:
        for steps in (fewest, fewest + 1, min(most, 10)):
            drawing = drawn(painter, scheduler=scheduler, steps=steps, maps=False)
            assert len(drawing.steps) == steps + (scheduler == "pndm" and steps > 1), (scheduler, steps)
            assert np.isfinite(drawing.steps[-1].clean).all()


# What is kept


def test_events_count_the_steps(sd):
    events = list(sd.draw(PROMPT, settings(sd, scheduler="ddim")))
    assert [(event.number, event.total) for event in events] == [(0, 3), (1, 3), (2, 3), (3, 3), (3, 3)]
    assert [event.preview is None for event in events] == [True, False, False, False, False]
    assert [event.drawing is None for event in events] == [True] * 4 + [False]
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(events))
    assert events[0].eta is None and events[-1].eta == 0 and events[1].eta > events[-1].eta


def test_steps_hold_what_the_network_saw_and_said(sd):
    drawing = drawn(sd, scheduler="ddim", guidance=4.0)
    noise = torch.randn(1, 4, 24, 16, generator=torch.Generator().manual_seed(3))
    first = drawing.steps[0]
    assert [step.number for step in drawing.steps] == [1, 2, 3] and first.latent.dtype == np.float16
    assert np.allclose(first.latent, noise[0], atol=2e-3)
    with torch.no_grad():
        prompt, negative = sd.pipe.encode_prompt(PROMPT, "cpu", 1, True)
        texts = torch.cat([negative, prompt])
        without, with_prompt = sd.pipe.unet(torch.cat([noise] * 2), first.timestep, texts).sample
    assert np.allclose(first.guidance, with_prompt - without, atol=2e-3) and np.abs(first.guidance).max() > 0.05
    alpha = float(sd.pipe.scheduler.alphas_cumprod[int(first.timestep)])
    assert first.noise_level == pytest.approx((1 - alpha) ** 0.5)
    guided = without + 4.0 * (with_prompt - without)
    assert np.allclose(first.clean, (noise[0] - (1 - alpha) ** 0.5 * guided) / alpha**0.5, rtol=2e-3, atol=2e-2)


def test_there_is_no_guidance_vector_without_guidance(sd, painters):
    assert all(step.guidance is None for step in drawn(sd, guidance=1.0).steps)
    assert all(step.guidance is None for step in drawn(painters("lcm")).steps)


def test_stages_are_measured(sd):
    stages = {stage.name: stage for stage in drawn(sd).stages}
    assert list(stages) == ["tokens", "text encoder", "noise", "UNet", "VAE decoder"]
    assert stages["tokens"].shape == (6,) and stages["text encoder"].shape == (16, 16)
    assert stages["noise"].shape == stages["UNet"].shape == (4, 24, 16) and stages["VAE decoder"].shape == (3, 48, 32)
    count = sum(weight.numel() for weight in sd.pipe.unet.parameters())
    assert stages["UNet"].parameters == count > 0
    both = sum(weight.numel() for weight in sd.pipe.vae.parameters())
    assert 0 < stages["VAE decoder"].parameters < both
    assert all(stages[name].seconds > 0 for name in ("text encoder", "UNet", "VAE decoder"))


def test_previews_become_the_picture(sd):
    drawing = drawn(sd, scheduler="ddim", steps=8)
    assert {preview.size for preview in drawing.previews} == {(16, 24)}
    last = sd.decode([drawing.steps[-1].clean])[0]
    assert last.size == drawing.image.size == (32, 48)


# Ending early


@pytest.mark.parametrize("name", ["sd", "lcm", "pixart", "sd3"])  # pipelines that can be interrupted, and not
def test_stop_ends_at_each_step_with_the_picture_so_far(name, painters):
    painter = painters(name)
    whole = drawn(painter)
    for number in range(1, len(whole.steps)):
        stop, events = threading.Event(), []
        for event in painter.draw(PROMPT, settings(painter), stop=stop):
            events.append(event)
            if event.number == number:
                stop.set()
        drawing = events[-1].drawing
        assert drawing.ended == "stopped" and len(drawing.steps) == number == len(drawing.previews)
        assert events[-1].number == number and events[-1].total == len(whole.steps)
        assert same(drawing.image, painter.decode([whole.steps[number - 1].clean])[0])
        assert all(len(maps) == number for maps in drawing.word_maps.maps)
        assert np.array_equal(drawing.steps[-1].clean, whole.steps[number - 1].clean)
    assert same(drawn(painter).image, whole.image) and hooks(painter) == 0


def test_stop_at_the_last_step_changes_nothing(sd):
    stop, whole = threading.Event(), drawn(sd, scheduler="ddim")
    for event in sd.draw(PROMPT, settings(sd, scheduler="ddim"), stop=stop):
        if event.number == event.total:
            stop.set()
    assert event.drawing.ended == "end" and same(event.drawing.image, whole.image)


def test_stop_before_the_first_step(sd):
    stop = threading.Event()
    stop.set()
    events = sd.draw(PROMPT, settings(sd), stop=stop)
    assert next(events).number == 0
    with pytest.raises(Stopped, match="before its first step"):
        next(events)
    assert hooks(sd) == 0


@pytest.mark.parametrize("number", [0, 1, 2])
def test_leaving_leaves_nothing_behind(sd, number):
    whole, threads = drawn(sd), threading.active_count()
    own = dict(sd.pipe.scheduler.__dict__)
    events = sd.draw(PROMPT, settings(sd))
    for _ in range(number + 1):
        next(events)
    assert hooks(sd) > 0
    events.close()
    assert hooks(sd) == 0 and threading.active_count() == threads
    assert sd.pipe.scheduler.__dict__ == own
    assert same(drawn(sd).image, whole.image)


def test_a_fault_in_the_middle_leaves_nothing_behind(sd, monkeypatch):
    whole, calls = drawn(sd), []
    forward = sd.pipe.unet.conv_out.forward

    def broken(tensor):
        calls.append(tensor)
        if len(calls) == 2:
            raise ValueError("broken cable")
        return forward(tensor)

    monkeypatch.setattr(sd.pipe.unet.conv_out, "forward", broken)
    with pytest.raises(ValueError, match="broken cable"):
        drawn(sd)
    monkeypatch.undo()
    assert hooks(sd) == 0 and same(drawn(sd).image, whole.image)


def test_processors_stay_the_pipelines_own(sd):
    before = {name: id(processor) for name, processor in sd.pipe.unet.attn_processors.items()}
    drawn(sd)
    assert {name: id(processor) for name, processor in sd.pipe.unet.attn_processors.items()} == before
