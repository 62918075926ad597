"""A Grounding as the JSON that the browser's viewer draws, and as a NumPy archive.

Everything the viewer needs travels once, so that moving over words never asks the server. Knows neither Gradio nor
torch, and not how the maps were made; the drawing itself is in `mmexplorer/components/viewer.js`.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from mmexplorer.figures import viewer_fit
from mmexplorer.figures.inline import data_uri, float32_text, payload_text
from mmexplorer.results import Grounding

MAX_WORDS = 64
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
    masks: Mapping[str | int, np.ndarray] | None = None,
    *,
    layer: int = -1,
    axis: str = "Layer",
    quantity: str = "relevance",
    score_name: str = "cosine",
    caveat: str = CAVEAT,
    notes: Sequence[str] = (),
    max_words: int = MAX_WORDS,
    word: int | None = None,
    roles: Sequence[str] | None = None,
    layer_range: tuple[int, int] | None = None,
    segments: tuple[Sequence[str], np.ndarray] | None = None,
    sinks: Sequence[int] = (),
) -> str:
    """The value of the viewer component: one JSON string with picture, words, maps, layers and ground truth.

    masks gives, for some of the words, the boolean mask (height, width) of the image's pixels that the word means, by
    the word's text or, where a text repeats, by its index. layer is the one shown first; axis names what the layers
    are ("Layer", "Step"), quantity what the maps measure ("relevance", "attention"), score_name what
    `grounding.scores` are. notes are further sentences under the picture. word is shown first; without it the one that
    the visitor had chosen stays.

    roles, one per word ("question", "answer"), make the words two groups of flowing text. layer_range, first and last
    included, makes the layers a range whose mean is shown, beginning with that one. segments are names and the shares
    (L, W, S) of each word's whole attention that fell on the S segments of a conversation, drawn as a chart over the
    layers. sinks are the cells of the maps' grid, in reading order, that are marked as such.

    Maps are sent as uint8 with one float maximum per map, so a value is off by at most maximum / 510. The picture's
    longest side is at most 768 pixels. Beyond max_words the first are kept, beyond 40 layers 40 evenly spaced ones,
    beyond 4 MB of maps fewer layers (at least 12) and then a coarser grid; a note says so. Raises ValueError for maps
    that are negative or not finite, or for anything that does not fit words and layers.
    """
    words, layers = len(grounding.words), len(grounding.layers)
    _check(grounding, roles, layer_range, segments)
    shown = viewer_fit.kept_layers(grounding, min(words, max_words))
    kept = viewer_fit.subset(grounding, shown, max_words)
    maps, step = viewer_fit.joined(kept.maps)
    peaks = maps.max(axis=(2, 3), initial=0)
    gains = np.divide(255.0, peaks, out=np.zeros(peaks.shape), where=peaks > 0)[..., None, None]
    width, height = grounding.image.size

    def place(index: int) -> int:
        return int(np.abs(shown - range(layers)[index]).argmin()) if layers else 0

    payload = {
        "picture": _data_uri(grounding.image),
        "width": width,
        "height": height,
        "pixelated": max(width, height) <= PIXEL_ART_SIDE,
        "box": _rounded(np.array(grounding.box) / [width, height, width, height]),
        "words": kept.words,
        "layers": [_without_axis(name, axis) for name in kept.layers],
        "rows": maps.shape[2],
        "columns": maps.shape[3],
        "maps": base64.b64encode((maps * gains).round().astype(np.uint8).tobytes()).decode("ascii"),
        "peaks": _rounded(peaks),
        "shares": _rounded(kept.image_share),
        "scores": None if kept.scores is None else _rounded(kept.scores),
        "truth": [_truth(kept, i, (masks or {}).get(i, (masks or {}).get(text))) for i, text in enumerate(kept.words)],
        "layer": place(layer),
        "axis": axis,
        "quantity": quantity,
        "score_name": score_name,
        "method": grounding.method,
        "model": grounding.model,
        "caveat": caveat,
        "notes": [
            *_notes(grounding),
            *viewer_fit.fit_notes(grounding, len(shown), max_words, step),
            *_sink_notes(grounding.maps, sinks),
            *notes,
        ],
    }
    if word is not None:
        payload["word"] = min(word, len(kept.words) - 1)
    if roles is not None:
        payload["roles"] = list(roles[:max_words])
    if layer_range is not None:
        payload["range"] = [place(end) for end in layer_range]
    if segments is not None:
        names, shares = segments
        payload["segments"] = {"names": list(names), **float32_text(shares[shown, :max_words])}
    if len(sinks):
        grid = grounding.maps.shape[2:]
        payload["sinks"] = sorted({viewer_fit.joined_cell(int(cell), grid, step) for cell in sinks})
    return payload_text(payload)


def _check(
    grounding: Grounding,
    roles: Sequence[str] | None,
    layer_range: tuple[int, int] | None,
    segments: tuple[Sequence[str], np.ndarray] | None,
) -> None:
    shape = len(grounding.layers), len(grounding.words)
    if grounding.maps.ndim != 4 or grounding.maps.shape[:2] != shape:
        raise ValueError(f"maps {grounding.maps.shape} do not fit {shape[0]} layers and {shape[1]} words.")
    if not np.isfinite(grounding.maps).all() or grounding.maps.min(initial=0) < 0:
        raise ValueError("maps must be finite and non-negative.")
    if roles is not None and len(roles) != shape[1]:
        raise ValueError(f"{len(roles)} roles do not fit {shape[1]} words.")
    if layer_range is not None and not 0 <= layer_range[0] <= layer_range[1] < shape[0]:
        raise ValueError(f"the range {layer_range} does not fit {shape[0]} layers.")
    if segments is not None and segments[1].shape != (*shape, len(segments[0])):
        raise ValueError(
            f"segments {segments[1].shape} do not fit layers, words and names {(*shape, len(segments[0]))}."
        )


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


def grounding_npz(grounding: Grounding, **further: np.ndarray) -> bytes:
    """A compressed NumPy archive of maps, words, layers, image_share, box, method, model and, where given, scores.

    further arrays, such as the words' roles, go in under their names. It opens with `numpy.load(file)` and needs no
    pickle; an array that would need one raises ValueError.
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
    np.savez_compressed(file, allow_pickle=False, **arrays, **further)
    return file.getvalue()


def _notes(grounding: Grounding) -> list[str]:
    """Sentences about what the viewer leaves out and what the model did not see or know."""
    notes = []
    width, height = grounding.image.size
    left, top, right, bottom = grounding.box
    if left > 0 or top > 0 or right < width or bottom < height:
        notes.append("Hatched: cropped away before the model saw the picture.")
    if grounding.unknown_words:
        notes.append(f"Words this model does not know: {', '.join(grounding.unknown_words)}.")
    return notes


def _sink_notes(maps: np.ndarray, sinks: Sequence[int]) -> list[str]:
    """A sentence about marked patches: they tell nothing about a word, and may have been taken out."""
    if not len(sinks):
        return []
    hidden = not maps.reshape(*maps.shape[:2], -1)[..., list(sinks)].any()
    patches = f"{len(sinks)} patches that draw" if len(sinks) > 1 else "a patch that draws"
    return [f"Ringed: {patches} attention whatever is said (attention sinks){', here set to zero' if hidden else ''}."]


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
    return data_uri(picture, "png") if max(picture.size) <= 256 else data_uri(picture, "jpeg", quality=88)


def _rounded(values: np.ndarray) -> list:
    """Nested lists of the values to six significant digits, None where a value is not finite."""
    if values.ndim:
        return [_rounded(value) for value in values]
    return float(f"{values:.6g}") if np.isfinite(values) else None
