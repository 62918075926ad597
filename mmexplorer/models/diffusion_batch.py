"""Several pictures by one call of a pipeline: with the same steps, scheduler and size, and whatever else differs.

There are also the pictures between two prompts or two seeds. Keeps nothing of the way to a picture, as `diffusion_run`
does.
"""

import threading
from collections.abc import Callable, Generator, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from mmexplorer.models import diffusion_families as families
from mmexplorer.models.diffusion_embeddings import Embeddings, encode, mix
from mmexplorer.models.diffusion_stepwise import stepwise
from mmexplorer.models.diffusion_watch import Halt, watched

AT_ONCE = 8  # a batch ends sooner than a larger one, which is hardly quicker for each of its pictures
PIXELS_AT_ONCE = 2**19  # two of 512 x 512

Texts = MutableMapping[tuple[str, str, bool], Embeddings]


@dataclass(frozen=True)
class Wish:
    """One picture of a batch; `share`, 0 to 1, leads from its prompt and seed to `other_prompt` and `other_seed`."""

    prompt: str
    seed: int
    guidance: float
    other_prompt: str | None = None
    other_seed: int | None = None
    share: float = 0.0


@dataclass(frozen=True)
class Batch:
    """Pictures that are drawn together; where one is guided, all are."""

    wishes: tuple[Wish, ...]
    negative_prompt: str
    steps: int
    scheduler: str
    width: int
    height: int


@dataclass(frozen=True)
class BatchEvent:
    """A batch under way: `number` of `total` steps are done; only the last event has the pictures, in order."""

    number: int
    total: int
    pictures: tuple[Image.Image, ...] = ()


class _Scales:
    """Guidance scales of several pictures where pipelines expect one: they compare it with 1 and multiply by it."""

    def __init__(self, scales: Sequence[float]):
        self._scales = scales

    def __gt__(self, other: float) -> bool:
        return all(scale > other for scale in self._scales)

    def __mul__(self, tensor: Tensor) -> Tensor:
        # A number would not be rounded to the tensor's format either.
        return (torch.tensor(self._scales, device=tensor.device).view(-1, 1, 1, 1) * tensor).to(tensor.dtype)


def at_once(width: int, height: int) -> int:
    """How many pictures of that size a batch should have."""
    return max(1, min(AT_ONCE, PIXELS_AT_ONCE // (width * height)))


def together(painter, guidance: float) -> tuple:
    """What the pictures of a batch must agree in besides steps, scheduler and size: whether they are guided.

    Networks that read the scale as an embedding take one for all.
    """
    return _guided(painter.pipe, guidance), guidance if _embeds_guidance(painter.pipe) else None


def draw_batch(painter, batch: Batch, texts: Texts, stop: threading.Event) -> Generator[BatchEvent, None, None]:
    """Draws a batch: an event before the first step and after each, one with the pictures; none if `stop` ended it.

    texts keeps what prompts were encoded to, for the batches to come. Prompts are mixed linearly in their embeddings,
    seeds by `slerp` of their noise; noise that a scheduler adds at later steps is the first seed's.
    """
    with painter.at_work():
        yield from stepwise(lambda report: _draw(painter, batch, texts, stop, report))


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """From a to b on a great circle, which keeps the length of noise (Shoemake 1985; White 2016, arXiv 1609.04468)."""
    flat_a, flat_b = a.flatten().double(), b.flatten().double()
    angle = torch.arccos((flat_a @ flat_b / (flat_a.norm() * flat_b.norm())).clamp(-1, 1))
    if angle.sin() < 1e-6:  # of one direction, or of opposite ones, which no one circle joins
        return torch.lerp(a, b, share)
    mixed = (torch.sin((1 - share) * angle) * flat_a + torch.sin(share * angle) * flat_b) / angle.sin()
    return mixed.to(a.dtype).view_as(a)


def _draw(painter, batch: Batch, texts: Texts, stop: threading.Event, report: Callable[[BatchEvent], None]) -> None:
    pipe = painter.pipeline(batch.scheduler)
    total = done = 0

    def tell() -> None:
        report(BatchEvent(done, total))
        if stop.is_set() and done < total:
            raise Halt

    def start(steps: int) -> None:
        nonlocal total
        total = steps
        tell()

    def step(_) -> None:
        nonlocal done
        done += 1
        tell()

    try:
        with ExitStack() as hooks:
            hooks.enter_context(watched(families.network(pipe), pipe.scheduler, start, step))
            hooks.enter_context(painter.decoder.guarded(batch.width, batch.height, len(batch.wishes)))
            hooks.enter_context(torch.no_grad())
            pictures = pipe(**_arguments(pipe, batch, texts)).images
    except Halt:
        return
    report(BatchEvent(done, total, tuple(pictures)))


def _arguments(pipe, batch: Batch, texts: Texts) -> dict:
    generators = [torch.Generator("cpu").manual_seed(wish.seed) for wish in batch.wishes]
    embeddings = [_embeddings(pipe, wish, batch.negative_prompt, texts) for wish in batch.wishes]
    dtype = embeddings[0]["prompt_embeds"].dtype
    noises = [
        _noise(pipe, wish, generator, batch, dtype) for wish, generator in zip(batch.wishes, generators, strict=True)
    ]
    scales = [wish.guidance for wish in batch.wishes]
    return {
        **{name: torch.cat([one[name] for one in embeddings]) for name in embeddings[0]},
        "latents": torch.cat(noises),
        "generator": generators,
        "num_inference_steps": batch.steps,
        "guidance_scale": scales[0] if len(set(scales)) == 1 else _Scales(scales),
        "width": batch.width,
        "height": batch.height,
        # PixArt's default is a text, which must not come with embeddings.
        **({"negative_prompt": None} if families.takes(pipe, "negative_prompt") else {}),
        **families.FAMILIES[type(pipe).__name__].arguments,
    }


def _embeddings(pipe, wish: Wish, negative_prompt: str, texts: Texts) -> Embeddings:
    def encoded(prompt: str) -> Embeddings:
        key = prompt, negative_prompt, _guided(pipe, wish.guidance)
        if key not in texts:
            texts[key] = encode(pipe, *key)
        return texts[key]

    if wish.other_prompt is None:
        return encoded(wish.prompt)
    return mix(encoded(wish.prompt), encoded(wish.other_prompt), wish.share)


def _noise(pipe, wish: Wish, generator: torch.Generator, batch: Batch, dtype: torch.dtype) -> Tensor:
    """The noise that the pipeline itself would begin with, still on the CPU, where it comes from on every device.

    The generator goes on to what the scheduler adds.
    """
    channels, factor = families.network(pipe).config.in_channels, pipe.vae_scale_factor
    shape = 1, channels, batch.height // factor, batch.width // factor
    noise = torch.randn(shape, generator=generator, dtype=dtype)
    if wish.other_seed is None:
        return noise
    other = torch.Generator("cpu").manual_seed(wish.other_seed)
    return slerp(noise, torch.randn(shape, generator=other, dtype=dtype), wish.share)


def _guided(pipe, guidance: float) -> bool:
    """Whether the network is asked twice at every step, with the prompt and without."""
    return guidance > 1 and not _embeds_guidance(pipe)


def _embeds_guidance(pipe) -> bool:
    return bool(families.network(pipe).config.get("time_cond_proj_dim"))
