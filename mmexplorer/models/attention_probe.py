"""Exact attention rows of chosen tokens, read at the speed of fused attention.

Fused attention (SDPA) never forms the weights. The probe is an attention function of transformers' interface that
computes the rows of the queries it is given in float32, and SDPA outside of a replay. An answer is written without it;
afterwards one forward over the answer's tokens alone, on the cached keys of what came before, gives the rows of all
layers (`replay`). It knows positions only: what the tokens stand for is `llava_layout`'s business.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mmexplorer.models.input_device import input_device

PROBE = "sdpa_probe"
WEIGHTS_AT_ONCE = 2**20  # 4 MB of weights in float32, however long the answer is: they stay in a processor's cache

# A watcher sees (module, query, key, value, mask, scaling) of each layer and may answer with the layer's output, which
# is then not computed twice.
Watcher = Callable[..., Tensor | None]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
_swapping = threading.Lock()


class Span(Protocol):
    """Positions from start up to but not including stop: a `Segment` or a slice."""

    start: int
    stop: int


@dataclass(frozen=True)
class AttentionRows:
    """Attention of T tokens over K = prompt_length + T - 1 positions: row t is the query that produced token t.

    mean and max (layers, T, columns) are over heads, heads is (layers, heads, T, columns); None where not asked for.
    shares (layers, heads, T, spans) float32 are the sums over the spans asked for. A whole row sums to one, and is zero
    from the position of its own token on.
    """

    mean: np.ndarray | None
    max: np.ndarray | None
    heads: np.ndarray | None
    shares: np.ndarray


@dataclass(frozen=True)
class AttentionGradient:
    """One token's attention rows and the gradient of its log probability with respect to them.

    attention and gradient are (layers, heads, K) float32, K being the token's position.
    """

    attention: np.ndarray
    gradient: np.ndarray
    log_probability: float


def _attend(module, query, key, value, attention_mask, scaling=None, **kwargs) -> tuple[Tensor, None]:
    watcher = _watcher.get()
    output = watcher and watcher(module, query, key, value, attention_mask, scaling)
    if output is not None:
        return output, None
    return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)


# Without a mask function of the same name transformers makes no mask at all, and padding and windows are ignored.
AttentionInterface.register(PROBE, _attend)
AttentionMaskInterface.register(PROBE, sdpa_mask)


@contextmanager
def _watched(module, watcher: Watcher) -> Iterator[None]:
    """Let the watcher see this thread's passes through a tower or language model.

    The implementation belongs to the model, so that other threads meet the probe too: for them it is plain SDPA.
    """
    with _swapping:
        before = module.config._attn_implementation
        token = _watcher.set(watcher)
        try:
            module.set_attn_implementation(PROBE)
            yield
        finally:
            _watcher.reset(token)
            module.set_attn_implementation(before)


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, scaling: float | None) -> Tensor:
    """Attention weights (batch, heads, queries, keys) in float32; key may have fewer heads, each serving a group."""
    batch, heads, queries, width = query.shape
    scaled = query.float() * (width**-0.5 if scaling is None else scaling)
    scores = scaled.reshape(batch, key.shape[1], -1, width) @ key.float().transpose(-1, -2)
    scores = scores.view(batch, heads, queries, -1)
    if mask is not None:
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill_(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(dim=-1)


def _mixed(weights: Tensor, value: Tensor) -> Tensor:
    """The attention's output (batch, queries, heads, width); value may have fewer heads, each serving a group."""
    batch, heads, queries, keys = weights.shape
    mixed = weights.to(value.dtype).reshape(batch, value.shape[1], -1, keys) @ value
    return mixed.view(batch, heads, queries, -1).transpose(1, 2)


def _causal(mask: Tensor | None, query: Tensor, key: Tensor) -> Tensor | None:
    """The mask, written out where SDPA would go by its causal flag."""
    if mask is not None or query.shape[2] == 1:
        return mask
    return torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()[None, None]


class _Past(DynamicLayer):
    """The beginning of a layer's cache, shared and never written: new keys join it for one forward only."""

    def __init__(self, keys: Tensor, values: Tensor):
        super().__init__()
        self.keys, self.values = keys, values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def _past(cache: DynamicCache, length: int, sequence: int) -> DynamicCache:
    past = DynamicCache()
    for layer in cache.layers:
        seen, kept = layer.get_seq_length(), layer.keys.shape[-2] if layer.is_initialized else 0
        if kept < length or kept < seen:
            raise ValueError(
                f"The cache holds {kept} of {seen} positions and {length} are needed; "
                "generate with a DynamicCache() that was given no config, so that no sliding window is cut off."
            )
        part = slice(sequence, sequence + 1)
        past.layers.append(_Past(layer.keys[part, :, :length], layer.values[part, :, :length]))
    return past


@torch.no_grad()
def _embed(model, ids: Tensor) -> Tensor:
    if (ids == model.config.image_token_id).any():
        raise ValueError("Picture tokens cannot be replayed: their embeddings come from the picture.")
    embedding = model.get_input_embeddings()
    return embedding(ids.to(input_device(model)))[None]


def _forward(model, past: DynamicCache, embeddings: Tensor, padding: int) -> Tensor:
    """The language model's last hidden states (1, q, d) for q embeddings that follow what the cache holds."""
    first, queries = past.get_seq_length(), embeddings.shape[1]
    positions = torch.arange(first, first + queries, device=embeddings.device)
    mask = (torch.arange(first + queries, device=embeddings.device) >= padding)[None].long() if padding else None
    return model.model.language_model(
        inputs_embeds=embeddings,
        past_key_values=past,
        attention_mask=mask,
        position_ids=(positions - padding)[None],
        use_cache=True,
    ).last_hidden_state


def replay(
    model,
    cache: DynamicCache,
    ids: Tensor,
    prompt_length: int,
    *,
    keep: Collection[str] | str = ("mean", "max"),
    columns: Tensor | None = None,
    dtype: type = np.float32,
    spans: Sequence[Span] = (),
    sequence: int = 0,
    padding: int = 0,
) -> AttentionRows:
    """Attention rows of ids[prompt_length:] from one forward over these tokens alone; the cache stays as it is.

    model is a LLaVA of transformers with its language model at `model.model.language_model`. ids (P + T,) are all
    tokens, prompt and answer; cache holds at least the first prompt_length - 1 of them, complete or stopped at any
    time. keep names what to return of "mean", "max" and "heads", columns the positions whose weights these hold, all by
    default, and dtype their format. A smaller prompt_length gives rows of the prompt's
    last words as well, as far back as the last picture. For row `sequence` of a left-padded batch, ids and positions
    count its `padding` padding tokens too. Raises ValueError if the cache is too short, as a sliding window's is.
    """
    language = model.model.language_model
    keep = {keep} if isinstance(keep, str) else set(keep)
    layers, heads = language.config.num_hidden_layers, language.config.num_attention_heads
    keys, tokens = len(ids) - 1, len(ids) - prompt_length
    columns = torch.arange(keys) if columns is None else columns
    rows = AttentionRows(
        mean=np.zeros((layers, tokens, len(columns)), dtype) if "mean" in keep else None,
        max=np.zeros((layers, tokens, len(columns)), dtype) if "max" in keep else None,
        heads=np.zeros((layers, heads, tokens, len(columns)), dtype) if "heads" in keep else None,
        shares=np.zeros((layers, heads, tokens, len(spans)), np.float32),
    )

    def collect(module, query, key, value, mask, scaling) -> Tensor:
        layer, mask, outputs = module.layer_idx, _causal(mask, query, key), []
        chosen = columns.to(query.device)  # layers may be on several devices
        step = max(1, WEIGHTS_AT_ONCE // (heads * keys))
        for start in range(0, tokens, step):
            now = slice(start, start + step)
            weights = _weights(query[:, :, now], key, None if mask is None else mask[:, :, now], scaling)
            outputs.append(_mixed(weights, value))
            weights = weights[0]
            for i, span in enumerate(spans):
                rows.shares[layer, :, now, i] = weights[..., span.start : span.stop].sum(dim=-1).cpu().numpy()
            if rows.mean is not None:
                rows.mean[layer, now] = weights.mean(dim=0)[:, chosen].cpu().numpy()
            if rows.max is not None:
                rows.max[layer, now] = weights.amax(dim=0)[:, chosen].cpu().numpy()
            if rows.heads is not None:
                rows.heads[layer, :, now] = weights[..., chosen].cpu().numpy()
        return torch.cat(outputs, dim=1)

    if tokens:
        _replayed(model, cache, ids, prompt_length, collect, sequence, padding)
    return rows


def head_rows(
    model,
    cache: DynamicCache,
    ids: Tensor,
    prompt_length: int,
    layer: int,
    head: int,
    *,
    sequence: int = 0,
    padding: int = 0,
) -> np.ndarray:
    """The rows (T, K) of a single head; arguments and errors as of `replay`."""
    rows = np.zeros((len(ids) - prompt_length, len(ids) - 1), np.float32)

    def collect(module, query, key, value, mask, scaling) -> None:
        if module.layer_idx == layer:
            group = head // (query.shape[1] // key.shape[1])
            mask = _causal(mask, query, key)
            weights = _weights(query[:, head : head + 1], key[:, group : group + 1], mask, scaling)
            rows[:] = weights[0, 0].cpu().numpy()

    if len(rows):
        _replayed(model, cache, ids, prompt_length, collect, sequence, padding)
    return rows


@torch.inference_mode()
def _replayed(model, cache, ids, prompt_length, collect, sequence, padding) -> None:
    embeddings = _embed(model, ids[prompt_length - 1 : -1])
    with _watched(model.model.language_model, collect):
        _forward(model, _past(cache, prompt_length - 1, sequence), embeddings, padding)


def gradient_rows(
    model, cache: DynamicCache, ids: Tensor, position: int, *, sequence: int = 0, padding: int = 0
) -> AttentionGradient:
    """Rows of the token at `position` and the gradient of its log probability with respect to them.

    One forward and backward of the token before it on the cached keys: no other token's attention can change the
    probability through the rows of this query. ids, cache, sequence, padding and errors are as of `replay`.
    """
    kept: list[Tensor] = []

    def attend(module, query, key, value, mask, scaling) -> Tensor:
        weights = _weights(query, key, mask, scaling)
        kept.append(weights)
        return _mixed(weights, value)

    with torch.inference_mode(False), torch.enable_grad():
        # Gradients flow whether or not the model's own weights ask for them.
        embeddings = _embed(model, ids[position - 1 : position]).requires_grad_()
        with _watched(model.model.language_model, attend):
            hidden = _forward(model, _past(cache, position - 1, sequence), embeddings, padding)
        logits = model.get_output_embeddings()(hidden[0, -1]).float()
        log_probability = logits.log_softmax(dim=-1)[int(ids[position])]
        gradients = torch.autograd.grad(log_probability, kept)
    return AttentionGradient(
        attention=_one_query(kept),
        gradient=_one_query(gradients),
        log_probability=log_probability.item(),
    )


def _one_query(layers: Sequence[Tensor]) -> np.ndarray:
    """Weights (1, heads, 1, K) of every layer, which may be on several devices, as (layers, heads, K)."""
    return torch.cat([layer.detach()[:, :, 0].cpu() for layer in layers]).numpy()


def vision_attention(model, pixel_values: Tensor, queries: Sequence[int] | None = None) -> np.ndarray:
    """The vision tower's own attention (n, layers, queries, tokens), float32, averaged over heads.

    pixel_values are n pictures or tiles, (..., 3, height, width). queries are positions among the tower's tokens, all
    by default; CLIP's token 0 is the class token. Layers after the one whose features the language model gets have
    no part in the answer and are left out.
    """
    tower, found = model.model.vision_tower, []

    def collect(module, query, key, value, mask, scaling) -> None:
        asked = query if queries is None else query[:, :, list(queries)]
        pictures = zip(asked.split(1), key.split(1), strict=True)  # one at a time: each has heads x tokens x tokens
        found.append(torch.cat([_weights(*picture, None, scaling).mean(dim=1) for picture in pictures]).cpu())

    with torch.inference_mode(), _watched(tower, collect):
        tower(pixel_values.flatten(0, -4))
    feature_layer = model.config.vision_feature_layer
    feeds = [feature_layer] if isinstance(feature_layer, int) else feature_layer
    # Hidden state i is what layer i has made; number 0 is the embedding.
    used = max(layer if layer >= 0 else len(found) + 1 + layer for layer in feeds)
    return torch.stack(found[:used], dim=1).numpy()
