"""Text-to-image pipelines of diffusers: Stable Diffusion 1, 2 and XL, their few-step descendants, PixArt and SD3.

Brings together the checkpoint (diffusion_loading), how it reads a prompt (diffusion_prompt), the schedulers that fit it
(diffusion_schedulers) and how it draws (diffusion_run). Callers hold the device's lock.
"""

import copy
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer.drawings import DrawEvent, Drawing
from mmexplorer.models import diffusion_families as families
from mmexplorer.models import diffusion_loading
from mmexplorer.models.checkpoints import said_as_refusal
from mmexplorer.models.diffusion_prompt import PromptReader, PromptReading
from mmexplorer.models.diffusion_run import DrawingRun
from mmexplorer.models.diffusion_schedulers import menu
from mmexplorer.models.diffusion_stepwise import stepwise
from mmexplorer.models.diffusion_vae import LatentDecoder
from mmexplorer.placement import Placement
from mmexplorer.presets import Preset

TOY_STEPS, TOY_GUIDANCE = 20, 4.0
FEW_STEPS, MOST_STEPS = 4, 1000


def load(preset: Preset, path: str | Path, placement: Placement) -> "Draws":
    """The pipeline in folder `path`, laid out so; Refusal if it is damaged, incomplete or of another family."""
    with said_as_refusal(preset.label):
        return Draws(diffusion_loading.read(preset, Path(path), placement), preset, Path(path))


class Draws:
    """A pipeline that draws.

    schedulers are the names of those that fit it, its own first; steps and guidance its defaults, and steps_range the
    fewest and most. unguided models were distilled to draw without guidance; takes_negative says whether it knows
    negative prompts. size is (width, height) by default, and every side a multiple of size_step within size_range.
    decoder makes pictures of latents, and memory_bytes is what the weights take on the device at a time.
    """

    def __init__(self, pipe, preset: Preset, folder: Path):
        self.pipe, self.label = pipe, preset.label
        family = families.FAMILIES[type(pipe).__name__]
        self.unguided = "unguided" in preset.abilities
        self._own, self._choices = menu(pipe.scheduler, self.unguided)
        self.schedulers = tuple(self._choices)
        with self.at_work():
            self.decoder = LatentDecoder(pipe.vae, pipe.image_processor, folder)
        self._reader = PromptReader(family.encoders(pipe), preset.label, family.lower)
        self.steps = families.call_default(pipe, "num_inference_steps")
        self.guidance = families.call_default(pipe, "guidance_scale")
        if preset.tier == "toy":
            self.steps, self.guidance = TOY_STEPS, TOY_GUIDANCE
        if self.unguided:
            self.steps, self.guidance = FEW_STEPS, 0.0
        # A consistency model picks its steps among those that it was distilled on.
        most = min(MOST_STEPS, pipe.scheduler.config.get("original_inference_steps", MOST_STEPS))
        self.steps_range = family.fewest_steps, most
        self.takes_negative = families.takes(pipe, "negative_prompt")
        side = families.trained_side(pipe) * self.decoder.factor
        self.size = side, side
        self.size_step = families.grid_step(pipe) * self.decoder.factor
        self.size_range = max(self.size_step, side // 2 // self.size_step * self.size_step), 2 * side
        self.memory_bytes = diffusion_loading.memory_bytes(pipe)
        self._decode_seconds: dict[int, float] = {}  # of the last picture with that many pixels

    def read(self, text: str) -> PromptReading:
        """How a prompt is read: tokens, words, what has no token and what is cut off."""
        return self._reader.read(text)

    def decode(self, latents: Iterable[np.ndarray]) -> list[Image.Image]:
        """The pictures of scaled latents (channels, rows, columns), such as `Step.clean`, by the decoder."""
        with self.at_work():
            return self.decoder.pictures(latents)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a part of the pipeline computes: afterwards those that wait in main memory do so again."""
        try:
            yield
        finally:
            self.pipe.maybe_free_model_hooks()  # a call that is stopped or fails would leave the last part behind

    def pipeline(self, scheduler: str):
        """The pipeline for one call, with a new scheduler: models are shared, and what a call changes in it is not."""
        pipe = copy.copy(self.pipe)
        pipe.scheduler = self._choices[scheduler].build(self.pipe.scheduler)
        return pipe

    def draw(
        self, prompt: str, settings: Mapping, *, maps: bool = True, stop: threading.Event | None = None
    ) -> Generator[DrawEvent, None, None]:
        """Draws step by step, each when it is asked for: an event before the first and after each, one with the result.

        settings are steps, guidance, seed, scheduler, width, height and negative_prompt, all of them given and fitting.
        The picture is the bare pipeline's, bit for bit, with maps and without. Setting `stop` ends it after the step
        under way, with the predicted clean picture, and before the first step with Stopped.
        """
        pixels = settings["width"] * settings["height"]
        run = DrawingRun(
            self.pipeline(settings["scheduler"]),
            self.decoder,
            prompt,
            self.read(prompt),
            settings,
            maps=maps,
            stop=stop,
            decode_seconds=self._decode_seconds.get(pixels, 0.0),
        )
        with self.at_work():
            drawing: Drawing = yield from stepwise(run)
        self._decode_seconds[pixels] = run.decode_seconds
        yield DrawEvent(len(drawing.steps), run.total, drawing.previews[-1], drawing.seconds, 0.0, drawing)
