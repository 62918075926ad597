"""Checkpoints small enough to build in a test: LLaVAs of the real classes with random weights, and tiny pipelines."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmexplorer.placement import CPU

WORDS = (
    *("a", "photo", "picture", "of", "the", "and", "is", "there", "left", "right", "image", "user", "yes", "no"),
    *("red", "green", "blue", "circle", "square", "triangle", ".", ",", "?", "!", "<", ">", ":"),
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[BOS]", "[EOS]", "<image>", "<video>", "USER:", "ASSISTANT:")
TEMPLATE = (
    "[BOS]{% for message in messages %}"
    "{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}"
    "{% for part in message['content'] %}{{ '<image> ' if part['type'] == 'image' else part['text'] | trim }}"
    "{% endfor %}{{ ' ' if message['role'] == 'user' else '[EOS]' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
SIDE, PATCH, CONTEXT = 32, 8, 512
PINPOINTS = [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96]]
SIZE = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
EYE = TOWER | {"image_size": SIDE, "patch_size": PATCH}


def build_tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate((*SPECIAL, *WORDS))}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="[BOS]",
        eos_token="[EOS]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        additional_special_tokens=["<image>", "<video>", "USER:", "ASSISTANT:"],
        padding_side="left",
    )


def _text_config(name: str = "Llama", **more):
    import transformers

    special = {"pad_token_id": 0, "bos_token_id": SPECIAL.index("[BOS]"), "eos_token_id": SPECIAL.index("[EOS]")}
    sizes = {"vocab_size": len(SPECIAL) + len(WORDS), "max_position_embeddings": CONTEXT, "num_key_value_heads": 2}
    return getattr(transformers, f"{name}Config")(**(TOWER | sizes | special | more))


def _save(folder: Path, model, *processors) -> Path:
    """Writes a checkpoint whose weights are the same in every run and whose answers depend on the picture."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 or name.endswith(("class_embedding", "image_newline")):
                parameter.normal_(0.0, 2.0 * parameter[0].numel() ** -0.5, generator=generator)
    for part in (model, *processors):
        part.save_pretrained(folder)
    return folder


def build_llava(folder: Path, image_processor=None, text: str = "Llama", **text_config) -> Path:
    """LLaVA-1.5 with grouped-query attention; by default pictures are centre-cropped."""
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**EYE),
        text_config=_text_config(text, **text_config),
        image_token_index=SPECIAL.index("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    processor = LlavaProcessor(
        image_processor or CLIPImageProcessorPil(**SIZE),
        build_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return _save(folder, LlavaForConditionalGeneration(config), processor)


def build_llava_next(folder: Path, side: int = SIDE, patch: int = PATCH, pinpoints=None, **text_config) -> Path:
    """LLaVA-NeXT with a language model of Mistral's kind."""
    from transformers import CLIPVisionConfig, LlavaNextConfig, LlavaNextForConditionalGeneration, LlavaNextProcessor
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    pinpoints = pinpoints or PINPOINTS
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**(EYE | {"image_size": side, "patch_size": patch})),
        text_config=_text_config("Mistral", **({"sliding_window": None} | text_config)),
        image_token_index=SPECIAL.index("<image>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    processor = LlavaNextProcessor(
        LlavaNextImageProcessorPil(image_grid_pinpoints=pinpoints, **size),
        build_tokenizer(),
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return _save(folder, LlavaNextForConditionalGeneration(config), processor)


def build_onevision(folder: Path, side: int = 38, patch: int = 8, pinpoints=None, most_tiles: int = 2) -> Path:
    """LLaVA-OneVision, whose SigLIP tower leaves a margin of the picture unread, as the real one does."""
    from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, SiglipVisionConfig
    from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
        LlavaOnevisionImageProcessorPil,
    )

    pinpoints = pinpoints or [[side * i, side * j] for i in (1, 2, 3) for j in (1, 2, 3)]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**(EYE | {"image_size": side, "patch_size": patch}), vision_use_head=False),
        text_config=_text_config("Qwen2"),
        image_token_index=SPECIAL.index("<image>"),
        video_token_index=SPECIAL.index("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=f"anyres_max_{most_tiles}",
    )
    image_processor = LlavaOnevisionImageProcessorPil(
        image_grid_pinpoints=pinpoints, size={"height": side, "width": side}
    )
    tokenizer = build_tokenizer()
    tokenizer.chat_template = TEMPLATE
    # Without its processor, which demands one of videos and so torchvision.
    return _save(folder, LlavaOnevisionForConditionalGeneration(config), tokenizer, image_processor)


@pytest.fixture(scope="session")
def llava_folder(tmp_path_factory) -> Path:
    return build_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="session")
def llava_next_folder(tmp_path_factory) -> Path:
    return build_llava_next(tmp_path_factory.mktemp("llava-next"))


@pytest.fixture(scope="session")
def onevision_folder(tmp_path_factory) -> Path:
    return build_onevision(tmp_path_factory.mktemp("onevision"))


@pytest.fixture(scope="session")
def build():
    """The functions that build a checkpoint in a folder, for tests that need one of their own."""
    return SimpleNamespace(
        llava=build_llava, llava_next=build_llava_next, onevision=build_onevision, tokenizer=build_tokenizer
    )


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory):
    """A function: the folder of a tiny pipeline by name, saved once."""
    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_pipelines.py"))
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    saved = {}

    def folder(name):
        if name not in saved:
            saved[name] = tiny.save(name, tmp_path_factory.mktemp(name))
        return saved[name]

    return folder


@pytest.fixture(scope="session")
def painters(pipeline_folder):
    """A function: the painter of a tiny pipeline by name, loaded once."""
    from mmexplorer.models.diffusion import load
    from mmexplorer.presets import preset

    row, loaded = replace(preset("toy-clip"), label="Tiny", tier="cpu"), {}

    def painter(name):
        if name not in loaded:
            abilities = frozenset({"draws", "unguided"} if name == "turbo" else {"draws"})
            loaded[name] = load(replace(row, abilities=abilities), pipeline_folder(name), CPU)
        return loaded[name]

    return painter
