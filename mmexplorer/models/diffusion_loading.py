"""Pipelines of diffusers on their way into memory: in 32 or 16 bits, whole or one part on the device at a time.

Knows folders, number formats and devices, but not what is drawn.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers.utils import logging

from mmexplorer import runtime
from mmexplorer.errors import Refusal
from mmexplorer.models import diffusion_families as families
from mmexplorer.placement import OFFLOAD, Placement
from mmexplorer.presets import MODEL_TYPES, Preset

# Every load would otherwise draw progress bars into the terminal, and advise to install torchvision.
for library in (logging, transformers.utils.logging):
    library.disable_progress_bar()
    library.set_verbosity_error()


def read(preset: Preset, path: Path, placement: Placement) -> diffusers.DiffusionPipeline:
    """The pipeline in folder `path`, laid out so; Refusal if it is incomplete or of another family.

    What else is wrong with the folder is raised as the libraries say it.
    """
    index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
    kind = str(index.get("_class_name"))
    if kind not in MODEL_TYPES["diffusion"]:
        raise Refusal(f"{preset.label} is a checkpoint of type {kind[:60]!r}, not a text-to-image pipeline.")
    dtype = runtime.dtype(placement.device, placement.bits)
    options = {"local_files_only": True, "use_safetensors": True, "dtype": dtype}
    # Named there and not fetched: they blacken pictures, or read one where there is no prompt.
    unused = {name: None for name in ("safety_checker", "feature_extractor", "image_encoder") if name in index}
    if "safety_checker" in unused:
        unused["requires_safety_checker"] = False
    # By its own class, since DiffusionPipeline does not see which parts a class can do without.
    pipe = getattr(diffusers, kind).from_pretrained(
        path,
        **options,
        **_text_encoders(index, path, options, preset.label),
        **unused,
    )
    pipe.set_progress_bar_config(disable=True)
    if any(tensor.is_meta for model in (families.network(pipe), pipe.vae) for tensor in model.parameters()):
        raise _incomplete(preset.label)
    # Weights keep requires_grad: without it torch takes other kernels, and pictures are not quite the same.
    if placement.spread == OFFLOAD:
        pipe.enable_model_cpu_offload(device=placement.device)
        return pipe
    return pipe.to(placement.device)


def _text_encoders(index: Mapping, path: Path, options: Mapping, label: str) -> dict[str, torch.nn.Module]:
    """The models that read the prompt, which the pipeline would load with random weights where some are missing."""
    models = {}
    for name, (library, kind) in ((name, index[name]) for name in families.TEXT_ENCODERS if name in index):
        if library != "transformers":  # an SD3 without its T5 says null
            continue
        model_class = getattr(transformers, kind)
        models[name], report = model_class.from_pretrained(path / name, **options, output_loading_info=True)
        if report["missing_keys"]:
            raise _incomplete(label)
    return models


def _incomplete(label: str) -> Refusal:
    return Refusal(f"The weights of {label} are incomplete; remove its folder and fetch it again.")


def memory_bytes(pipe: diffusers.DiffusionPipeline) -> int:
    """Bytes that the weights take on the device at a time: all of them, or the largest part's if parts take turns."""
    parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    sizes = [sum(t.numel() * t.element_size() for t in (*part.parameters(), *part.buffers())) for part in parts]
    take_turns = any(hasattr(part, "_hf_hook") for part in parts)
    return max(sizes) if take_turns else sum(sizes)
