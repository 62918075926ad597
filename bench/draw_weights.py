"""Every cross-attention weight of a UNet, the naive way: plain AttnProcessor in every layer, which forms them all."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import numpy as np
from diffusers.models.attention_processor import Attention, AttnProcessor
from torch import Tensor

from mmexplorer.drawings import PromptWord


@dataclass
class Weights:
    """What each cross-attention layer has put out, step by step, (2 * heads, positions, tokens) with guidance."""

    words: Sequence[PromptWord]
    layers: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))

    @property
    def nbytes(self) -> int:
        return sum(weights.nbytes for steps in self.layers.values() for weights in steps)

    def maps(self) -> dict[str, np.ndarray]:
        """By part of the UNet and resolution what `drawings.WordMaps` defines, of square pictures, in float32."""
        found = defaultdict(list)
        for name, steps in self.layers.items():
            of_layer = np.stack([self._words(weights) for weights in steps])
            side = of_layer.shape[-1]
            found[f"{name.split('_')[0]} {side} x {side}"].append(of_layer)
        return {label: np.mean(layers, axis=0) for label, layers in found.items()}

    def _words(self, weights: Tensor) -> np.ndarray:
        conditional = weights[len(weights) // 2 :].float().mean(dim=0).cpu().numpy()
        side = round(len(conditional) ** 0.5)
        return np.stack([conditional[:, word.tokens].sum(axis=1).reshape(side, side) for word in self.words])


@contextmanager
def every_weight(unet, words: Sequence[PromptWord]) -> Iterator[Weights]:
    """Collects the weights while the block lasts."""
    found, own = Weights(words), dict(unet.attn_processors)
    names = {module: name for name, module in unet.named_modules() if isinstance(module, Attention)}
    compute = Attention.get_attention_scores

    def keep(module, *arguments) -> Tensor:
        weights = compute(module, *arguments)
        if module.is_cross_attention:
            found.layers[names[module]].append(weights)
        return weights

    unet.set_attn_processor(AttnProcessor())
    try:
        with mock.patch.object(Attention, "get_attention_scores", keep):
            yield found
    finally:
        unet.set_attn_processor(own)
