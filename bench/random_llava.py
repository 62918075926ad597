"""LLaVAs of several sizes with random weights, 32,000 made-up words and a conversation of known length for each.

They answer nonsense in the time and memory that trained ones of the size need. Towers are small where memory and time
of the language model are to be compared, because all ways of asking share the tower.
"""

from dataclasses import dataclass

from PIL import Image

from bench import material

WORDS = 32_000
CONTEXT = 4096
IMAGE_SIDE, PATCH = 336, 14  # 24 x 24 tokens, as LLaVA-1.5's
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]  # those of LLaVA-NeXT
QUESTION_WORDS = 20
# Untrained, every token would attend to all others alike, and every answer would repeat one word.
SHARPNESS = 1.5  # standard deviation of queries and keys
EMBEDDING = 1.0  # standard deviation of word embeddings

SPECIAL = ("[PAD]", "[BOS]", "[UNK]", "[EOS]", "<image>", "USER:", "ASSISTANT:")
TEMPLATE = (
    "[BOS]{% for message in messages %}"
    "{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}"
    "{% for part in message['content'] %}{{ '<image> ' if part['type'] == 'image' else part['text'] }}{% endfor %}"
    "{{ ' ' if message['role'] == 'user' else '[EOS]' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


@dataclass(frozen=True)
class Size:
    """A family, the language model's and the tower's width, layers and heads, and the pictures of the conversation."""

    family: str
    text: dict[str, int]
    tower: dict[str, int]
    pictures: int
    picture_side: int


SIZES = {
    "quick": Size(
        "llava",
        {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4},
        {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 2},
        pictures=2,
        picture_side=336,
    ),
    "small": Size(
        "llava",
        {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24, "num_attention_heads": 16},
        {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4},
        pictures=3,
        picture_side=336,
    ),
    "quick-next": Size(
        "llava_next",
        {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4},
        {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 2},
        pictures=1,
        picture_side=672,
    ),
    "7b-next": Size(
        "llava_next",
        {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
        {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
        pictures=1,
        picture_side=672,
    ),
}


def random_llava(size: str, device: str, attention: str):
    """The LlavaChat of that size, the same in every process, in the device's number format for generation.

    attention is transformers' name of the implementation, "sdpa" or "eager".
    """
    import torch
    from transformers import AutoModelForImageTextToText
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    from mmexplorer import runtime
    from mmexplorer.models.llava import LlavaChat

    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(
            _config(SIZES[size]),
            dtype=runtime.dtype(device, 32 if device == "cpu" else 16),
            attn_implementation=attention,
        )
        with torch.no_grad():
            for name, weights in model.model.language_model.named_parameters():
                if name.endswith(("q_proj.weight", "k_proj.weight")):
                    weights.normal_(std=SHARPNESS * weights.shape[1] ** -0.5)
                elif name.endswith("embed_tokens.weight"):
                    weights.normal_(std=EMBEDDING)
    model.requires_grad_(False).eval()
    pixels = {
        "size": {"shortest_edge": IMAGE_SIDE},
        "crop_size": {"height": IMAGE_SIDE, "width": IMAGE_SIDE},
    }
    if SIZES[size].family == "llava_next":
        image_processor = LlavaNextImageProcessorPil(image_grid_pinpoints=PINPOINTS, **pixels)
    else:
        image_processor = CLIPImageProcessorPil(**pixels)
    return LlavaChat(model, tokenizer(WORDS), image_processor, TEMPLATE, f"Random {size}")


def conversation(size: str) -> list[tuple[str, str, list[Image.Image]]]:
    """One turn with the pictures of that size and a question of QUESTION_WORDS words."""
    side = SIZES[size].picture_side
    pictures = [picture.resize((side, side)) for picture in material.new_pictures(SIZES[size].pictures)]
    return [("user", " ".join(f"word{i}" for i in range(QUESTION_WORDS)), pictures)]


def _config(size: Size):
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaNextConfig

    special = {f"{name}_token_id": SPECIAL.index(f"[{name.upper()}]") for name in ("pad", "bos", "eos")}
    parts = {
        "vision_config": CLIPVisionConfig(**size.tower, image_size=IMAGE_SIDE, patch_size=PATCH),
        "text_config": LlamaConfig(**size.text, **special, vocab_size=WORDS, max_position_embeddings=CONTEXT),
        "image_token_index": SPECIAL.index("<image>"),
    }
    if size.family == "llava_next":
        return LlavaNextConfig(**parts, image_grid_pinpoints=PINPOINTS)
    return LlavaConfig(**parts)


def tokenizer(words: int):
    """A tokenizer with that many words, SPECIAL among them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = (*SPECIAL, *(f"word{i}" for i in range(words - len(SPECIAL))))
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(known)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        bos_token="[BOS]",
        unk_token="[UNK]",
        eos_token="[EOS]",
        additional_special_tokens=["<image>", "USER:", "ASSISTANT:"],
    )
