"""Checkpoints of the published sizes with random weights, by preset key, written into a Hub cache.

The numbers are those of the checkpoints' own configuration files; what is left out is the libraries' default, which
was that checkpoint's in the first place. Vocabularies have the published size and made-up words. They answer nonsense
in the time and memory that the real ones take.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import hub_cache
from bench.random_llava import PINPOINTS, SPECIAL, TEMPLATE, tokenizer
from mmexplorer.presets import preset

CLIP_WORDS, CLIP_LENGTH = 49_408, 77


@dataclass(frozen=True)
class Published:
    """How a checkpoint is written (folder -> number of parameters), and the millions of them that are published."""

    write: Callable[[Path], int]
    millions: int


def place(key: str, cache: Path) -> int:
    """Writes the checkpoint of a preset into a cache; the number of its parameters, which must be the published one."""
    count = CHECKPOINTS[key].write(hub_cache.folder_of(preset(key), cache))
    if round(count / 1e6) != CHECKPOINTS[key].millions:
        raise ValueError(f"{key} has {count:,} parameters, not {CHECKPOINTS[key].millions:,} millions.")
    return count


def clip_tokenizer(folder: Path) -> None:
    """Saves a byte-pair tokenizer of CLIP's size: as many merges, though of made-up syllables."""
    from string import ascii_lowercase as letters

    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    single = list(bytes_to_unicode().values())
    pieces = [*single, *(f"{piece}</w>" for piece in single)]
    merges, shorter = [], list(letters)
    most = CLIP_WORDS - len(pieces) - 2
    while len(merges) < most:
        longer = [(a, b) for a in shorter for b in letters]
        merges += longer[: most - len(merges)]
        shorter = [a + b for a, b in longer]
    names = [*pieces, *(a + b for a, b in merges), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: i for i, piece in enumerate(names)}
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CLIP_LENGTH).save_pretrained(folder)


def _clip(folder: Path, **config) -> int:
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    clip_tokenizer(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return _transformers(folder, CLIPModel, CLIPConfig(**config))


def _siglip(folder: Path) -> int:
    from transformers import SiglipConfig, SiglipModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    # The defaults are this checkpoint's, but for its end token, which they give a number beyond the vocabulary.
    config = SiglipConfig(text_config=_special())
    words = tokenizer(config.text_config.vocab_size)
    words.model_max_length = config.text_config.max_position_embeddings
    words.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)
    return _transformers(folder, SiglipModel, config)


def _onevision(folder: Path) -> int:
    from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, Qwen2Config
    from transformers import SiglipVisionConfig as Tower
    from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
        LlavaOnevisionImageProcessorPil,
    )

    side = 384
    pinpoints = [[side * i, side * j] for i in range(1, 7) for j in range(1, 7)]
    config = LlavaOnevisionConfig(
        vision_config=Tower(
            hidden_size=1152, intermediate_size=4304, num_hidden_layers=26, num_attention_heads=16,
            image_size=side, patch_size=14, vision_use_head=False,
        ),
        text_config=Qwen2Config(
            hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
            num_key_value_heads=2, vocab_size=152_000, max_position_embeddings=32_768, tie_word_embeddings=True,
            **_special(),
        ),
        image_token_index=SPECIAL.index("<image>"), image_grid_pinpoints=pinpoints, vision_feature_layer=-1,
        vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_9", tie_word_embeddings=True,
    )  # fmt: skip
    words = tokenizer(151_647)
    words.chat_template = TEMPLATE
    words.save_pretrained(folder)
    LlavaOnevisionImageProcessorPil(
        image_grid_pinpoints=pinpoints, size={"height": side, "width": side}
    ).save_pretrained(folder)
    return _transformers(folder, LlavaOnevisionForConditionalGeneration, config, "bfloat16")


def _llava_15(folder: Path) -> int:
    from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    text = LlamaConfig(  # the defaults are those of Llama 2's 7B
        vocab_size=32_064, max_position_embeddings=4096, rms_norm_eps=1e-5, **_special()
    )
    config = LlavaConfig(text_config=text, **_tower())
    _llava_processor(folder, {})
    return _transformers(folder, LlavaForConditionalGeneration, config, "bfloat16")


def _llava_next(folder: Path) -> int:
    from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration, MistralConfig

    text = MistralConfig(
        vocab_size=32_064, max_position_embeddings=32_768, rope_theta=1e6, rms_norm_eps=1e-5, sliding_window=None,
        **_special(),
    )  # fmt: skip
    config = LlavaNextConfig(text_config=text, image_grid_pinpoints=PINPOINTS, **_tower())
    _llava_processor(folder, {"image_grid_pinpoints": PINPOINTS})
    return _transformers(folder, LlavaNextForConditionalGeneration, config, "bfloat16")


def _tower() -> dict:
    from transformers import CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14, projection_dim=768,
    )  # fmt: skip
    return {
        "vision_config": vision,
        "image_token_index": SPECIAL.index("<image>"),
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
    }


def _llava_processor(folder: Path, tiles: dict) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    words = tokenizer(32_002)
    words.chat_template = TEMPLATE
    words.save_pretrained(folder)
    kind = LlavaNextImageProcessorPil if tiles else CLIPImageProcessorPil
    kind(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}, **tiles).save_pretrained(folder)


def _special() -> dict[str, int]:
    return {f"{name}_token_id": SPECIAL.index(f"[{name.upper()}]") for name in ("pad", "bos", "eos")}


def _transformers(folder: Path, kind: type, config, dtype: str = "float32") -> int:
    import torch

    config.architectures, config.dtype = [kind.__name__], dtype
    config.save_pretrained(folder)
    with torch.device("meta"):
        model = kind(config)
    return hub_cache.write_weights(model, folder, "model", getattr(torch, dtype))


TEXT_B = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
TEXT_BIG_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
CHANNELS = (320, 640, 1280, 1280)
VAE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def _sd(folder: Path) -> int:
    import diffusers

    unet = {"sample_size": 64, "cross_attention_dim": 768, "block_out_channels": CHANNELS, "attention_head_dim": 8}
    parts = {"text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    unused = {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
    }
    scheduler = diffusers.PNDMScheduler(**SCHEDULE, skip_prk_steps=True)
    _pipeline(folder, "StableDiffusionPipeline", parts | unused, scheduler)
    return _text_encoder(folder, "") + _networks(folder, unet, {"sample_size": 512})


def _sdxl(folder: Path) -> int:
    import diffusers

    unet = {
        "sample_size": 128, "cross_attention_dim": 2048, "block_out_channels": CHANNELS[:3],
        "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816, "use_linear_projection": True,
    }  # fmt: skip
    parts = {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "force_zeros_for_empty_prompt": True,
    }
    _pipeline(folder, "StableDiffusionXLPipeline", parts, diffusers.EulerDiscreteScheduler(**SCHEDULE))
    texts = _text_encoder(folder, "") + _text_encoder(folder, "_2", big=True)
    return texts + _networks(folder, unet, {"sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True})


def _pipeline(folder: Path, kind: str, parts: dict, scheduler) -> None:
    index = {
        "_class_name": kind,
        **parts,
        "scheduler": ["diffusers", type(scheduler).__name__],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    scheduler.save_pretrained(folder / "scheduler")


def _text_encoder(folder: Path, number: str, big: bool = False) -> int:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    ends = {"bos_token_id": CLIP_WORDS - 2, "eos_token_id": CLIP_WORDS - 1, "pad_token_id": 1}
    if big:
        config = CLIPTextConfig(**TEXT_BIG_G, projection_dim=1280, hidden_act="gelu", **ends)
    else:
        config = CLIPTextConfig(**TEXT_B, projection_dim=768, **ends)
    clip_tokenizer(folder / f"tokenizer{number}")
    kind = CLIPTextModelWithProjection if big else CLIPTextModel
    return _transformers(folder / f"text_encoder{number}", kind, config)


def _networks(folder: Path, unet: dict, vae: dict) -> int:
    import diffusers
    import torch

    blocks = len(VAE["block_out_channels"])
    ends = {"down_block_types": ("DownEncoderBlock2D",) * blocks, "up_block_types": ("UpDecoderBlock2D",) * blocks}
    with torch.device("meta"):
        models = {
            "unet": diffusers.UNet2DConditionModel(**unet),
            "vae": diffusers.AutoencoderKL(**VAE, **ends, **vae),
        }
    for name, model in models.items():
        model.save_config(folder / name)
    return sum(
        hub_cache.write_weights(model, folder / name, "diffusion_pytorch_model", torch.float32)
        for name, model in models.items()
    )


def _clip_l(folder: Path) -> int:
    text = TEXT_B | {"projection_dim": 768}
    vision = {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "patch_size": 14, "projection_dim": 768,
    }  # fmt: skip
    return _clip(folder, text_config=text, vision_config=vision, projection_dim=768)


CHECKPOINTS = {
    "clip-vit-base-patch32": Published(_clip, 151),  # the defaults of CLIPConfig are this checkpoint's
    "laion-clip-vit-base-patch32": Published(_clip, 151),
    "siglip-base-patch16-224": Published(_siglip, 203),
    "clip-vit-large-patch14": Published(_clip_l, 428),
    "llava-onevision-0.5b": Published(_onevision, 894),
    "stable-diffusion-1.5": Published(_sd, 1_066),
    "sdxl": Published(_sdxl, 3_469),
    "llava-1.5-7b": Published(_llava_15, 7_063),
    "llava-v1.6-mistral-7b": Published(_llava_next, 7_567),
}
