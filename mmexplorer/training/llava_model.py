"""The toy LLaVA's architecture, tokenizer and processor, as untrained objects of transformers' own classes.

As in LLaVA-1.5 (Liu et al. 2023, arXiv 2310.03744): CLIP's vision tower, read at its second to last layer without the
class token, a projector of two layers, and a language model of Llama's kind.
"""

from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    CLIPModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from mmexplorer.toyworld.lexicon import WORD, spoken_lexicon
from mmexplorer.training.clip_model import PATCH, build_processor

PAD, BOS, UNK, EOS, IMAGE, USER, ASSISTANT = SPECIAL = (
    "[PAD]", "[BOS]", "[UNK]", "[EOS]", "<image>", "USER:", "ASSISTANT:",
)  # fmt: skip
CONTEXT = 1024
# One picture at most in a message, before its words; an answer ends with [EOS], as in LLaVA's own "</s>".
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


def build_chat_processor() -> LlavaProcessor:
    """The toy CLIP's image processor, the tokenizer, and the chat template."""
    return LlavaProcessor(
        image_processor=build_processor().image_processor,
        tokenizer=build_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_llava(clip: str | Path, width: int = 192, layers: int = 6) -> LlavaForConditionalGeneration:
    """A LLaVA on the vision tower of a trained CLIP; projector and language model have random weights."""
    tower = CLIPModel.from_pretrained(clip).float()
    vocabulary = len(SPECIAL) + len(spoken_lexicon())
    text = LlamaConfig(
        vocab_size=vocabulary,
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
    config = LlavaConfig(
        vision_config=tower.config.vision_config,
        text_config=text,
        image_token_index=SPECIAL.index(IMAGE),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=(tower.config.vision_config.image_size // PATCH) ** 2,
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    weights = {name: value for name, value in tower.vision_model.state_dict().items() if "position_ids" not in name}
    into = model.model.vision_tower
    getattr(into, "vision_model", into).load_state_dict(weights, strict=False)
    return model.float()
