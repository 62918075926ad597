"""Stable Diffusion pipelines with random weights, built in memory, and a preset row for each.

They draw nonsense in the time and memory that trained ones of the size need. The tokenizer has the toy world's words;
prompts are padded to 77 tokens as ever, so that it makes no difference to either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from mmexplorer import presets, residency

CONTEXT = 77
VOCABULARY = 49_408
# Untrained, every position would look at all words alike.
SHARPNESS = 1.5  # standard deviation of queries and keys
PARAMETERS = {"random-sd": 1_066_000_000, "random-quick": 20_000_000}


@dataclass(frozen=True)
class Size:
    """What differs from the defaults of diffusers' UNet2DConditionModel and AutoencoderKL, and of CLIP's text model."""

    unet: dict
    vae: dict
    text: dict


SIZES = {
    # The values of Stable Diffusion 1.5's own configuration files.
    "random-sd": Size(
        unet={"sample_size": 64, "cross_attention_dim": 768, "block_out_channels": (320, 640, 1280, 1280)},
        vae={"sample_size": 512, "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2},
        text={
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "projection_dim": 768,
        },
    ),
    "random-quick": Size(
        unet={"sample_size": 64, "cross_attention_dim": 64, "block_out_channels": (32, 64, 128, 128)},
        vae={"sample_size": 512, "block_out_channels": (32, 32, 64, 64), "layers_per_block": 1},
        text={
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "projection_dim": 64,
        },
    ),
}


@contextmanager
def random_diffusion(size: str) -> Iterator[None]:
    """`mmexplorer` knows the pipeline of that key in SIZES while the block lasts."""
    # Its folder is a toy's, because the hub looks whether there is one; nothing is loaded from there.
    source = presets.preset("toy-diffusion").source
    like = presets.preset("stable-diffusion-1.5")
    row = replace(like, key=size, label=size, source=source, revision=None, parameters=PARAMETERS[size])
    with (
        mock.patch.object(presets, "_PRESETS", (*presets.presets(), row)),
        mock.patch.dict(residency.FAMILIES, diffusion=f"{__name__}:load"),
    ):
        yield


def load(preset: presets.Preset, folder: Path, placement):
    """The Draws of a key in SIZES, the same in every process."""
    import diffusers
    import torch
    import transformers

    from mmexplorer import runtime
    from mmexplorer.models.diffusion import Draws
    from mmexplorer.training.clip_model import build_tokenizer

    size, tokenizer = SIZES[preset.key], build_tokenizer()
    tokenizer.model_max_length = CONTEXT
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    torch.manual_seed(0)
    blocks = len(size.vae["block_out_channels"])
    ends = {"down_block_types": ("DownEncoderBlock2D",) * blocks, "up_block_types": ("UpDecoderBlock2D",) * blocks}
    text = transformers.CLIPTextConfig(
        **size.text, **special, vocab_size=VOCABULARY, max_position_embeddings=CONTEXT, hidden_act="quick_gelu"
    )
    unet = diffusers.UNet2DConditionModel(**size.unet, attention_head_dim=8)
    with torch.no_grad():
        for name, weights in unet.named_parameters():
            if name.endswith(("attn2.to_q.weight", "attn2.to_k.weight")):
                weights.normal_(std=SHARPNESS * weights.shape[1] ** -0.5)
    pipe = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(**size.vae, **ends, latent_channels=4).eval(),
        unet=unet.eval(),
        text_encoder=transformers.CLIPTextModel(text).eval(),
        tokenizer=tokenizer,
        scheduler=diffusers.PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, skip_prk_steps=True
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return Draws(pipe.to(placement.device, runtime.dtype(placement.device, placement.bits)), preset, folder / "none")
