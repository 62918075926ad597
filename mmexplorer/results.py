"""What models say, as frozen dataclasses of numpy arrays, strings and numbers.

Nothing here knows torch, Gradio or a model: a result can be kept in a session, sent to another process, and drawn
again without running anything.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, shifted by the maximum so that large logits do not overflow."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logistic function, each logit on its own, stable for large magnitudes."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def probabilities(cosines: np.ndarray, logit_scale: float, logit_bias: float, activation: str) -> np.ndarray:
    """Probabilities (n, m) of cosines (n, m): softmax over labels (CLIP) or a sigmoid each (SigLIP)."""
    logits = cosines.astype(np.float64) * logit_scale + logit_bias
    return (softmax(logits) if activation == "softmax" else sigmoid(logits)).astype(np.float32)


@dataclass(frozen=True)
class Classification:
    """How n pictures score against m labels.

    cosines (n, m) belong to the ensemble of the templates; template_cosines (t, n, m) to each template alone.
    activation is "softmax" (labels compete, CLIP) or "sigmoid" (each label on its own, SigLIP).
    """

    labels: tuple[str, ...]
    cosines: np.ndarray
    probabilities: np.ndarray
    logit_scale: float
    logit_bias: float = 0.0
    activation: str = "softmax"
    templates: tuple[str, ...] = ("{}",)
    template_cosines: np.ndarray | None = None
    unknown_words: tuple[str, ...] = ()
    model: str = ""

    def rescaled(self, logit_scale: float, activation: str | None = None) -> "Classification":
        """The same cosines under another logit scale or activation; no model is run."""
        activation = activation or self.activation
        return replace(
            self,
            logit_scale=logit_scale,
            activation=activation,
            probabilities=probabilities(self.cosines, logit_scale, self.logit_bias, activation),
        )


@dataclass(frozen=True)
class Trace:
    """The five steps of one zero-shot classification: picture, prompts, embeddings, cosines, probabilities.

    seen is the picture as the model gets it, box the part of the original it covers (left, top, right, bottom in
    pixels), patches the grid (rows, columns) it is cut into. prompts holds one text per label and template, and
    tokens each prompt's tokens. image_embedding (d,) and text_embeddings (m, d) are unit vectors, the latter after
    averaging over templates.
    """

    seen: Image.Image
    box: tuple[float, float, float, float]
    patches: tuple[int, int]
    prompts: tuple[tuple[str, ...], ...]
    tokens: tuple[tuple[tuple[str, ...], ...], ...]
    image_embedding: np.ndarray
    text_embeddings: np.ndarray
    classification: Classification


@dataclass(frozen=True)
class Grounding:
    """Which pixels met which words: one map per layer and word over a part of one image.

    maps (L, W, h, w) are non-negative; their grid of h x w equal cells covers exactly `box` (left, top, right,
    bottom, in pixels of `image`), which is smaller than the image when the model crops it. image_share (L, W) is the
    fraction of the method's total weight that fell on image patches, NaN where a method has no such notion.
    scores (W,) are the cosines of the words with the picture.
    """

    image: Image.Image
    words: tuple[str, ...]
    maps: np.ndarray
    layers: tuple[str, ...]
    image_share: np.ndarray
    box: tuple[float, float, float, float]
    method: str = ""
    model: str = ""
    scores: np.ndarray | None = None
    unknown_words: tuple[str, ...] = ()

    def on_image(self, layer: int, word: int) -> np.ndarray:
        """One map resampled bilinearly to the image's own pixels, (height, width) float32, zero outside `box`."""
        width, height = self.image.size
        left, top, right, bottom = self.box
        rows, columns = self.maps.shape[-2:]
        scale_x, scale_y = columns / (right - left), rows / (bottom - top)
        # A patch centre sits half a cell in; clamping at the border keeps the outer half cells filled.
        xs = np.clip((np.arange(width) + 0.5 - left) * scale_x - 0.5, 0, columns - 1)
        ys = np.clip((np.arange(height) + 0.5 - top) * scale_y - 0.5, 0, rows - 1)
        values = self.maps[layer, word]
        x0, y0 = np.floor(xs).astype(int), np.floor(ys).astype(int)
        x1, y1 = np.minimum(x0 + 1, columns - 1), np.minimum(y0 + 1, rows - 1)
        fx, fy = (xs - x0)[None, :], (ys - y0)[:, None]
        upper = values[y0][:, x0] * (1 - fx) + values[y0][:, x1] * fx
        lower = values[y1][:, x0] * (1 - fx) + values[y1][:, x1] * fx
        result = (upper * (1 - fy) + lower * fy).astype(np.float32)
        outside_x = (np.arange(width) + 1 <= left) | (np.arange(width) >= right)
        outside_y = (np.arange(height) + 1 <= top) | (np.arange(height) >= bottom)
        result[:, outside_x] = 0
        result[outside_y, :] = 0
        return result


@dataclass(frozen=True)
class Projection:
    """Points of a high-dimensional space laid out in two or three dimensions.

    coordinates (n, 2 or 3) float32 stand for the rows they were computed from. settings are the method's parameters as
    used. note is a sentence where something else was done than asked, for instance with too few points.
    """

    coordinates: np.ndarray
    method: str
    seed: int
    settings: dict[str, float | int | str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Neighbours:
    """The k nearest rows of each of q queries, the nearest first.

    indices (q, k) int64 are row numbers, cosines (q, k) float32 their cosine similarities with the query.
    """

    indices: np.ndarray
    cosines: np.ndarray
