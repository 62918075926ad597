"""The predicted clean latent and the noise level are the schedulers' own, whatever the network predicts."""

import diffusers
import pytest
import torch

from mmexplorer.models.diffusion_watch import noise_level, predicted_clean, prediction_type, watched

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
ZERO = SCHEDULE | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 2.0}


def own_clean(scheduler, result):
    """The clean latent as the scheduler computed it in its last step."""
    if hasattr(scheduler, "model_outputs"):  # multistep solvers keep their predictions of it
        return scheduler.model_outputs[-1]
    return result.pred_original_sample


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        *((f"{kind}Scheduler", SCHEDULE) for kind in ("DDIM", "EulerDiscrete", "EulerAncestralDiscrete")),
        *((f"{kind}Scheduler", SCHEDULE) for kind in ("DPMSolverMultistep", "UniPCMultistep")),
        *((f"{kind}Scheduler", ZERO) for kind in ("DDIM", "EulerDiscrete", "EulerAncestralDiscrete")),
        *((f"{kind}Scheduler", ZERO) for kind in ("DPMSolverMultistep", "UniPCMultistep")),
        *((f"{kind}Scheduler", SCHEDULE | {"prediction_type": "sample"}) for kind in ("DDIM", "EulerDiscrete")),
        *((f"{kind}Scheduler", FLOW) for kind in ("DPMSolverMultistep", "UniPCMultistep")),
    ],
)
def test_the_clean_latent_is_the_schedulers_own(kind, config):
    clip = {"clip_sample": False} if kind == "DDIMScheduler" else {}
    scheduler = getattr(diffusers, kind)(**config, **clip)
    scheduler.set_timesteps(6)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 4, 3, 5, generator=generator) * scheduler.init_noise_sigma
    levels = []
    for timestep in scheduler.timesteps:
        latent = scheduler.scale_model_input(sample, timestep)
        prediction = torch.randn(1, 4, 3, 5, generator=generator)
        result = scheduler.step(prediction, timestep, sample, generator=generator) if clip else None
        result = result or scheduler.step(prediction, timestep, sample)
        levels.append(noise_level(scheduler, timestep))
        clean = predicted_clean(latent, prediction, levels[-1], prediction_type(scheduler))
        expected = own_clean(scheduler, result)
        # Where nearly all is noise, the clean latent is a small difference divided by a small signal.
        assert torch.allclose(clean, expected, rtol=1e-3, atol=2e-3 * float(expected.abs().max()))
        sample = result.prev_sample
    assert levels == sorted(levels, reverse=True) and 0.9 < levels[0] <= 1 and levels[-1] < 0.7


def test_flow_matching_mixes_picture_and_noise_by_the_noise_level():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(4)
    clean, noise = torch.randn(2, 1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    sample, velocity = noise, noise - clean
    for number, timestep in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[number])
        assert torch.allclose(sample, (1 - sigma) * clean + sigma * noise, atol=1e-5)
        latent = sample
        sample = scheduler.step(velocity, timestep, sample).prev_sample
        assert noise_level(scheduler, timestep) == pytest.approx(sigma)
        assert torch.allclose(predicted_clean(latent, velocity, sigma, prediction_type(scheduler)), clean, atol=1e-5)


@pytest.mark.parametrize("kind", ["PNDMScheduler", "LCMScheduler", "DDPMScheduler"])
def test_the_noise_level_of_schedulers_without_sigmas_is_that_of_the_timestep(kind):
    scheduler = getattr(diffusers, kind)(**SCHEDULE)
    alpha = float(scheduler.alphas_cumprod[500])
    assert noise_level(scheduler, torch.tensor(500)) == pytest.approx((1 - alpha) ** 0.5)


def test_a_network_and_a_scheduler_are_themselves_again_afterwards():
    network, scheduler = torch.nn.Identity(), diffusers.DDIMScheduler(**SCHEDULE)
    own = set(vars(scheduler))
    with pytest.raises(KeyError), watched(network, scheduler, lambda total: None, lambda seen: None):
        assert network._forward_hooks and set(vars(scheduler)) > own
        raise KeyError
    assert not network._forward_hooks and set(vars(scheduler)) == own
