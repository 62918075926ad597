"""Where each word of a prompt acts: the cross-attention of a diffusion network, read while fused attention runs.

Fused attention never forms the weights. Hooks on the projections hand over queries and keys as they are computed, and
only the weights of picture positions on text tokens are computed once more, of the conditional half of the batch; the
network's own computation is not touched. Knows token positions, but no tokenizer.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from mmexplorer.drawings import PromptWord, WordMaps

WEIGHTS_AT_ONCE = 2**22  # 16 MB of float32


class WordAttention:
    """Collects the attention of words within `reading`, step by step; grid is the latent's (rows, columns).

    Separate cross-attention layers (UNets, PixArt) attend to the text alone. Joint ones (SD3) attend to picture and
    text at once: weights are then taken over all keys, and those on the text kept.
    """

    def __init__(self, network: torch.nn.Module, words: Sequence[PromptWord], grid: tuple[int, int]):
        self._words, self._grid = tuple(words), grid
        self._layers = {
            module: name
            for name, module in network.named_modules()
            if getattr(module, "is_cross_attention", False) or getattr(module, "add_k_proj", None) is not None
        }
        self._belongs: Tensor | None = None  # (texts, words): 1 where a token is one of a word
        self._sums: dict[str, Tensor] = {}  # of this step, (words, rows, columns), in the order of the layers
        self._counts: dict[str, int] = {}
        self._steps: dict[str, list[np.ndarray]] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Reads along with whatever the network computes until the block ends."""
        with ExitStack() as hooks:
            for module in self._layers:
                seen: dict[str, Tensor] = {}
                parts = {
                    "query": module.norm_q or module.to_q,
                    "key": module.norm_k or module.to_k,
                    "text": getattr(module, "norm_added_k", None) or getattr(module, "add_k_proj", None),
                }
                for part, projection in parts.items():
                    if projection is not None:
                        keep = projection.register_forward_hook(
                            lambda _, __, output, seen=seen, part=part: seen.update({part: output})
                        )
                        hooks.callback(keep.remove)
                read = module.register_forward_hook(
                    lambda module, _, kwargs, __, seen=seen: self._read(module, seen, kwargs.get("attention_mask")),
                    with_kwargs=True,
                )
                hooks.callback(read.remove)
            yield

    def end_step(self) -> None:
        """Closes a step: what has been read since the last one becomes the maps of this step."""
        for label, total in self._sums.items():
            self._steps.setdefault(label, []).append((total / self._counts[label]).half().cpu().numpy())
        self._sums.clear()

    def word_maps(self) -> WordMaps:
        """The maps of all steps that were closed."""
        return WordMaps(
            words=tuple(word.text for word in self._words),
            layers=tuple(self._steps),
            maps=tuple(np.stack(steps) for steps in self._steps.values()),
            counts=tuple(self._counts[label] for label in self._steps),
        )

    def _read(self, module: torch.nn.Module, seen: dict[str, Tensor], mask: Tensor | None) -> None:
        tensors = {part: _by_head(output[-1], module.heads) for part, output in seen.items()}
        seen.clear()
        query, key = tensors["query"], tensors["key"]
        texts = key.shape[1]
        if "text" in tensors:
            texts = tensors["text"].shape[1]
            key = torch.cat([key, tensors["text"]], dim=1)
        if self._belongs is None:
            belongs = torch.zeros(texts, len(self._words))
            for i, word in enumerate(self._words):
                belongs[list(word.tokens), i] = 1
            self._belongs = belongs.to(key.device)
        bias = None if mask is None else mask[-1].float()
        weights = _text_weights(query, key, texts, bias) @ self._belongs
        label, (rows, columns) = self._place(module, len(weights))
        maps = weights.T.reshape(-1, rows, columns)
        if label in self._sums:
            self._sums[label] += maps
            self._counts[label] += 1
        else:
            self._sums[label], self._counts[label] = maps, 1

    def _place(self, module: torch.nn.Module, positions: int) -> tuple[str, tuple[int, int]]:
        """What a layer is called, and the grid of its positions: UNets by part and resolution, others by block."""
        rows, columns = self._grid
        shrink = round((rows * columns / positions) ** 0.5)
        grid = rows // shrink, columns // shrink
        name = self._layers[module]
        if name.startswith("transformer_blocks."):
            return f"block {int(name.split('.')[1]) + 1}", grid
        return f"{name.split('_')[0]} {grid[0]} x {grid[1]}", grid


def _by_head(projected: Tensor, heads: int) -> Tensor:
    """(heads, positions, width) float32 of a projection's output, which has its heads apart only after a norm."""
    apart = projected if projected.dim() == 3 else projected.unflatten(-1, (heads, -1)).transpose(0, 1)
    return apart.float()


def _text_weights(query: Tensor, key: Tensor, texts: int, bias: Tensor | None) -> Tensor:
    """Attention weights (positions, texts) on the last `texts` keys, normalised over all keys, mean over heads."""
    heads, _, width = query.shape
    keys = key.transpose(1, 2) * width**-0.5
    rows = max(1, WEIGHTS_AT_ONCE // (heads * key.shape[1]))
    blocks = []
    for block in query.split(rows, dim=1):
        scores = block @ keys
        if bias is not None:
            scores += bias
        blocks.append(scores.softmax(dim=-1)[..., -texts:].mean(dim=0))
    return torch.cat(blocks)
