"""How a checkpoint is laid out on a machine: in which number format, on one device or spread, and whether it fits.

Arithmetic on parameters and bytes, so that it can be said before anything is downloaded. It does not know how a model
is built, and measures nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from mmexplorer.presets import Preset
from mmexplorer.runtime import cuda_index, size_text

BYTES = {32: 4.0, 16: 2.0, 4: 0.52}  # for each parameter; in four bits each block of weights has its scale
# Parameters that stay in 16 bits where others have four: embeddings, vision tower and the last layer. LLaVA-1.5 7B and
# LLaVA-1.6 7B have 0.59 billion of them, LLaVA-OneVision 0.5B 0.54.
STAY = 600_000_000
# What a model takes while it works, as a multiple of its weights; docs/hardware.md has what was measured: up to 1.1 for
# CLIPs and LLaVAs, 1.34 and 1.43 for Stable Diffusion 1.5 and XL.
ACTIVATIONS = {"clip": 1.2, "llava": 1.2, "diffusion": 1.45}
# The number formats that a family computes in on each kind of device, the best first. A CLIP's logit scale of 100
# would magnify what half precision rounds off its cosines.
FORMATS = {
    "clip": {"cpu": (32,), "mps": (32,), "cuda": (32,)},
    "llava": {"cpu": (32, 16), "mps": (16,), "cuda": (16, 4)},
    "diffusion": {"cpu": (32, 16), "mps": (16,), "cuda": (16,)},
}
# diffusers puts one part of a pipeline after the other on the GPU, and PixArt's largest part is nearly all of it.
LARGEST_PART = 0.9
# Layers go to one GPU each as a whole, which leaves a rest of every GPU empty.
FILLED = 0.95

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
    wait in main memory. memory_bytes is what it takes on the device, activations included. max_memory is the most bytes
    of weights for each GPU, by its number, and for "cpu", where the layers of a model are spread. verdict is FITS, SLOW
    or TOO_BIG, and reason a phrase that says why, empty where there is nothing to say.
    """

    device: str
    bits: int = 32
    spread: str = WHOLE
    memory_bytes: int = 0
    verdict: str = FITS
    reason: str = ""
    max_memory: Mapping[int | str, int] = field(default_factory=dict, hash=False)


CPU = Placement("cpu")  # in float32, as training computes


def memory_bytes(preset: Preset, bits: int) -> int:
    """Bytes that a checkpoint takes while it works, with its weights in that format."""
    stay = min(STAY, preset.parameters) if bits == 4 else 0
    return int((stay * BYTES[16] + (preset.parameters - stay) * BYTES[bits]) * ACTIVATIONS[preset.family])


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
        spreads = kind == "cuda" and bits == best and preset.family == "llava"
        if spreads and machine.room < need <= together * FILLED:
            share = need * machine.room // together
            reason = "spread over several GPUs"
            yield Placement(device, bits, SEVERAL_GPUS, share, FITS, reason, _most_weights(preset, machine))
    least = min(need for bits, need in needs.items() if bits != 4 or machine.four_bit)
    if kind == "cuda" and preset.family in ("llava", "diffusion"):
        offloaded = int(needs[best] * LARGEST_PART) if preset.family == "diffusion" else machine.room
        waiting = needs[best] if preset.family == "diffusion" else needs[best] - machine.room
        if offloaded <= machine.room and waiting <= machine.main_memory:
            reason = "parts of it wait in main memory while others compute"
            alone = replace(machine, other_gpus=())
            yield Placement(device, best, OFFLOAD, offloaded, SLOW, reason, _most_weights(preset, alone))
    reason = f"it needs about {size_text(least)} of memory, and models may take {size_text(machine.room)} here"
    yield Placement(device, best, WHOLE, least, TOO_BIG, reason)


def _most_weights(preset: Preset, machine: Machine) -> dict[int | str, int]:
    """How many bytes of weights each GPU may hold and still compute, and main memory."""
    first = cuda_index(machine.device)
    others = [number for number in range(len(machine.other_gpus) + 1) if number != first]
    rooms = {first: machine.room} | dict(zip(others, machine.other_gpus, strict=False))
    share = ACTIVATIONS[preset.family]
    return {number: int(room / share) for number, room in rooms.items()} | {"cpu": machine.main_memory}


def _speed(preset: Preset, kind: str, bits: int, best: int) -> tuple[str, str]:
    """Verdict and reason for a checkpoint that fits as a whole."""
    if kind == "cpu" and preset.tier == "gpu":
        halved = f", and fits only with {bits} bits for each number" if bits < best else ""
        return SLOW, f"it is made for a GPU{halved}"
    return FITS, f"with {bits} bits for each number of its weights" if bits < best else ""
