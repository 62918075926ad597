"""A Grounding as the JSON that the browser's viewer draws, and as a NumPy archive.

Everything the viewer needs travels once, so that moving over words never asks the server. Knows neither Gradio nor
torch, and not how the maps were made; the drawing itself is in `mmexplorer/components/viewer.js`.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from PIL import Image

from mmexplorer.figures.inline import payload_text
from mmexplorer.results import Grounding

MAX_WORDS = 64
MAX_LAYERS = 40
PICTURE_SIDE = 768
MASK_SIDE = 256
PIXEL_ART_SIDE = 128
TOLERANCE = 0.5  # patches
CAVEAT = (
    "Relevance is not proof of cause: a highlighted patch moved the score in this method's approximation. "
    "To test it, cover the patch and ask again."
)


def viewer_payload(
    grounding: Grounding,
    masks: Mapping[str, np.ndarray] | None = None,
    *,
    layer: int = -1,
    axis: str = "Layer",
    quantity: str = "relevance",
    score_name: str = "cosine",
    caveat: str = CAVEAT,
) -> str:
    """The value of the viewer component: one JSON string with picture, words, maps, layers and ground truth.

    masks gives, for some of the words, the boolean mask (height, width) of the image's pixels that the word means.
    layer is the one shown first; axis names what the layers are ("Layer", "Step"), quantity what the maps measure
    ("relevance", "attention"), score_name what `grounding.scores` are.

    Maps are sent as uint8 with one float maximum per map, so a value is off by at most maximum / 510. The picture's
    longest side is at most 768 pixels. Beyond 64 words the first 64 are kept, beyond 40 layers 40 evenly spaced ones,
    and a note says so. Raises ValueError for maps that are negative or not finite, or do not fit words and layers.
    """
    words, layers = len(grounding.words), len(grounding.layers)
    if grounding.maps.ndim != 4 or grounding.maps.shape[:2] != (layers, words):
        raise ValueError(f"maps {grounding.maps.shape} do not fit {layers} layers and {words} words.")
    if not np.isfinite(grounding.maps).all() or grounding.maps.min(initial=0) < 0:
        raise ValueError("maps must be finite and non-negative.")
    start = range(layers)[layer] if layers else 0
    shown = np.unique(np.linspace(0, layers - 1, min(layers, MAX_LAYERS)).round().astype(int))
    notes = _notes(grounding)
    kept = _subset(grounding, shown)
    peaks = kept.maps.max(axis=(2, 3), initial=0)
    steps = np.divide(255.0, peaks, out=np.zeros(peaks.shape), where=peaks > 0)[..., None, None]
    width, height = grounding.image.size
    payload = {
        "picture": _data_uri(grounding.image),
        "width": width,
        "height": height,
        "pixelated": max(width, height) <= PIXEL_ART_SIDE,
        "box": _rounded(np.array(grounding.box) / [width, height, width, height]),
        "words": kept.words,
        "layers": [_without_axis(name, axis) for name in kept.layers],
        "rows": kept.maps.shape[2],
        "columns": kept.maps.shape[3],
        "maps": base64.b64encode((kept.maps * steps).round().astype(np.uint8).tobytes()).decode("ascii"),
        "peaks": _rounded(peaks),
        "shares": _rounded(kept.image_share),
        "scores": None if kept.scores is None else _rounded(kept.scores),
        "truth": [_truth(kept, word, (masks or {}).get(text)) for word, text in enumerate(kept.words)],
        "layer": int(np.abs(shown - start).argmin()) if layers else 0,
        "axis": axis,
        "quantity": quantity,
        "score_name": score_name,
        "method": grounding.method,
        "model": grounding.model,
        "caveat": caveat,
        "notes": notes,
    }
    return payload_text(payload)


def ground_truth_score(
    grounding: Grounding, layer: int, word: int, mask: np.ndarray, tolerance: float = TOLERANCE
) -> tuple[bool, float]:
    """How well one map agrees with a boolean mask (height, width) of the image's pixels: (pointing game, IoU).

    Pointing game (Zhang et al. 2018, arXiv:1608.00507): the mask comes within `tolerance` patches of the centre of the
    strongest patch, in both directions; half a patch, so that the patch touches the object, stands for the 15 pixels
    of the paper, and 0 asks that the centre itself lies inside. A map without any contrast points nowhere and misses.
    IoU: intersection over union of the mask with the map's strongest pixels, as many as the mask has, so that no
    threshold has to be tuned; pixels equal to the last one kept are kept too, pixels at zero never. An empty mask
    raises ValueError.
    """
    area = int(mask.sum())
    if not area:
        raise ValueError("the mask is empty.")
    patches = grounding.maps[layer, word]
    row, column = np.unravel_index(int(patches.argmax()), patches.shape)
    left, top, right, bottom = grounding.box
    columns = _reach(column, tolerance, left, (right - left) / patches.shape[1], mask.shape[1])
    rows = _reach(row, tolerance, top, (bottom - top) / patches.shape[0], mask.shape[0])
    inside = bool(mask[rows, columns].any())
    pixels = grounding.on_image(layer, word)
    strongest = (pixels > 0) & (pixels >= np.partition(pixels, -area, axis=None)[-area])
    iou = (strongest & mask).sum() / (strongest | mask).sum()
    return inside and bool(patches.max() > patches.min()), float(iou)


def _reach(patch: int, tolerance: float, start: float, step: float, pixels: int) -> slice:
    """The pixels within `tolerance` patches of a patch's centre along one axis, at least the one under the centre."""
    first = int(start + (patch + 0.5 - tolerance) * step)
    last = int(np.ceil(start + (patch + 0.5 + tolerance) * step))
    return slice(max(first, 0), min(max(last, first + 1), pixels))


def grounding_npz(grounding: Grounding) -> bytes:
    """A compressed NumPy archive of maps, words, layers, image_share, box, method, model and, where given, scores.

    It opens with `numpy.load(file)` and needs no pickle.
    """
    arrays = {
        "maps": grounding.maps.astype(np.float32),
        "words": np.array(grounding.words, dtype=str),
        "layers": np.array(grounding.layers, dtype=str),
        "image_share": grounding.image_share.astype(np.float32),
        "box": np.array(grounding.box, dtype=np.float64),
        "method": np.array(grounding.method),
        "model": np.array(grounding.model),
    }
    if grounding.scores is not None:
        arrays["scores"] = grounding.scores.astype(np.float32)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _subset(grounding: Grounding, layers: np.ndarray) -> Grounding:
    """The given layers of the first 64 words."""
    return replace(
        grounding,
        words=grounding.words[:MAX_WORDS],
        layers=tuple(grounding.layers[layer] for layer in layers),
        maps=grounding.maps[layers, :MAX_WORDS],
        image_share=grounding.image_share[layers, :MAX_WORDS],
        scores=None if grounding.scores is None else grounding.scores[:MAX_WORDS],
    )


def _notes(grounding: Grounding) -> list[str]:
    """Sentences about what the viewer leaves out and what the model did not see or know."""
    notes = []
    width, height = grounding.image.size
    left, top, right, bottom = grounding.box
    if left > 0 or top > 0 or right < width or bottom < height:
        notes.append("Hatched: cropped away before the model saw the picture.")
    if grounding.unknown_words:
        notes.append(f"Words this model does not know: {', '.join(grounding.unknown_words)}.")
    if len(grounding.words) > MAX_WORDS:
        notes.append(f"Shown: the first {MAX_WORDS} of {len(grounding.words)} words.")
    if len(grounding.layers) > MAX_LAYERS:
        notes.append(f"Shown: {MAX_LAYERS} of {len(grounding.layers)} layers or steps, evenly spaced.")
    return notes


def _without_axis(name: str, axis: str) -> str:
    """ "layer 3" as "3": the viewer writes the axis in front of every layer's name."""
    shared = name.lower().startswith(f"{axis.lower()} ")
    return name[len(axis) + 1 :] if shared else name


def _truth(grounding: Grounding, word: int, mask: np.ndarray | None) -> dict | None:
    """The outline of a word's mask with its hit and IoU per layer; None without a mask or with an empty one.

    Masks larger than 256 pixels are scored and drawn at 256: the outline stays exact to the eye, the work bounded.
    """
    if mask is None:
        return None
    mask = np.asarray(mask, dtype=bool)
    width, height = grounding.image.size
    if mask.shape != (height, width):
        raise ValueError(f"a mask of {mask.shape} does not fit an image of {(height, width)}.")
    if max(width, height) > MASK_SIDE:
        shrink = MASK_SIDE / max(width, height)
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        mask = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) >= 128
        ratio = (size[0] / width, size[1] / height) * 2
        box = tuple(edge * factor for edge, factor in zip(grounding.box, ratio, strict=True))
        grounding = replace(grounding, image=Image.new("L", size), box=box)
    if not mask.any():
        return None
    scores = [ground_truth_score(grounding, layer, word, mask) for layer in range(len(grounding.layers))]
    return {
        "outline": _outline(mask),
        "size": grounding.image.size,
        "hits": [hit for hit, _ in scores],
        "ious": [round(iou, 4) for _, iou in scores],
    }


def _outline(mask: np.ndarray) -> str:
    """The border between a mask's pixels and the rest as SVG path data, in pixels: one stroke per straight run."""
    padded = np.pad(mask, 1)
    return _runs(padded[1:, 1:-1] != padded[:-1, 1:-1], "M{1} {0}H{2}") + _runs(
        (padded[1:-1, 1:] != padded[1:-1, :-1]).T, "M{0} {1}V{2}"
    )


def _runs(edges: np.ndarray, stroke: str) -> str:
    """Each row's runs of True in `edges` as strokes, formatted from (row, first, one past the last)."""
    changes = np.diff(np.pad(edges.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, firsts = np.nonzero(changes == 1)
    ends = np.nonzero(changes == -1)[1]
    return "".join(stroke.format(*run) for run in zip(rows, firsts, ends, strict=True))


def _data_uri(image: Image.Image) -> str:
    """The picture as a data URI: lossless PNG up to 256 pixels, otherwise JPEG with a longest side of at most 768."""
    picture = image.convert("RGB")
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    kind, options = ("PNG", {}) if max(picture.size) <= 256 else ("JPEG", {"quality": 88})
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _rounded(values: np.ndarray) -> list:
    """Nested lists of the values to six significant digits, None where a value is not finite."""
    if values.ndim:
        return [_rounded(value) for value in values]
    return float(f"{values:.6g}") if np.isfinite(values) else None
