"""Naming patches: an extra task for the first stage, in which every patch says what it is a part of.

The contrastive loss hears one fact per picture and needs hours on a CPU to find out what shapes are; sixty-four patches
that name their shape and colour tell it within minutes. The heads read the second to last layer, and are thrown away.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mmexplorer.toyworld.renderer import owners
from mmexplorer.toyworld.scenes import CANVAS, Scene
from mmexplorer.toyworld.vocabulary import COLOURS, SHAPES
from mmexplorer.training.clip_model import PATCH

SHAPE_IDS = {shape: i for i, shape in enumerate((None, *SHAPES, "person", "word"))}
COLOUR_IDS = {colour: i for i, colour in enumerate((None, *COLOURS))}
COVERED = 6  # pixels of a patch that a thing must cover to give it its name
BACKGROUND_WEIGHT = 0.15


def patch_names(scenes: Sequence[Scene]) -> np.ndarray:
    """The shape and colour that each patch shows, as ids (2, n, 64) with 0 for the background, row by row."""
    side = CANVAS // PATCH
    owner = owners(scenes).reshape(-1, side, PATCH, side, PATCH).transpose(0, 1, 3, 2, 4).reshape(-1, side**2, PATCH**2)
    names = np.zeros((2, *owner.shape[:2]), dtype=np.int64)
    for i, scene in enumerate(scenes):
        for j, thing in enumerate(scene.things):
            covered = (owner[i] == j).sum(axis=-1) >= COVERED
            names[0, i, covered], names[1, i, covered] = SHAPE_IDS[thing.shape], COLOUR_IDS[thing.colour]
    return names


class PatchNaming(nn.Module):
    """Two linear heads on the patches of a CLIP's second to last vision layer."""

    def __init__(self, model):
        super().__init__()
        width = model.config.vision_config.hidden_size
        self.heads = nn.ModuleList(nn.Linear(width, len(ids)) for ids in (SHAPE_IDS, COLOUR_IDS))
        self._hidden = None
        model.vision_model.encoder.layers[-2].register_forward_hook(self._keep)

    def _keep(self, module, inputs, output) -> None:
        self._hidden = output[0] if isinstance(output, tuple) else output

    def loss(self, names: np.ndarray) -> torch.Tensor:
        """Cross entropy of shape and of colour for the model's last batch, the background counting less."""
        patches = self._hidden[:, 1:].float()
        losses = []
        for head, ids in zip(self.heads, torch.from_numpy(names), strict=True):
            weight = torch.where(ids > 0, 1.0, BACKGROUND_WEIGHT)
            each = cross_entropy(head(patches).flatten(0, 1), ids.flatten(), reduction="none")
            losses.append((each * weight.flatten()).sum() / weight.sum())
        return sum(losses)
