"""Which schedulers fit a pipeline: by name, made anew for every drawing from the configuration it came with.

Knows schedulers, but neither prompts nor networks.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

import diffusers

NOISE, VELOCITY, SAMPLE, FLOW = "epsilon", "v_prediction", "sample", "flow_prediction"


@dataclass(frozen=True)
class Choice:
    """A scheduler by its class in diffusers and what differs from the model's own configuration."""

    kind: str
    changes: Mapping = field(default_factory=dict)

    def build(self, own):
        """A new scheduler for the model whose own one is `own`."""
        return getattr(diffusers, self.kind).from_config(own.config, **self.changes)


# For models trained on a discrete schedule of noise: what each can turn into a step.
DISCRETE = {
    # Latents go beyond the range that it would clip pictures to.
    "ddim": (Choice("DDIMScheduler", {"clip_sample": False}), {NOISE, VELOCITY, SAMPLE}),
    "euler": (Choice("EulerDiscreteScheduler"), {NOISE, VELOCITY, SAMPLE}),
    "euler a": (Choice("EulerAncestralDiscreteScheduler"), {NOISE, VELOCITY}),
    "dpm++ 2m": (Choice("DPMSolverMultistepScheduler"), {NOISE, VELOCITY, SAMPLE}),
    "unipc": (Choice("UniPCMultistepScheduler"), {NOISE, VELOCITY, SAMPLE}),
    "pndm": (Choice("PNDMScheduler", {"skip_prk_steps": True}), {NOISE, VELOCITY}),
}
OTHERS = {"lcm": "LCMScheduler", "deis": "DEISMultistepScheduler", "ddpm": "DDPMScheduler"}


def menu(own, unguided: bool = False) -> tuple[str, dict[str, Choice]]:
    """The name of a model's own scheduler, and all that fit it by name, its own first.

    Consistency models take their own only, and models distilled to few steps their own and plain Euler steps.
    """
    kind = type(own).__name__
    if kind.startswith("FlowMatch"):
        flow = {"prediction_type": FLOW, "use_flow_sigmas": True, "flow_shift": own.config.get("shift", 1.0)}
        # These two would compute the shift of sigmas that depends on the picture's size in another way.
        solvers = {
            "dpm++ 2m": Choice("DPMSolverMultistepScheduler", flow),
            "unipc": Choice("UniPCMultistepScheduler", flow),
        }
        return "euler", {"euler": Choice(kind)} | ({} if own.config.get("use_dynamic_shifting") else solvers)
    names = {choice.kind: name for name, (choice, _) in DISCRETE.items()} | {
        kind: name for name, kind in OTHERS.items()
    }
    name = names.get(kind, kind.removesuffix("Scheduler"))
    first = {name: Choice(kind)}
    if kind == "LCMScheduler":
        return name, first
    if own.config.prediction_type == FLOW:
        flow = {"dpm++ 2m": Choice("DPMSolverMultistepScheduler"), "unipc": Choice("UniPCMultistepScheduler")}
        # First-order DPM-Solver++ is DDIM (Lu et al. 2022, arXiv 2211.01095), and on a flow that is Euler's method.
        flow["euler"] = Choice("DPMSolverMultistepScheduler", {"solver_order": 1})
        return name, first | flow | first
    fitting = {
        other: _evenly(choice, own)
        for other, (choice, predictions) in DISCRETE.items()
        if own.config.prediction_type in predictions
        and (not unguided or other.startswith("euler"))
        and (not own.config.get("rescale_betas_zero_snr") or _knows(choice.kind, "rescale_betas_zero_snr"))
    }
    return name, first | fitting | first


def _evenly(choice: Choice, own) -> Choice:
    """The choice with timesteps as far apart as its steps are long, which these two take for granted."""
    if choice.kind in ("DDIMScheduler", "PNDMScheduler") and own.config.get("timestep_spacing") == "linspace":
        return Choice(choice.kind, {**choice.changes, "timestep_spacing": "trailing"})
    return choice


def _knows(kind: str, parameter: str) -> bool:
    return parameter in inspect.signature(getattr(diffusers, kind)).parameters
