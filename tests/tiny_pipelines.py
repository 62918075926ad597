"""Text-to-image pipelines small enough to build in a test: the real classes, random weights, sub-word tokenizers."""

import string
from pathlib import Path

import diffusers
import torch
import transformers
from torch import nn

LENGTH = 16  # tokens of a prompt that the CLIP encoders read
SIDE = 16  # latent positions along a side
TEXT = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def build_clip_tokenizer():
    """Letters and few merges: "red" is one token, "circle" is "cir" and "cle", and every other word is letters."""
    merges = [("r", "e"), ("re", "d</w>"), ("c", "i"), ("ci", "r"), ("c", "l"), ("cl", "e</w>")]
    letters = [*string.ascii_lowercase, *".,"]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges)]
    vocabulary = {piece: i for i, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def build_t5_tokenizer():
    """Words and letters; what is neither has no token."""
    pieces = ["<pad>", "</s>", "<unk>", "▁a", "▁red", "▁blue", "▁cir", "cle", "▁", *string.ascii_lowercase, ".", ","]
    vocabulary = [(piece, -float(i)) for i, piece in enumerate(pieces)]
    return transformers.T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=300)


def randomised(model: nn.Module, gain: float = 1.0) -> nn.Module:
    """The same weights in every run, none of them zero, large enough that words matter to the picture."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, gain * parameter[0].numel() ** -0.5, generator=generator)
            else:
                parameter.normal_(float(name.endswith("weight")), 0.1, generator=generator)
    return model.eval()


def _clip_text(tokenizer, projection: bool = False):
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "projection_dim": 16}
    config = transformers.CLIPTextConfig(**TEXT, **sizes, **ends, pad_token_id=tokenizer.pad_token_id)
    kind = transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel
    return randomised(kind(config), 2.0)


def _t5(tokenizer):
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0
    )
    return randomised(transformers.T5EncoderModel(config), 2.0)


def _vae(channels: int = 4, **config):
    return randomised(
        diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 8),
            layers_per_block=1,
            latent_channels=channels,
            norm_num_groups=4,
            sample_size=2 * SIDE,
            **config,
        )
    )


def _unet(width: int, **config):
    return randomised(
        diffusers.UNet2DConditionModel(
            sample_size=SIDE,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(8, 16, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=width,
            attention_head_dim=2,
            **config,
        )
    )


SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def build_sd(scheduler=None, **unet):
    """Stable Diffusion 1 with its own scheduler, PNDM."""
    tokenizer = build_clip_tokenizer()
    return diffusers.StableDiffusionPipeline(
        vae=_vae(),
        unet=_unet(16, **unet),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        scheduler=scheduler or diffusers.PNDMScheduler(**SCHEDULE, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def build_sd_velocity():
    """As Stable Diffusion 2 with v-prediction and a last timestep of pure noise."""
    zero = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return build_sd(diffusers.DDIMScheduler(**SCHEDULE, **zero, clip_sample=False))


def build_sd_flow():
    """A Stable Diffusion trained as a flow."""
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "steps_offset": 1}
    return build_sd(diffusers.DPMSolverMultistepScheduler(**flow))


def build_turbo():
    """As SD-Turbo: Euler steps, without guidance."""
    return build_sd(diffusers.EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="trailing"))


def build_lcm():
    """A latent consistency model, which gets its guidance scale as an embedding."""
    sd = build_sd(time_cond_proj_dim=16)
    parts = {name: part for name, part in sd.components.items() if name not in ("scheduler", "image_encoder")}
    return diffusers.LatentConsistencyModelPipeline(
        **parts, scheduler=diffusers.LCMScheduler(**SCHEDULE), requires_safety_checker=False
    )


def build_sdxl():
    tokenizer = build_clip_tokenizer()
    unet = _unet(
        32,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
        transformer_layers_per_block=(1, 2, 2),
        use_linear_projection=True,
    )
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[0.9, 1.1, 1.0, 1.2]),
        unet=unet,
        text_encoder=_clip_text(tokenizer),
        text_encoder_2=_clip_text(tokenizer, projection=True),
        tokenizer=tokenizer,
        tokenizer_2=build_clip_tokenizer(),
        scheduler=diffusers.EulerDiscreteScheduler(**SCHEDULE),
    )


def build_pixart(kind: str = "PixArtSigmaPipeline"):
    tokenizer = build_t5_tokenizer()
    transformer = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        cross_attention_dim=16,
        sample_size=SIDE,
        caption_channels=32,
        use_additional_conditions=False,
        norm_num_groups=4,
    )
    return getattr(diffusers, kind)(
        tokenizer=tokenizer,
        text_encoder=_t5(tokenizer),
        vae=_vae(),
        transformer=randomised(transformer, 1.5),
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    )


def build_sd3():
    clip, t5 = build_clip_tokenizer(), build_t5_tokenizer()
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=SIDE,
        in_channels=4,
        out_channels=4,
        num_layers=3,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        pos_embed_max_size=32,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=randomised(transformer, 1.5),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(shift_factor=0.06, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip_text(clip, projection=True),
        text_encoder_2=_clip_text(clip, projection=True),
        text_encoder_3=_t5(t5),
        tokenizer=clip,
        tokenizer_2=build_clip_tokenizer(),
        tokenizer_3=t5,
    )


BUILDERS = {
    "sd": build_sd,
    "sd-velocity": build_sd_velocity,
    "sd-flow": build_sd_flow,
    "turbo": build_turbo,
    "lcm": build_lcm,
    "sdxl": build_sdxl,
    "pixart-alpha": lambda: build_pixart("PixArtAlphaPipeline"),
    "pixart": build_pixart,
    "sd3": build_sd3,
}


def save(name: str, folder: Path) -> Path:
    """Writes one of BUILDERS as `DiffusionPipeline.from_pretrained` reads it."""
    BUILDERS[name]().save_pretrained(folder)
    return folder
