"""Many prepared pictures through a CLIP's vision tower, faster than one after another and with the same numbers.

On a CPU a batch is cut into one part for each core. An operation that is spread over all cores waits for the slowest
at its end, hundreds of times in a forward pass, and most of all while other threads decode pictures; parts wait once.
Callers hold the device's lock.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F


def image_features(model: torch.nn.Module, pixels: Sequence[np.ndarray]) -> np.ndarray:
    """Unit embeddings (n, d) float32 of n prepared pictures, each (3, height, width)."""
    parts = 1
    if model.device.type == "cpu":
        parts = min(torch.get_num_threads(), len(pixels))
    if parts == 1:
        return _features(model, pixels)
    chosen = [pixels[len(pixels) * i // parts : len(pixels) * (i + 1) // parts] for i in range(parts)]
    return np.concatenate(
        list(_single_threads(torch.get_num_threads()).map(lambda part: _features(model, part), chosen))
    )


def _features(model: torch.nn.Module, pixels: Sequence[np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        batch = torch.from_numpy(np.stack(pixels)).to(model.device, model.dtype)
        summaries = _summaries if model.config.model_type == "clip" else _library_summaries
        return F.normalize(summaries(model, batch).float(), dim=-1).cpu().numpy()


def _library_summaries(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return model.get_image_features(pixel_values=batch).pooler_output


def _summaries(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """What `get_image_features` gives for a CLIP, without the part of its last block that nothing reads.

    Only the class token leaves the last block, so only it need ask there (queries, output projection, MLP): one
    twelfth of a ViT-B's work less.
    """
    vision = model.vision_model
    hidden = vision.pre_layrnorm(vision.embeddings(batch))
    for layer in vision.encoder.layers[:-1]:
        hidden = layer(hidden, None)
    last = vision.encoder.layers[-1]
    attention, states = last.self_attn, last.layer_norm1(hidden)

    def heads(tokens: torch.Tensor) -> torch.Tensor:
        return tokens.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)

    query, key, value = attention.q_proj(states[:, :1]), attention.k_proj(states), attention.v_proj(states)
    pooled = F.scaled_dot_product_attention(heads(query), heads(key), heads(value))
    token = hidden[:, :1] + attention.out_proj(pooled.transpose(1, 2).flatten(2))
    token = token + last.mlp(last.layer_norm2(token))
    return model.visual_projection(vision.post_layernorm(token[:, 0]))


@cache
def _single_threads(count: int) -> ThreadPoolExecutor:
    """That many threads, each of which computes alone; kept, because torch keeps memory for every thread it has met."""
    started = threading.Barrier(count + 1)

    def compute_alone() -> None:
        torch.get_num_threads()  # the first parallel operation of a thread would otherwise undo the next line
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="clip", initializer=compute_alone)
    for _ in range(count):
        pool.submit(lambda: None)
    started.wait()
    torch.set_num_threads(count)  # set_num_threads speaks for all threads still to come as well
    return pool


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_single_threads.cache_clear)  # a fork has none of its parent's threads
