"""The toy LLaVA's architecture, tokenizer and processor, as untrained objects of transformers' own classes.

As in LLaVA-1.5 (Liu et al. 2023, arXiv 2310.03744): CLIP's vision tower, read at its second to last layer without the
class token, a projector of two layers, and a language model of Llama's kind. LLaVA-NeXT has the same parts, and cuts
larger pictures into tiles.
"""

from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    CLIPModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from mmexplorer.toyworld.lexicon import WORD, spoken_lexicon
from mmexplorer.toyworld.scenes import CANVAS
from mmexplorer.training.clip_model import PATCH, build_processor
from mmexplorer.training.llava_tiles import PINPOINTS

PAD, BOS, UNK, EOS, IMAGE, USER, ASSISTANT = SPECIAL = (
    "[PAD]", "[BOS]", "[UNK]", "[EOS]", "<image>", "USER:", "ASSISTANT:",
)  # fmt: skip
CONTEXT = 1024
# Pictures stand before the words of their message; an answer ends with [EOS], as in LLaVA's own "</s>".
CHAT_TEMPLATE = (
    "[BOS]"
    "{% for message in messages %}"
    "{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}"
    "{% for part in message['content'] %}"
    "{{ '<image> ' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}"
    "{{ ' ' if message['role'] == 'user' else '[EOS]' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with one token a word, over exactly the words that conversations about the toy world use."""
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *spoken_lexicon()))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNK))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=CONTEXT,
        pad_token=PAD,
        bos_token=BOS,
        unk_token=UNK,
        eos_token=EOS,
        additional_special_tokens=[IMAGE, USER, ASSISTANT],
        padding_side="left",
    )


def build_chat_processor(tiled: bool = False) -> LlavaProcessor | LlavaNextProcessor:
    """An image processor like the toy CLIP's, which may cut pictures into tiles, the tokenizer, and the template."""
    pictures = build_processor().image_processor
    if tiled:
        square = {"height": CANVAS, "width": CANVAS}
        pictures = LlavaNextImageProcessorPil(
            size=square,
            crop_size=square,
            image_mean=pictures.image_mean,
            image_std=pictures.image_std,
            image_grid_pinpoints=PINPOINTS,
        )
    return (LlavaNextProcessor if tiled else LlavaProcessor)(
        image_processor=pictures,
        tokenizer=build_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_llava(clip: str | Path, width: int = 192, layers: int = 6) -> LlavaForConditionalGeneration:
    """A LLaVA on the vision tower of a trained CLIP; projector and language model have random weights."""
    tower = CLIPModel.from_pretrained(clip).float()
    config = LlavaConfig(**_parts(tower, width, layers), image_seq_length=(CANVAS // PATCH) ** 2)
    return _with_tower(LlavaForConditionalGeneration(config), tower)


def build_llava_next(clip: str | Path, width: int = 192, layers: int = 6) -> LlavaNextForConditionalGeneration:
    """The same as a LLaVA-NeXT; its weights are those of a LLaVA and one more, `model.image_newline`."""
    tower = CLIPModel.from_pretrained(clip).float()
    config = LlavaNextConfig(**_parts(tower, width, layers), image_grid_pinpoints=PINPOINTS)
    return _with_tower(LlavaNextForConditionalGeneration(config), tower)


def _parts(tower: CLIPModel, width: int, layers: int) -> dict:
    text = LlamaConfig(
        vocab_size=len(SPECIAL) + len(spoken_lexicon()),
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        max_position_embeddings=CONTEXT,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=3,
        tie_word_embeddings=True,
    )
    return {
        "vision_config": tower.config.vision_config,
        "text_config": text,
        "image_token_index": SPECIAL.index(IMAGE),
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": True,
    }


def _with_tower(model: PreTrainedModel, tower: CLIPModel) -> PreTrainedModel:
    weights = {name: value for name, value in tower.vision_model.state_dict().items() if "position_ids" not in name}
    into = model.model.vision_tower
    getattr(into, "vision_model", into).load_state_dict(weights, strict=False)
    return model.float()
