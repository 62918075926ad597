"""Models that load and yet do not work, which shows in the numbers that they answer with."""

import torch

from mmexplorer.errors import Refusal


def refuse_damaged(numbers: torch.Tensor, label: str = "The model") -> None:
    """Refusal if any of a model's numbers is not finite."""
    if not numbers.isfinite().all():
        raise Refusal(
            f"{label} answered with numbers that are not finite; its weights are damaged, or this device's number "
            "format is too small for it."
        )
