"""CLIP and SigLIP checkpoints on their way into memory. Knows folders, number formats and devices, not embeddings."""

from pathlib import Path

from transformers import AutoConfig, AutoModel, AutoProcessor, PreTrainedModel, ProcessorMixin
from transformers.utils import logging

from mmexplorer import runtime
from mmexplorer.errors import Refusal
from mmexplorer.placement import Placement
from mmexplorer.presets import MODEL_TYPES, Preset

# Every load would otherwise draw a progress bar into the terminal, and advise to install torchvision.
logging.disable_progress_bar()
logging.set_verbosity_error()


def read(preset: Preset, path: str | Path, placement: Placement) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The checkpoint in folder `path`, laid out so; Refusal if it is incomplete or of another family.

    What else is wrong with the folder is raised as the libraries say it.
    """
    config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if config.model_type not in MODEL_TYPES["clip"]:
        raise Refusal(f"{preset.label} is a checkpoint of type {config.model_type!r}, not a CLIP or SigLIP model.")
    model, report = AutoModel.from_pretrained(
        path,
        config=config,
        dtype=runtime.dtype(placement.device, placement.bits),
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    processor = AutoProcessor.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if report["missing_keys"] or report["mismatched_keys"]:
        raise Refusal(f"The weights of {preset.label} are incomplete; remove its folder and fetch it again.")
    return model.requires_grad_(False).eval().to(placement.device), processor
