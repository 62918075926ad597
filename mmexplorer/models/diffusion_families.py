"""What tells one diffusers pipeline from another: which texts its network attends to, and how it wants to be called.

Knows pipelines, but neither steps nor pictures.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmexplorer.models.diffusion_prompt import Encoder

TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")


def _clip(pipe) -> list[Encoder]:
    """One sequence; SDXL's second encoder reads the same tokens at the same places."""
    return [Encoder(pipe.tokenizer, pipe.tokenizer.model_max_length)]


def _t5(pipe) -> list[Encoder]:
    return [Encoder(pipe.tokenizer, call_default(pipe, "max_sequence_length"))]


def _clip_then_t5(pipe) -> list[Encoder]:
    encoders = [Encoder(pipe.tokenizer, pipe.tokenizer_max_length)]
    if pipe.tokenizer_3 is not None and pipe.text_encoder_3 is not None:
        encoders.append(Encoder(pipe.tokenizer_3, call_default(pipe, "max_sequence_length")))
    return encoders


@dataclass(frozen=True)
class Family:
    """How pipelines of a class differ: their text sequences in order, and fixed arguments of a call.

    lower says that prompts are read in lower case. fewest_steps is what their loop can do.
    """

    encoders: Callable[[Any], list[Encoder]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    lower: bool = False
    fewest_steps: int = 1


# Sizes are drawn as asked: PixArt would draw the nearest size that it was trained on, and cut the picture.
_PIXART = Family(_t5, {"clean_caption": False, "use_resolution_binning": False}, lower=True, fewest_steps=2)

FAMILIES = {
    "StableDiffusionPipeline": Family(_clip),
    "StableDiffusionXLPipeline": Family(_clip),
    "LatentConsistencyModelPipeline": Family(_clip),
    "PixArtAlphaPipeline": _PIXART,
    "PixArtSigmaPipeline": _PIXART,
    "StableDiffusion3Pipeline": Family(_clip_then_t5),
}


def call_default(pipe, argument: str) -> Any:
    """The value that a pipeline's call takes for an argument that is not given."""
    return inspect.signature(pipe.__call__).parameters[argument].default


def takes(pipe, argument: str) -> bool:
    """Whether a pipeline's call has that argument."""
    return argument in inspect.signature(pipe.__call__).parameters


def network(pipe):
    """The network that denoises."""
    return pipe.unet if hasattr(pipe, "unet") else pipe.transformer


def text_encoders(pipe) -> list:
    """The models that read the prompt."""
    return [model for name in TEXT_ENCODERS if (model := getattr(pipe, name, None)) is not None]


def grid_step(pipe) -> int:
    """Positions of the latent that a picture's sides must be a multiple of, so that every layer has a whole grid."""
    config = network(pipe).config
    patch = config.get("patch_size")
    return patch or 2 ** (len(config.block_out_channels) - 1)


def trained_side(pipe) -> int:
    """Positions of the latent along a side of the pictures that the network was trained on."""
    side = network(pipe).config.sample_size
    return side if isinstance(side, int) else side[0]
