"""Gradient-weighted attention, rolled through the layers: which patches fed the picture's summary, for one label.

Chefer et al. 2021, "Generic Attention-model Explainability", arXiv 2103.15679, for a vision encoder: the attention of
each layer, times its gradient, negative products dropped, heads averaged, and layers combined by R <- R + A R. It
explains the score by attention alone and does not see what the MLPs do; it is no proof of cause.
"""

import numpy as np
import torch
from PIL import Image


def maps(clip, image: Image.Image, directions: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Maps (L + 1, W, rows, columns): what each layer alone moves into the summary, then all layers together.

    SigLIP's pooling head counts as one more layer before the last. image_share (L, W) is the part of the summary's
    relevance that lies on patches rather than on the class token itself; it is 1 where there is no class token.
    """
    seen = clip.look_inside(image)
    weights = seen.attentions if seen.pooling is None else (*seen.attentions, seen.pooling)
    tokens = seen.attentions[0].shape[-1]
    found, shares = [], []
    for direction in torch.as_tensor(directions, dtype=torch.float32, device=seen.embedding.device):
        score = clip.logit_scale * (seen.embedding @ direction)
        gradients = torch.autograd.grad(score, weights, retain_graph=True)
        layers = [
            (weight.detach() * gradient).float().clamp(min=0).mean(dim=1)[0]
            for weight, gradient in zip(weights, gradients, strict=True)
        ]
        if seen.pooling is None:
            start = torch.eye(tokens, device=score.device)[:1]  # the summary is the class token, the first
            rows = [start @ layer for layer in layers]
        else:
            *layers, start = layers
            rows = [*(start @ layer for layer in layers), start]
        rolled = start
        for layer in reversed(layers):  # start (I + A_L) ... (I + A_1), without ever forming the square product
            rolled = rolled + rolled @ layer
        # The class token's own starting unit is where it began, not what it gathered.
        rows.append(rolled - start if seen.pooling is None else rolled)
        relevance = torch.cat(rows)
        itself, patches = relevance.split([seen.first_patch, tokens - seen.first_patch], dim=-1)
        on_patches = patches.sum(dim=-1)
        shares.append((on_patches / (on_patches + itself.sum(dim=-1))).cpu().numpy())
        found.append(patches.reshape(len(rows), *clip.patches).cpu().numpy())
    names = [f"layer {i + 1}" for i in range(len(seen.attentions))]
    names += ["pooling"] if seen.pooling is not None else []
    return np.stack(found, axis=1), (*names, "all layers"), np.stack(shares, axis=1)
