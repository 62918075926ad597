"""Where a model's inputs belong, wherever its weights are. Knows accelerate's hooks, but no model."""

import torch


def input_device(model: torch.nn.Module) -> torch.device:
    """The device of a model of transformers that takes its inputs.

    Hooks spread a model over devices, and the weights that its own `device` goes by may be on none ("meta") until they
    are needed.
    """
    if hasattr(model, "_hf_hook"):
        for module in model.modules():
            device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
            if device is not None:
                return torch.device(device)
    return model.device
