"""A CLIP of the size of ViT-B/32 with random weights and the toy world's words, and a preset row for it.

It answers nonsense in the time that the real one needs. Its labels have as many tokens as they have words, and two.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from mmexplorer import presets

KEY = "random-vit-b-32"


@contextmanager
def random_clip(folder: Path) -> Iterator[str]:
    """The key under which `mmexplorer` knows it while the block lasts."""
    _save(folder)
    like = presets.preset("clip-vit-base-patch32")
    row = replace(like, key=KEY, label="Random ViT-B/32", source=str(folder), revision=None)
    with mock.patch.object(presets, "_PRESETS", (*presets.presets(), row)):
        yield KEY


def _save(folder: Path) -> None:
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    from mmexplorer.training.clip_model import build_tokenizer

    tokenizer = build_tokenizer()
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=special))  # the defaults are those of ViT-B/32
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:  # larger than an untrained model's, so that probabilities differ from label to label
                weights.normal_(std=1.5 * weights[0].numel() ** -0.5)
        model.logit_scale.fill_(math.log(100))  # as trained ones have
    model.save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(), tokenizer).save_pretrained(folder)
