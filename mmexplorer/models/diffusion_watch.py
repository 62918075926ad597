"""Watching a diffusers pipeline denoise, whichever it is: what the network saw and said at every step.

Pipelines offer different callbacks, or none, but all of them ask a network and a scheduler in turn. Both are watched
from outside, so that the pipeline's own loop computes what it always computes. Knows neither prompts nor pictures.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Observation:
    """One step, of the last picture of a batch: the tensors of `drawings.Step`, and the scheduler's timestep."""

    timestep: float
    noise_level: float
    latent: Tensor
    clean: Tensor
    guidance: Tensor | None


class Halt(Exception):
    """Raised by whoever watches to end the pipeline's loop."""


@contextmanager
def watched(
    network: torch.nn.Module, scheduler, start: Callable[[int], None], step: Callable[[Observation], None]
) -> Iterator[None]:
    """Calls start(number of steps) before the first step and step(observation) after each, within the loop.

    What they raise ends the loop. Nobody else may use the scheduler meanwhile.
    """
    seen: dict[str, Tensor] = {}

    def keep(module, args, kwargs, output) -> None:
        seen["input"] = args[0] if args else kwargs["hidden_states"]
        seen["output"] = output[0]

    def observe(prediction: Tensor, timestep) -> None:
        latent = seen["input"][-1].float()
        level = noise_level(scheduler, timestep)
        clean = predicted_clean(latent, prediction[-1].float(), level, prediction_type(scheduler))
        guided = len(seen["output"]) == 2 * len(prediction)
        guidance = None
        if guided:
            unconditional, conditional = seen["output"][:, : prediction.shape[1]].float().chunk(2)
            guidance = conditional[-1] - unconditional[-1]
        step(Observation(float(timestep), level, latent, clean, guidance))

    set_timesteps, scheduler_step = scheduler.set_timesteps, scheduler.step

    @functools.wraps(set_timesteps)  # pipelines look at the signatures of both
    def watched_set_timesteps(*args, **kwargs):
        result = set_timesteps(*args, **kwargs)
        start(len(scheduler.timesteps))
        return result

    @functools.wraps(scheduler_step)
    def watched_step(prediction, timestep, *args, **kwargs):
        result = scheduler_step(prediction, timestep, *args, **kwargs)
        observe(prediction, timestep)
        return result

    hook = network.register_forward_hook(keep, with_kwargs=True)
    scheduler.set_timesteps, scheduler.step = watched_set_timesteps, watched_step
    try:
        yield
    finally:
        hook.remove()
        del scheduler.set_timesteps, scheduler.step  # the class's own show again


def prediction_type(scheduler) -> str:
    """What the network was trained to predict: "epsilon", "v_prediction", "sample" or "flow_prediction"."""
    flow = type(scheduler).__name__.startswith("FlowMatch")
    return "flow_prediction" if flow else scheduler.config.prediction_type


def noise_level(scheduler, timestep) -> float:
    """The noise level, as `drawings.Step` defines it, of the step that the scheduler has just taken."""
    if not hasattr(scheduler, "sigmas"):
        return float((1 - scheduler.alphas_cumprod[int(timestep)]).clamp(min=0) ** 0.5)
    sigma = float(scheduler.sigmas[scheduler.step_index - 1])
    # Sigmas of models with preserved variance are noise over signal (Karras et al. 2022, arXiv 2206.00364).
    return sigma if prediction_type(scheduler) == "flow_prediction" else sigma / (1 + sigma**2) ** 0.5


def predicted_clean(latent: Tensor, prediction: Tensor, level: float, kind: str) -> Tensor:
    """The clean latent that a prediction stands for, given what the network saw.

    latent = signal * clean + level * noise, where signal is sqrt(1 - level^2), or 1 - level in flow models. v is
    signal * noise - level * clean (Salimans and Ho 2022, arXiv 2202.00512), the flow's velocity noise - clean.
    """
    signal = (1 - level**2) ** 0.5
    if kind == "epsilon":
        return (latent - level * prediction) / signal
    if kind == "v_prediction":
        return signal * latent - level * prediction
    if kind == "sample":
        return prediction
    return latent - level * prediction
