"""What a text-to-image model does with a prompt, as frozen dataclasses of numpy arrays, pictures, strings and numbers.

As `results`, which holds the results of all tabs, it knows neither torch nor Gradio nor a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from mmexplorer.results import Grounding


@dataclass(frozen=True)
class Step:
    """One denoising step: number counts from 1, timestep is the scheduler's, seconds the step's own time.

    noise_level, from 0 to 1, is how much of the latent is noise: the standard deviation of the noise when signal and
    noise together have variance one, or in flow models the weight of the noise. latent, clean and guidance are
    (channels, rows, columns) float16: what the network saw, in the scale that the decoder reads; the clean latent that
    it predicted from that; and its conditional minus its unconditional prediction, None without guidance.
    """

    number: int
    timestep: float
    noise_level: float
    latent: np.ndarray
    clean: np.ndarray
    guidance: np.ndarray | None
    seconds: float


@dataclass(frozen=True)
class PromptWord:
    """A word or a punctuation mark of the prompt, and the positions of its tokens in what the network attends to."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class WordMaps:
    """Cross-attention of the conditional prediction, mean over heads, with a word's tokens summed.

    maps holds for each of `layers`, such as "down 16 x 16", the weights (steps, words, rows, columns) float16 with
    which each position of the latent looks at each word. counts says of how many attention layers each is the mean.
    In models whose pictures and texts attend to each other jointly, the weights on the picture itself count among all.
    """

    words: tuple[str, ...]
    layers: tuple[str, ...]
    maps: tuple[np.ndarray, ...]
    counts: tuple[int, ...]

    @property
    def outside(self) -> tuple[float, ...]:
        """Per layer the mean share of attention that no word got: start and end tokens, padding, the picture itself."""
        return tuple(1 - float(maps.sum(axis=1, dtype=np.float64).mean()) for maps in self.maps)


@dataclass(frozen=True)
class Stage:
    """One stage from prompt to picture: the shape of what it puts out, its parameters, and its time in this drawing.

    seconds is None for what was not timed.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int = 0
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)  # arrays and pictures can be neither compared nor hashed as one value
class Drawing:
    """A drawn picture with everything that was measured on the way.

    previews are the predicted clean pictures after each of `steps`. grounding holds the word maps summed over all
    steps, one layer for each of `word_maps` and "all layers" last; None without maps. settings are prompt,
    negative_prompt, seed, steps, guidance, scheduler, width, height, model and revision: enough to draw it again.
    ended is "end" or "stopped", where image is the predicted clean picture so far. tokens are what the first text
    encoder read. remarks are sentences about what was changed, cut or not known. seconds leaves out what the caller
    did between the events.
    """

    image: Image.Image
    previews: tuple[Image.Image, ...]
    grounding: Grounding | None
    settings: Mapping[str, str | int | float | None]
    steps: tuple[Step, ...]
    word_maps: WordMaps | None = None
    ended: str = "end"
    stages: tuple[Stage, ...] = ()
    tokens: tuple[str, ...] = ()
    words: tuple[PromptWord, ...] = ()
    unknown_words: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    model: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class DrawEvent:
    """A drawing under way: `number` of `total` steps are done, after `seconds`, and about `eta` seconds remain.

    The first event, number 0, comes when the model is ready and has no preview; eta is None until a step is done. clean
    (channels, rows, columns) is the predicted clean latent that preview shows by a linear map. Only the last event has
    the drawing.
    """

    number: int
    total: int
    preview: Image.Image | None = None
    seconds: float = 0.0
    eta: float | None = None
    drawing: Drawing | None = field(default=None, repr=False)
    clean: np.ndarray | None = field(default=None, repr=False)
