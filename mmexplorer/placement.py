"""How a checkpoint is laid out on a machine: in which number format, on one device or spread, and whether it fits.

Arithmetic on parameters and bytes, so that it can be said before anything is downloaded. It does not know how a model
is built, and measures nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mmexplorer.presets import Preset
from mmexplorer.runtime import size_text

# Bytes for each parameter. In four bits the embeddings, the vision tower and the last layer stay in 16, and each block
# of weights has its scale: LLaVA-1.6 7B, 7.57 billion parameters, takes 4.6 GB (its model card).
BYTES = {32: 4.0, 16: 2.0, 4: 0.61}
ACTIVATIONS = 1.2  # what a model takes while it works, as a multiple of its weights
# The number formats that a family computes in on each kind of device, the best first. A CLIP's logit scale of 100
# would magnify what half precision rounds off its cosines.
FORMATS = {
    "clip": {"cpu": (32,), "mps": (32,), "cuda": (32,)},
    "llava": {"cpu": (32, 16), "mps": (16,), "cuda": (16, 4)},
    "diffusion": {"cpu": (32, 16), "mps": (16,), "cuda": (16,)},
}
# diffusers puts one part of a pipeline after the other on the GPU, and PixArt's largest part is nearly all of it.
LARGEST_PART = 0.9

WHOLE, SEVERAL_GPUS, OFFLOAD = "whole", "several GPUs", "offload"
FITS, SLOW, TOO_BIG = "fits", "slow", "does not fit"


@dataclass(frozen=True)
class Machine:
    """What there is to lay a model out on.

    room is how many bytes models may take together on the device, other_gpus the same for further GPUs, main_memory
    how many bytes of main memory a model on a GPU may use besides. four_bit says whether bitsandbytes is installed.
    """

    device: str
    room: int
    other_gpus: tuple[int, ...] = ()
    main_memory: int = 0
    four_bit: bool = False


@dataclass(frozen=True)
class Placement:
    """How a checkpoint is laid out.

    bits are those of each number of the weights: 32, 16 or 4. spread is WHOLE, SEVERAL_GPUS or OFFLOAD, where parts
    wait in main memory. memory_bytes is what it takes on the device, activations included. verdict is FITS, SLOW or
    TOO_BIG, and reason a phrase that says why, empty where there is nothing to say.
    """

    device: str
    bits: int = 32
    spread: str = WHOLE
    memory_bytes: int = 0
    verdict: str = FITS
    reason: str = ""


CPU = Placement("cpu")  # in float32, as training computes


def memory_bytes(preset: Preset, bits: int) -> int:
    """Bytes that a checkpoint takes while it works, with its weights in that format."""
    return int(preset.parameters * BYTES[bits] * ACTIVATIONS)


def formats(preset: Preset, device: str) -> tuple[int, ...]:
    """The number formats, in bits, that a checkpoint computes in on a device, the best first."""
    return FORMATS[preset.family][device.partition(":")[0]]


def place(preset: Preset, machine: Machine) -> Placement:
    """The best way to lay a checkpoint out on a machine that has nothing else in memory."""
    return next(_ways(preset, machine))


def _ways(preset: Preset, machine: Machine) -> Iterator[Placement]:
    device, kind = machine.device, machine.device.partition(":")[0]
    needs = {bits: memory_bytes(preset, bits) for bits in formats(preset, device)}
    best = max(needs)
    for bits, need in needs.items():
        if bits == 4 and not machine.four_bit:
            continue
        if need <= machine.room:
            yield Placement(device, bits, WHOLE, need, *_speed(preset, kind, bits, best))
        together = machine.room + sum(machine.other_gpus)
        if kind == "cuda" and bits == best and preset.family == "llava" and machine.room < need <= together:
            share = need * machine.room // together
            yield Placement(device, bits, SEVERAL_GPUS, share, FITS, "spread over several GPUs")
    least = min(need for bits, need in needs.items() if bits != 4 or machine.four_bit)
    if kind == "cuda" and preset.family in ("llava", "diffusion"):
        offloaded = int(needs[best] * LARGEST_PART) if preset.family == "diffusion" else machine.room
        waiting = needs[best] if preset.family == "diffusion" else needs[best] - machine.room
        if offloaded <= machine.room and waiting <= machine.main_memory:
            reason = "parts of it wait in main memory while others compute"
            yield Placement(device, best, OFFLOAD, offloaded, SLOW, reason)
    reason = f"it needs about {size_text(least)} of memory, and models may take {size_text(machine.room)} here"
    yield Placement(device, best, WHOLE, least, TOO_BIG, reason)


def _speed(preset: Preset, kind: str, bits: int, best: int) -> tuple[str, str]:
    """Verdict and reason for a checkpoint that fits as a whole."""
    if kind == "cpu" and preset.tier == "gpu":
        halved = f", and fits only with {bits} bits for each number" if bits < best else ""
        return SLOW, f"it is made for a GPU{halved}"
    return FITS, f"with {bits} bits for each number of its weights" if bits < best else ""
