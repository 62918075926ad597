"""Naming patches: an extra task of the toy UNet's middle, where each of 8 x 8 patches says what will be there.

The features of a denoiser become those of a recogniser only slowly, and learning is faster where they are made so
(Yu et al. 2024, arXiv 2410.06940, align them with another network's; here the names are known). As in `clip_naming`,
whose names these are, the heads are thrown away afterwards.
"""

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn.functional import cross_entropy

from mmexplorer.training.clip_naming import BACKGROUND_WEIGHT, COLOUR_IDS, SHAPE_IDS


class LatentNaming(nn.Module):
    """Two linear heads, for shape and colour, on the patches of a UNet's middle block."""

    def __init__(self, unet: UNet2DConditionModel):
        super().__init__()
        width = unet.config.block_out_channels[-1]
        self.heads = nn.ModuleList(nn.Linear(width, len(ids)) for ids in (SHAPE_IDS, COLOUR_IDS))
        self._hidden = None
        unet.mid_block.register_forward_hook(self._keep)

    def _keep(self, module, inputs, output) -> None:
        self._hidden = output

    def loss(self, names: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
        """Cross entropy of shape and of colour for the UNet's last batch.

        names are ids (n, 2, 64) as `clip_naming.patch_names` gives them; signal (n,) is each sample's weight, so that
        what is hidden in noise counts less. The background counts less too.
        """
        patches = self._hidden.float().flatten(2).transpose(1, 2)
        losses = []
        for number, head in enumerate(self.heads):
            ids = names[:, number]
            weight = torch.where(ids > 0, 1.0, BACKGROUND_WEIGHT) * signal[:, None]
            each = cross_entropy(head(patches).transpose(1, 2), ids, reduction="none")
            losses.append((each * weight).sum() / weight.sum())
        return sum(losses)
