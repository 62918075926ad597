"""The logit lens: which words the language model would say at a picture's positions, layer by layer.

nostalgebraist 2020, "interpreting GPT: the logit lens"; for the image tokens of LLaVA: Neo et al. 2024, arXiv
2410.07149. It reads hidden states through the model's own last step and knows nothing of where positions lie.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

POSITIONS_AT_ONCE = 64  # each is scored against the whole vocabulary


@dataclass(frozen=True)
class LogitLens:
    """The likeliest words at k positions, the best first.

    ids (layers + 1, k, top) int64 are token ids, probabilities (layers + 1, k, top) float32. Layer 0 is what enters the
    language model; the last is what the model itself would say next.
    """

    ids: np.ndarray
    probabilities: np.ndarray


@torch.inference_mode()
def logit_lens(model, inputs: Mapping[str, Tensor], positions: Tensor, *, top: int = 5) -> LogitLens:
    """The lens at positions (k,) of one prompt, from one forward that keeps no hidden states.

    inputs are what the model's forward takes, as its processor makes them, for a batch of one.
    """
    language = model.model.language_model
    found: list[tuple[Tensor, Tensor]] = []
    owner = threading.get_ident()

    def look(hidden: Tensor) -> None:
        if threading.get_ident() == owner:  # hooks belong to the model, and another thread may be running it
            found.append(nearest_words(model, hidden[0, positions.to(hidden.device)], top))

    hooks = [language.layers[0].register_forward_pre_hook(lambda module, args: look(args[0]))]
    hooks += [layer.register_forward_hook(lambda module, args, output: look(output)) for layer in language.layers]
    try:
        model(**inputs, use_cache=False, logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    ids, probabilities = zip(*found, strict=True)
    return LogitLens(torch.stack(ids).cpu().numpy(), torch.stack(probabilities).cpu().numpy())


@torch.inference_mode()
def nearest_words(model, hidden: Tensor, top: int = 5) -> tuple[Tensor, Tensor]:
    """Ids and probabilities (k, top) of the likeliest words for hidden states (k, d) before the final norm."""
    head, norm = model.get_output_embeddings(), model.model.language_model.norm
    ids, probabilities = [], []
    for block in hidden.split(POSITIONS_AT_ONCE):
        logits = head(norm(block)).float()
        best = logits.topk(top)
        ids.append(best.indices)
        probabilities.append((best.values - logits.logsumexp(dim=-1, keepdim=True)).exp())
    return torch.cat(ids), torch.cat(probabilities)
