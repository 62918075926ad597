"""A Hub cache on this disk that holds checkpoints under their real repository and pinned revision, without a Hub.

Knows how huggingface_hub lays its cache out and how the weights of a file are drawn; what a checkpoint consists of is
`published`'s.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

from mmexplorer.presets import Preset

SHARD_BYTES = 2_000_000_000  # at most so many are in memory while weights are written
DRAWN = 1 << 20  # normal numbers, used again and again: drawing billions of them would take minutes


def folder_of(preset: Preset, cache: Path) -> Path:
    """The folder in a cache where huggingface_hub looks for the pinned revision of a preset; made if need be."""
    repository = cache / f"models--{preset.source.replace('/', '--')}"
    folder = repository / "snapshots" / preset.revision
    folder.mkdir(parents=True, exist_ok=True)
    references = repository / "refs"
    references.mkdir(exist_ok=True)
    (references / "main").write_text(preset.revision, encoding="utf-8")
    return folder


def environment(cache: Path) -> dict[str, str]:
    """The environment of a process that finds its models in that cache and has no network."""
    return os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def write_weights(model, folder: Path, name: str, dtype) -> int:
    """Writes a model of the meta device as safetensors with random weights of a dtype; the number of parameters.

    Matrices get normal numbers of a width that keeps signals finite, norms ones and biases zeros. The whole is never in
    memory: shards of SHARD_BYTES are written one by one, a single file where one will do.
    """
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    drawn = torch.randn(DRAWN, dtype=torch.float32)
    shards = list(_shards(model, torch.empty((), dtype=dtype).element_size()))
    places = {}
    for number, names in enumerate(shards, 1):
        file = f"{name}.safetensors" if len(shards) == 1 else f"{name}-{number:05}-of-{len(shards):05}.safetensors"
        shapes = dict(model.named_parameters())
        tensors = {weight: _random(weight, shapes[weight], drawn, dtype) for weight in names}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(names, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": 0}, "weight_map": places}
        (folder / f"{name}.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return sum(weight.numel() for weight in model.parameters())


def _shards(model, bytes_each: int) -> Iterator[list[str]]:
    """Names of parameters, those that are tied only once, in groups that fit into a shard."""
    names, filled = [], 0
    for name, weight in model.named_parameters():
        size = weight.numel() * bytes_each
        if names and filled + size > SHARD_BYTES:
            yield names
            names, filled = [], 0
        names.append(name)
        filled += size
    yield names


def _random(name: str, like, drawn, dtype):
    import torch

    if like.dim() == 0:  # a logit scale, whose exponential multiplies cosines: 100 as trained ones have
        return torch.full((), math.log(100), dtype=dtype)
    if like.dim() == 1:
        return (torch.ones if name.endswith("weight") else torch.zeros)(like.shape, dtype=dtype)
    count = like.numel()
    numbers = drawn.repeat(math.ceil(count / DRAWN))[:count].view(like.shape)
    return (numbers * like[0].numel() ** -0.5).to(dtype)
