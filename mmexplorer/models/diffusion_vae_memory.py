"""An autoencoder where memory is short: it decodes one picture after another, or a large picture tile by tile.

Pictures one after another are the same, bit for bit; tiles overlap and change a picture slightly, so they are the last
resort. Knows sizes, but no latents.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmexplorer import runtime
from mmexplorer.models.input_device import input_device

# Bytes that decoding takes for each pixel and each byte of the number format: twice what the tensors of Stable
# Diffusion's decoder take (1,000, measured), because convolutions need memory to work in.
BYTES_PER_PIXEL = 2_000


@contextmanager
def spared(vae: torch.nn.Module, pixels: int, pictures: int, bytes_per_number: int) -> Iterator[None]:
    """While an autoencoder decodes so many pictures of so many pixels at once: what the free memory makes necessary.

    Tiles are at least as large as the pictures that it was trained on, which are therefore never cut.
    """
    need, free = pixels * BYTES_PER_PIXEL * bytes_per_number, free_memory(input_device(vae))
    one_by_one, in_tiles = pictures > 1 and pictures * need > free, need > free
    if one_by_one:
        vae.enable_slicing()
    if in_tiles:
        vae.enable_tiling()
    try:
        yield
    finally:
        if one_by_one:
            vae.disable_slicing()
        if in_tiles:
            vae.disable_tiling()


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device, with those that torch keeps there for its next tensors."""
    if device.type != "cuda":
        return runtime.memory(device.type)[0]
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return runtime.memory(str(device))[0] + kept
