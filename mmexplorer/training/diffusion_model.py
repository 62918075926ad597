"""The toy Stable Diffusion's parts, as objects of diffusers' and transformers' own classes, and the whole pipeline.

Knows architectures and file formats; nothing of training or data.
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPModel, CLIPTextModel, PreTrainedTokenizerFast

from mmexplorer.toyworld.scenes import CANVAS
from mmexplorer.training.clip_model import build_tokenizer as build_clip_tokenizer

FACTOR = 4  # pixels a latent position stands for, in either direction
SIDE = CANVAS // FACTOR
CHANNELS = 4
LENGTH = 32  # tokens of a prompt, with its ends and padding
TIMESTEPS = 1000
GUIDANCE = 4.0  # guidance scale and number of steps that the figures are measured with
STEPS = 20
PREVIEW = "latent_rgb.json"


def build_vae() -> AutoencoderKL:
    """An untrained autoencoder of 64 x 64 pictures with latents of 16 x 16 x 4."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=CANVAS,
        mid_block_add_attention=False,
    )


def build_unet(text_width: int) -> UNet2DConditionModel:
    """An untrained UNet with self- and cross-attention at 16 x 16 and at 8 x 8."""
    widths = (64, 128)
    return UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        block_out_channels=widths,
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=text_width,
        attention_head_dim=tuple(width // 32 for width in widths),  # diffusers' name for the number of heads
        use_linear_projection=True,
    )


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The toy CLIP's tokenizer for prompts of at most LENGTH tokens."""
    tokenizer = build_clip_tokenizer()
    tokenizer.model_max_length = LENGTH
    return tokenizer


def build_text_encoder(clip: Path) -> CLIPTextModel:
    """The text tower of a trained CLIP, to be trained on."""
    whole = CLIPModel.from_pretrained(clip, dtype=torch.float32)
    tower = CLIPTextModel(whole.config.text_config)
    tower.load_state_dict(whole.text_model.state_dict())
    return tower


def build_scheduler() -> DDIMScheduler:
    """The cosine schedule, whose last timestep is pure noise to seven digits, with v-prediction.

    Schedule: Nichol and Dhariwal 2021 (arXiv 2102.09672); v: Salimans and Ho 2022 (2202.00512); starting at the last
    timestep: Lin et al. 2023 (2305.08891). Any of diffusers' schedulers for discrete timesteps reads this config.
    """
    return DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
        clip_sample=False,
    )


def build_pipeline(vae: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel):
    """A StableDiffusionPipeline of these parts."""
    return StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=build_tokenizer(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_pipeline(pipeline: StableDiffusionPipeline, preview: dict, folder: Path) -> None:
    """Writes a pipeline with its preview, as `DiffusionPipeline.from_pretrained` expects it, in half precision.

    All but the text encoder: that would stay so when it is loaded, unlike the rest, and the two could not be joined.
    """
    for part in (pipeline.unet, pipeline.vae):
        part.to(torch.float16)
    pipeline.save_pretrained(folder)
    (folder / PREVIEW).write_text(json.dumps(preview) + "\n", encoding="utf-8")
