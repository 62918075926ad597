"""Checkpoints small enough to build in a test: the real classes, random weights, a word-level tokenizer."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WORDS = (
    *("a", "photo", "picture", "drawing", "of", "the", "and", "left", "right", "two", "three"),
    *("red", "green", "blue", "circle", "square", "triangle"),
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[BOS]", "[EOS]")  # the end token must not have id 2, see CLIPTextModel.forward


def _tokenizer(context: int, model_input_names: list[str]):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", vocabulary["[BOS]"]), ("[EOS]", vocabulary["[EOS]"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="[BOS]",
        eos_token="[EOS]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=context,
        model_input_names=model_input_names,
    )


def _randomise(model) -> None:
    """The same weights in every run, large enough that pictures and words get clearly different embeddings."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 1.5 * parameter[0].numel() ** -0.5, generator=generator)
            elif name.endswith("class_embedding"):
                parameter.normal_(0.0, 0.2, generator=generator)


TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}


def build_clip(folder: Path, **image_processor) -> Path:
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    tokenizer = _tokenizer(16, ["input_ids", "attention_mask"])
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 16}
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    vision = {"image_size": 32, "patch_size": 8}
    config = CLIPConfig(text_config=TOWER | text, vision_config=TOWER | vision, projection_dim=24)
    model = CLIPModel(config)
    _randomise(model)
    model.save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessorPil(**(size | image_processor)), tokenizer).save_pretrained(folder)
    return folder


def build_siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipModel, SiglipProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    tokenizer = _tokenizer(64, ["input_ids"])
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 32}
    vision = {"image_size": 32, "patch_size": 8}
    model = SiglipModel(SiglipConfig(text_config=TOWER | text, vision_config=TOWER | vision))
    _randomise(model)
    model.logit_scale.data.fill_(2.3)
    model.logit_bias.data.fill_(-1.5)
    model.save_pretrained(folder)
    SiglipProcessor(SiglipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> Path:
    return build_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def siglip_folder(tmp_path_factory) -> Path:
    return build_siglip(tmp_path_factory.mktemp("siglip"))


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Noise pictures of several sizes and shapes, all different."""
    random = np.random.default_rng(0)
    sizes = [(32, 32), (64, 48), (30, 71), (200, 100), (1, 1), (3, 1)]
    return [Image.fromarray(random.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]
