"""Prompts as the embeddings that a pipeline's call takes in their place, and what lies between two of them.

Knows pipelines, but neither noise nor pictures.
"""

import inspect

import torch
from torch import Tensor

from mmexplorer.models import diffusion_families as families

Embeddings = dict[str, Tensor]  # by argument of the pipeline's call

_NAMES = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
_MASKED = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")


@torch.no_grad()
def encode(pipe, prompt: str, negative_prompt: str, guided: bool) -> Embeddings:
    """What the pipeline makes of a prompt, batches of one; without guidance the negative prompt is left out."""
    parameters = inspect.signature(pipe.encode_prompt).parameters
    given = {
        "prompt": prompt,
        "prompt_2": None,
        "prompt_3": None,
        "device": pipe._execution_device,
        "num_images_per_prompt": 1,
        "do_classifier_free_guidance": guided,
        **({"negative_prompt": negative_prompt} if negative_prompt else {}),
        **families.FAMILIES[type(pipe).__name__].arguments,
    }
    found = pipe.encode_prompt(**{name: value for name, value in given.items() if name in parameters})
    names = _MASKED if "prompt_attention_mask" in parameters else _NAMES
    return {name: tensor for name, tensor in zip(names, found, strict=False) if tensor is not None}


def mix(a: Embeddings, b: Embeddings, share: float) -> Embeddings:
    """From a to b on a straight line; masks let through what either lets through."""
    return {
        name: torch.lerp(tensor, b[name], share) if tensor.is_floating_point() else torch.maximum(tensor, b[name])
        for name, tensor in a.items()
    }
