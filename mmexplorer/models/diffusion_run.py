"""One drawing under way: the pipeline's own call, what every step leaves behind, and the picture at its end.

Runs where it is called and reports by a callback; `diffusion` makes an iterator of it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from PIL import Image

from mmexplorer.drawings import DrawEvent, Drawing, Stage, Step
from mmexplorer.hub import Stopped
from mmexplorer.models import diffusion_families as families
from mmexplorer.models.damage import refuse_damaged
from mmexplorer.models.diffusion_maps import WordAttention
from mmexplorer.models.diffusion_prompt import PromptReading
from mmexplorer.models.diffusion_vae import LatentDecoder
from mmexplorer.models.diffusion_watch import Halt, Observation, watched
from mmexplorer.models.input_device import input_device


class _Stopwatch:
    """Seconds since it was made, without the pauses."""

    def __init__(self):
        self._started = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self._started

    @contextmanager
    def paused(self) -> Iterator[None]:
        before = time.perf_counter()
        try:
            yield
        finally:
            self._started += time.perf_counter() - before


class DrawingRun:
    """Draws one picture with a pipeline that is this run's own, as is its scheduler; the models may be shared.

    settings are steps, guidance, seed, width, height and negative_prompt; reading is how the prompt is read.
    decode_seconds is a guess for the time left, and afterwards what it took; total the number of steps, once known.
    """

    def __init__(
        self,
        pipe,
        decoder: LatentDecoder,
        prompt: str,
        reading: PromptReading,
        settings: Mapping,
        *,
        maps: bool = True,
        stop: threading.Event | None = None,
        decode_seconds: float = 0.0,
    ):
        self._pipe, self._network, self._decoder = pipe, families.network(pipe), decoder
        self._prompt, self._reading, self._settings = prompt, reading, settings
        self._stop = stop or threading.Event()
        grid = settings["height"] // decoder.factor, settings["width"] // decoder.factor
        self._attention = WordAttention(self._network, reading.words, grid) if maps and reading.words else None
        self.decode_seconds = decode_seconds
        self._steps: list[Step] = []
        self._previews: list[Image.Image] = []
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.total = 0

    def __call__(self, report: Callable[[DrawEvent], None]) -> Drawing:
        """The drawing; report(event) is called before the first step and after each."""
        self._clock, self._report = _Stopwatch(), report
        ended = "end"
        try:
            with ExitStack() as hooks:
                hooks.enter_context(watched(self._network, self._pipe.scheduler, self._start, self._step))
                if self._attention is not None:
                    hooks.enter_context(self._attention.reading())
                hook = self._network.register_forward_pre_hook(self._note_shapes, with_kwargs=True)
                hooks.callback(hook.remove)
                hooks.enter_context(self._decoder.guarded(self._settings["width"], self._settings["height"]))
                [image] = self._pipe(**self._arguments()).images
        except Halt:
            ended = "stopped"
            [image] = self._decoder.pictures([self._steps[-1].clean])
        self.decode_seconds = self._clock() - self._marked
        return Drawing(
            image=image,
            previews=tuple(self._previews),
            grounding=None,
            settings=dict(self._settings),
            steps=tuple(self._steps),
            word_maps=self._attention and self._attention.word_maps(),
            ended=ended,
            stages=tuple(self._stages()),
            tokens=self._reading.tokens,
            words=self._reading.words,
            seconds=self._clock(),
        )

    def _arguments(self) -> dict:
        settings, pipe = self._settings, self._pipe
        negative = settings["negative_prompt"]
        # From a generator of the CPU, the noise of a seed is the same on every device.
        return {
            "prompt": self._prompt,
            "num_inference_steps": settings["steps"],
            "guidance_scale": settings["guidance"],
            "width": settings["width"],
            "height": settings["height"],
            "generator": torch.Generator("cpu").manual_seed(settings["seed"]),
            **({"negative_prompt": negative} if negative and families.takes(pipe, "negative_prompt") else {}),
            **families.FAMILIES[type(pipe).__name__].arguments,
        }

    def _start(self, total: int) -> None:
        torch.zeros((), device=input_device(self._network)).item()  # a GPU may still be reading the prompt
        self.total, self._text_seconds = total, self._clock()
        with self._clock.paused():
            self._report(DrawEvent(0, total, seconds=self._text_seconds))
        if self._stop.is_set():
            raise Stopped("The drawing was stopped before its first step.")
        self._marked = self._clock()

    def _step(self, seen: Observation) -> None:
        refuse_damaged(seen.clean)
        if self._attention is not None:
            self._attention.end_step()
        number = len(self._steps) + 1
        preview = self._decoder.preview(seen.clean)
        before, self._marked = self._marked, self._clock()
        latent, clean, guidance = (_half(tensor) for tensor in (seen.latent, seen.clean, seen.guidance))
        seconds = self._marked - before
        self._steps.append(Step(number, seen.timestep, seen.noise_level, latent, clean, guidance, seconds))
        self._previews.append(preview)
        left = (self._marked - self._text_seconds) / number * (self.total - number) + self.decode_seconds
        with self._clock.paused():
            self._report(DrawEvent(number, self.total, preview, self._marked, left, clean=clean))
        if self._stop.is_set() and number < self.total:
            raise Halt

    def _note_shapes(self, module, args, kwargs) -> None:
        if not self._shapes:
            latent = args[0] if args else kwargs["hidden_states"]
            self._shapes = {"latent": tuple(latent.shape[1:]), "text": tuple(kwargs["encoder_hidden_states"].shape[1:])}

    def _stages(self) -> Iterator[Stage]:
        encoders, vae = families.text_encoders(self._pipe), self._pipe.vae
        name = "UNet" if hasattr(self._pipe, "unet") else "transformer"
        latent, settings = self._shapes["latent"], self._settings
        yield Stage("tokens", (len(self._reading.tokens),))
        yield Stage("text encoder", self._shapes["text"], sum(map(_parameters, encoders)), self._text_seconds)
        yield Stage("noise", latent, note=f"seed {settings['seed']}")
        note = f"{len(self._steps)} steps"
        if self._steps[0].guidance is not None:
            note += ", each with the prompt and without"
        seconds = sum(step.seconds for step in self._steps)
        yield Stage(name, latent, _parameters(self._network), seconds, note)
        decoder = _parameters(vae.decoder) + sum(
            _parameters(part) for part in [getattr(vae, "post_quant_conv", None)] if part
        )
        yield Stage("VAE decoder", (3, settings["height"], settings["width"]), decoder, self.decode_seconds)


def _half(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.half().cpu().numpy()


def _parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
