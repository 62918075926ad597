"""The menu holds what fits, its own scheduler first and unchanged, and all of it leads to what is predicted."""

import itertools
import json

import diffusers
import pytest
import torch

from mmexplorer.models.diffusion_schedulers import menu
from mmexplorer.models.diffusion_watch import prediction_type
from mmexplorer.presets import preset

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
ALL = ["ddim", "dpm++ 2m", "euler", "euler a", "pndm", "unipc"]


@pytest.mark.parametrize(
    ("own", "name", "fitting"),
    [
        (diffusers.PNDMScheduler(**SCHEDULE, skip_prk_steps=True), "pndm", ALL),
        (diffusers.DDIMScheduler(**SCHEDULE, rescale_betas_zero_snr=True), "ddim", ALL[:4] + ALL[5:]),
        (diffusers.DDIMScheduler(**SCHEDULE, prediction_type="sample"), "ddim", ["ddim", "dpm++ 2m", "euler", "unipc"]),
        (diffusers.DDPMScheduler(**{k: v for k, v in SCHEDULE.items() if k != "steps_offset"}), "ddpm", [*ALL, "ddpm"]),
        (diffusers.LCMScheduler(**SCHEDULE), "lcm", ["lcm"]),
        (
            diffusers.DEISMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True),
            "deis",
            ["deis", "dpm++ 2m", "euler", "unipc"],
        ),
        (diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), "euler", ["dpm++ 2m", "euler", "unipc"]),
        (diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), "euler", ["euler"]),
        (diffusers.HeunDiscreteScheduler(), "HeunDiscrete", sorted([*ALL, "HeunDiscrete"])),
    ],
)
def test_what_fits(own, name, fitting):
    first, choices = menu(own)
    assert first == name == next(iter(choices))
    assert sorted(choices) == sorted(fitting)
    built = choices[first].build(own)
    assert built is not own and type(built) is type(own) and dict(built.config) == dict(own.config)


TOY = preset("toy-diffusion").path / "scheduler" / "scheduler_config.json"
# What models come with.
OWN = {
    "toy": ("DDIM", json.loads(TOY.read_text())),
    "SD 1.5": ("PNDM", SCHEDULE | {"skip_prk_steps": True, "set_alpha_to_one": False, "clip_sample": False}),
    "SDXL": ("EulerDiscrete", SCHEDULE | {"timestep_spacing": "leading"}),
    "SD-Turbo": ("EulerDiscrete", SCHEDULE | {"timestep_spacing": "trailing"}),
    "SDXL-Turbo": ("EulerAncestralDiscrete", SCHEDULE | {"timestep_spacing": "trailing"}),
    "v, zero SNR": (
        "DDIM",
        SCHEDULE
        | {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
        | {"timestep_spacing": "trailing", "clip_sample": False},
    ),
    "PixArt": (
        "DPMSolverMultistep",
        {"beta_start": 0.0001, "beta_end": 0.02, "timestep_spacing": "linspace", "prediction_type": "epsilon"},
    ),
    "SD3": ("FlowMatchEulerDiscrete", {"shift": 3.0}),
}
MENUS = {
    name: (own := getattr(diffusers, f"{kind}Scheduler").from_config(config), menu(own)[1])
    for name, (kind, config) in OWN.items()
}


def right_prediction(scheduler, number, timestep, latent, clean):
    """What a network would answer that knows the clean latent."""
    flow = "flow" in prediction_type(scheduler)
    if hasattr(scheduler, "sigmas"):
        sigma = scheduler.sigmas[number].double()
        level = sigma if flow else sigma / (1 + sigma**2) ** 0.5
    else:
        level = (1 - scheduler.alphas_cumprod[int(timestep)].double()) ** 0.5
    signal = 1 - level if flow else (1 - level**2) ** 0.5
    noise = (latent - signal * clean) / level
    if flow:
        return noise - clean
    return noise if prediction_type(scheduler) == "epsilon" else signal * noise - level * clean


@pytest.mark.parametrize(
    ("name", "scheduler"), [(name, choice) for name, (_, menu) in MENUS.items() for choice in menu]
)
def test_right_predictions_lead_to_the_clean_latent(name, scheduler):
    own, choices = MENUS[name]
    built = choices[scheduler].build(own)
    built.set_timesteps(8)
    clean = torch.full((1, 4, 8, 8), 3.0, dtype=torch.float64)  # beyond what pictures are clipped to
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sample = noise * getattr(built, "init_noise_sigma", 1.0)
    for number, timestep in enumerate(built.timesteps):
        latent = built.scale_model_input(sample, timestep) if hasattr(built, "scale_model_input") else sample
        prediction = right_prediction(built, number, timestep, latent, clean)
        sample = built.step(prediction, timestep, sample).prev_sample
    assert torch.allclose(sample, clean, atol=0.15)  # some end at the least noise that they know, not at none


def test_models_distilled_to_few_steps_take_plain_euler_steps():
    _, choices = menu(diffusers.EulerAncestralDiscreteScheduler(**SCHEDULE), unguided=True)
    assert list(choices) == ["euler a", "euler"]


def test_a_schedule_is_carried_over():
    own = diffusers.DDIMScheduler(**SCHEDULE, prediction_type="v_prediction", timestep_spacing="trailing")
    built = menu(own)[1]["euler"].build(own)
    assert type(built) is diffusers.EulerDiscreteScheduler
    assert built.config.prediction_type == "v_prediction" and built.config.timestep_spacing == "trailing"
    assert (built.alphas_cumprod == own.alphas_cumprod).all()


def test_the_shift_of_a_flow_is_carried_over():
    own = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    built = menu(own)[1]["dpm++ 2m"].build(own)
    for scheduler in (own, built):
        scheduler.set_timesteps(10)
    # Both shift a line of noise levels, which one ends at the last level trained on and the other before zero.
    line = [sigma / (3 - 2 * sigma) for sigma in built.sigmas[:10].tolist()]
    assert built.sigmas[0] == pytest.approx(1.0, abs=1e-3)
    assert max(abs(a - b - 0.1) for a, b in itertools.pairwise(line)) < 1e-3
