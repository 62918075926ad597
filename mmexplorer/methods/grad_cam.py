"""Grad-CAM on patch tokens: the features that raise the score on average, and where they are.

Selvaraju et al. 2017, arXiv 1610.02391, with a block's patch tokens as the feature map. The last block's output is no
use (only the class token is read from it), so each map belongs to a block's input.
"""

import numpy as np
import torch
from PIL import Image


def maps(clip, image: Image.Image, directions: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Maps (L, W, rows, columns) at each block's input, the last being the answer; image_share is NaN.

    Features are weighted by their gradient averaged over the patches; negative sums count as 0.
    """
    seen = clip.look_inside(image)
    found = []
    for direction in torch.as_tensor(directions, dtype=torch.float32, device=seen.embedding.device):
        gradients = torch.autograd.grad(seen.embedding @ direction, seen.hidden_states, retain_graph=True)
        found.append(
            torch.stack(
                [
                    (state[0, seen.first_patch :] @ gradient[0, seen.first_patch :].mean(dim=0)).clamp(min=0).detach()
                    for state, gradient in zip(seen.hidden_states, gradients, strict=True)
                ]
            )
        )
    maps = torch.stack(found, dim=1).float().cpu().numpy()
    names = tuple(f"into layer {i + 1}" for i in range(len(seen.hidden_states)))
    return maps.reshape(*maps.shape[:2], *clip.patches), names, np.full(maps.shape[:2], np.nan)
