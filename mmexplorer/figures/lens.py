"""What each patch of a picture says, layer by layer, as the payload of `components.lens`.

Words travel once, in a table; knows no model, and nothing of how it is drawn.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmexplorer.figures.inline import float32_text, payload_text, picture_uri
from mmexplorer.figures.tokens import visible

PICTURE_PIXELS = 768
PIXEL_ART_SIDE = 128


def lens_payload(
    words: np.ndarray | Sequence,
    probabilities: np.ndarray,
    layers: Sequence[str],
    image: Image.Image,
    box: tuple[float, float, float, float],
    grid: tuple[int, int],
    *,
    layer: int = -1,
    model: str = "",
) -> str:
    """JSON for `components.lens`: words (L, k, n) texts, the likeliest first, with probabilities (L, k, n).

    The k patches are a grid of (rows, columns) in reading order that covers box (left, top, right, bottom, in pixels
    of the image). layers are L names, layer the one shown first. Words that differ by spaces only count as one. Raises
    ValueError where these do not fit together.
    """
    words, chances = np.asarray(words, dtype=object), np.asarray(probabilities, dtype=np.float32)
    rows, columns = grid
    if words.ndim != 3 or words.shape != chances.shape or words.shape[:2] != (len(layers), rows * columns):
        raise ValueError(f"words {words.shape}, probabilities {chances.shape}, {len(layers)} layers and {grid} differ.")
    labels = [visible(str(word).strip(" ")) or "␣" for word in words.ravel()]
    table = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    numbers = np.array([table[label] for label in labels]).reshape(words.shape)
    width, height = image.size
    left, top, right, bottom = box
    return payload_text(
        {
            "model": model,
            "picture": picture_uri(image, PICTURE_PIXELS),
            "width": width,
            "height": height,
            "pixelated": max(width, height) <= PIXEL_ART_SIDE,
            "box": [left / width, top / height, right / width, bottom / height],
            "rows": rows,
            "columns": columns,
            "layers": list(layers),
            "layer": range(len(layers))[layer],
            "top": words.shape[2],
            "table": list(table),
            "words": float32_text(numbers),  # exact: a float32 holds every whole number below 2 ** 24
            "probabilities": float32_text(chances),
        }
    )
