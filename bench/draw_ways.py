"""The ways of drawing one picture that are compared: the pipeline's own call, ours, and the naive way to word maps."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from bench.draw_weights import Weights, every_weight
from bench.random_diffusion import SIZES, random_diffusion
from mmexplorer import draw, residency
from mmexplorer.drawings import Drawing, WordMaps

PROMPT = "a red circle to the left of a blue square"
SEED = 1


@dataclass(frozen=True)
class Task:
    """What is drawn: by the preset of key `model`, a square of `side` pixels.

    A run is so many `drawings`; `seconds` is the budget of one, None without a budget.
    """

    model: str
    name: str
    steps: int
    guidance: float
    side: int
    drawings: int = 1
    seconds: float | None = None

    def __str__(self) -> str:
        return f"{self.name}, {self.side} x {self.side}, {self.steps} steps"


TASKS = {
    "toy": Task("toy-diffusion", "toy Stable Diffusion", 20, 4.0, 64, drawings=5, seconds=1.5),
    "sd": Task("random-sd", "Stable Diffusion 1.5's size", 5, 7.5, 256),
    "quick": Task("random-quick", "a far smaller size", 5, 7.5, 256),
}


@dataclass(frozen=True)
class Drawn:
    """A picture, the bytes kept beside it, and what word maps or attention weights the way has found."""

    image: Image.Image
    kept: int = 0
    word_maps: WordMaps | None = None
    weights: Weights | None = None


@contextmanager
def model_of(task: Task) -> Iterator[None]:
    """The task's model ready and warm, out of memory again after the block."""
    with random_diffusion(task.model) if task.model in SIZES else nullcontext():
        try:
            bare(replace(task, steps=2))  # whatever torch does once
            yield
        finally:
            residency.evict()


def bare(task: Task, guidance: float | None = None, seed: int = SEED) -> Drawn:
    """The pipeline's own call."""
    with residency.use(task.model) as painter:
        return Drawn(_call(painter.pipe, task, guidance, seed))


def previews(task: Task, guidance: float | None = None, seed: int = SEED) -> Drawn:
    """`mmexplorer.draw` without maps."""
    return _ours(task, guidance, seed, maps=False)


def maps(task: Task) -> Drawn:
    """`mmexplorer.draw` as it comes."""
    return _ours(task, None, SEED, maps=True)


def naive(task: Task) -> Drawn:
    """The pipeline's own call with AttnProcessor in every layer, and all weights on the prompt's tokens kept."""
    with residency.use(task.model) as painter:
        words = painter.read(PROMPT).words
        with every_weight(painter.pipe.unet, words) as weights:
            image = _call(painter.pipe, task, None, SEED)
    return Drawn(image, weights.nbytes, weights=weights)


WAYS = {"bare": bare, "previews": previews, "maps": maps, "naive": naive}


def _call(pipe, task: Task, guidance: float | None, seed: int) -> Image.Image:
    return pipe(
        PROMPT,
        num_inference_steps=task.steps,
        guidance_scale=task.guidance if guidance is None else guidance,
        width=task.side,
        height=task.side,
        generator=torch.Generator("cpu").manual_seed(seed),
    ).images[0]


def _ours(task: Task, guidance: float | None, seed: int, maps: bool) -> Drawn:
    *_, last = draw(
        PROMPT,
        model=task.model,
        steps=task.steps,
        guidance=task.guidance if guidance is None else guidance,
        width=task.side,
        height=task.side,
        seed=seed,
        maps=maps,
    )
    return Drawn(last.drawing.image, _kept(last.drawing), last.drawing.word_maps)


def _kept(drawing: Drawing) -> int:
    """Bytes of the arrays and previews of a drawing."""
    arrays = [array for step in drawing.steps for array in (step.latent, step.clean, step.guidance)]
    if drawing.word_maps is not None:
        arrays += [*drawing.word_maps.maps, drawing.grounding.maps]
    return sum(np.asarray(one).nbytes for one in (*arrays, *drawing.previews))
