"""The toy CLIP's architecture and its processor, as untrained objects of transformers' own classes."""

import torch
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

from mmexplorer.toyworld.lexicon import WORD, lexicon
from mmexplorer.toyworld.scenes import CANVAS

# EOS must not have id 2: CLIPTextModel then pools at the largest id instead of at EOS.
SPECIAL = ("[PAD]", "[BOS]", "[UNK]", "[EOS]")
CONTEXT = 40
PATCH = 8


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with one token a word, over exactly the words that captions use."""
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *lexicon()))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[(t, vocabulary[t]) for t in ("[BOS]", "[EOS]")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=CONTEXT,
        pad_token="[PAD]",
        bos_token="[BOS]",
        unk_token="[UNK]",
        eos_token="[EOS]",
    )


def build_processor() -> CLIPProcessor:
    """Pictures to 64 x 64 in [-1, 1] by CLIP's resize and centre crop; words by the toy tokenizer."""
    pictures = CLIPImageProcessor(
        size={"shortest_edge": CANVAS},
        crop_size={"height": CANVAS, "width": CANVAS},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return CLIPProcessor(pictures, build_tokenizer())


def build_model(width: int = 128, layers: int = 4, text_layers: int = 3) -> CLIPModel:
    """A CLIPModel with random weights for 64 x 64 pictures in patches of 8."""
    tower = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": width // 32,
        "hidden_act": "gelu",
    }
    special = {f"{name}_token_id": i for i, name in enumerate(("pad", "bos", "unk", "eos")) if name != "unk"}
    text = {"vocab_size": len(SPECIAL) + len(lexicon()), "max_position_embeddings": CONTEXT, **tower, **special}
    vision = {"image_size": CANVAS, "patch_size": PATCH, **tower}
    model = CLIPModel(
        CLIPConfig(
            text_config={**text, "num_hidden_layers": text_layers, "projection_dim": width},
            vision_config={**vision, "num_hidden_layers": layers, "projection_dim": width},
            projection_dim=width,
        )
    )
    with torch.no_grad():
        model.vision_model.embeddings.position_embedding.weight[1:] = _places(CANVAS // PATCH, width)
    return model


def _places(side: int, width: int) -> torch.Tensor:
    """Sines and cosines of a patch's row and column (side * side, width), a start that saves learning where is where.

    As in "Better plain ViT baselines" (Beyer et al. 2022, arXiv 2205.01580), scaled to the size of patch embeddings.
    """
    rates = 1.0 / 100 ** (torch.arange(width // 4) / (width // 4))
    angles = torch.arange(side)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (side, width / 2)
    rows = waves[:, None].expand(side, side, -1)
    columns = waves[None, :].expand(side, side, -1)
    return 0.25 * torch.cat([rows, columns], dim=-1).reshape(side * side, width)
