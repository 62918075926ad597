"""LLaVA checkpoints on their way into memory: in 32, 16 or 4 bits, on one device or spread over several.

Knows folders, number formats and devices, but not what a model is asked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoTokenizer,
    BitsAndBytesConfig,
    ProcessorMixin,
)
from transformers.utils import is_bitsandbytes_available, logging

from mmexplorer import runtime
from mmexplorer.errors import Refusal
from mmexplorer.models.input_device import input_device
from mmexplorer.placement import WHOLE, Placement
from mmexplorer.presets import MODEL_TYPES, Preset

# Every load would otherwise draw a progress bar into the terminal, and advise to install torchvision.
logging.disable_progress_bar()
logging.set_verbosity_error()

# What four bits leave in sixteen: small beside the language model, and all that it sees and says passes through them.
SIXTEEN_BITS = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]


@dataclass(frozen=True)
class Checkpoint:
    """A model of transformers in memory, and what reads its inputs; template is the chat template, if it has one."""

    model: torch.nn.Module
    tokenizer: Any
    image_processor: Any
    template: str | None


def read(preset: Preset, path: str | Path, placement: Placement) -> Checkpoint:
    """The checkpoint in folder `path`, laid out so; Refusal if it is incomplete or of another family.

    What else is wrong with the folder is raised as the libraries say it.
    """
    config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if config.model_type not in MODEL_TYPES["llava"]:
        raise Refusal(f"{preset.label} is a checkpoint of type {config.model_type!r}, not a LLaVA model.")
    if placement.bits == 4 and not is_bitsandbytes_available():
        raise Refusal(
            f"{preset.label} in four bits needs the package bitsandbytes; install it by: pip install bitsandbytes."
        )
    model, report = AutoModelForImageTextToText.from_pretrained(
        path,
        dtype=runtime.dtype(placement.device, placement.bits),
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        **_laid_out(placement),
    )
    # One by one, because the whole processor of OneVision demands one of videos, and that torchvision.
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    image_processor = AutoImageProcessor.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    template = ProcessorMixin.get_processor_dict(path, local_files_only=True)[0].get("chat_template")
    if report["missing_keys"] or report["mismatched_keys"]:
        raise Refusal(f"The weights of {preset.label} are incomplete; remove its folder and fetch it again.")
    model.requires_grad_(False).eval()
    return Checkpoint(model, tokenizer, image_processor, template or tokenizer.chat_template)


def _laid_out(placement: Placement) -> dict[str, Any]:
    """The arguments of `from_pretrained` that put each weight where it belongs, without a copy elsewhere first."""
    if placement.spread != WHOLE:
        return {"device_map": "auto", "max_memory": dict(placement.max_memory)}
    arguments: dict[str, Any] = {"device_map": {"": placement.device}}
    if placement.bits == 4:
        # Normal floats in blocks whose scales are quantised once more: QLoRA, Dettmers et al. 2023, arXiv 2305.14314.
        arguments["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=runtime.dtype(placement.device),
            llm_int8_skip_modules=SIXTEEN_BITS,
        )
    return arguments


def memory_bytes(model: torch.nn.Module) -> int:
    """Bytes that weights take on the device that takes the inputs; what waits or works elsewhere does not count."""
    device = input_device(model)
    tensors = [tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.device == device]
    # Weights in four bits have their scales beside them, which are neither parameters nor buffers.
    states = [tensor.quant_state for tensor in tensors if getattr(tensor, "quant_state", None) is not None]
    scales = [tensor for state in states for tensor in state.as_dict(packed=True).values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in (*tensors, *scales))
