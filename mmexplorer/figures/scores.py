"""Classifications of the same pictures and labels, one per model, as the payload of the score chart.

Knows which numbers the browser needs to recompute probabilities; knows nothing of bars, colours or Gradio.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmexplorer.figures.inline import float32_text, payload_text, picture_uri
from mmexplorer.results import Classification

THUMBNAIL = 96
WORDS_NAMED = 20
# 0.5 million numbers are 2.7 MB of text; beyond that the page would wait for a plot that nobody can read.
SPREAD_LIMIT = 500_000


def scores_payload(
    classifications: Sequence[Classification],
    *,
    names: Sequence[str] | None = None,
    thumbnails: Sequence[Image.Image] | None = None,
    picture_names: Sequence[str] | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """JSON for `components.scores`: labels, pictures, and per model the cosines and how they become probabilities.

    classifications: one per model, all with the same labels and n pictures. names: k model names (by default each
    classification's own). thumbnails: n pictures of any size. picture_names: n strings. remarks: sentences shown as a
    quiet note, to which the words unknown to each model are added. Raises ValueError where lengths disagree.
    """
    if not classifications:
        raise ValueError("scores_payload needs at least one classification.")
    labels = classifications[0].labels
    count = classifications[0].cosines.shape[0]
    if any(c.labels != labels or c.cosines.shape != (count, len(labels)) for c in classifications):
        raise ValueError("Classifications shown side by side need the same labels and pictures.")
    names = _of_length(names or [c.model or f"model {i + 1}" for i, c in enumerate(classifications)], classifications)
    pictures = range(count)
    picture_names = _of_length(picture_names or [f"picture {i + 1}" for i in pictures], pictures)
    thumbnails = _of_length(thumbnails or [None] * count, pictures)

    notes = list(remarks)
    for name, classification in zip(names, classifications, strict=True):
        if classification.unknown_words:
            notes.append(f"{name} does not know: {_listed(classification.unknown_words)}.")
        if _too_wide(classification):
            notes.append(f"{name}: too many numbers for the spread over templates; only their ensemble is shown.")
    return payload_text(
        {
            "labels": list(labels),
            "pictures": [
                {"name": name, "thumbnail": picture_uri(thumbnail, THUMBNAIL) if thumbnail is not None else None}
                for name, thumbnail in zip(picture_names, thumbnails, strict=True)
            ],
            "models": [_model(name, c) for name, c in zip(names, classifications, strict=True)],
            "remarks": notes,
        }
    )


def _model(name: str, classification: Classification) -> dict:
    spread = classification.template_cosines
    shown = spread is not None and len(spread) > 1 and not _too_wide(classification)
    return {
        "name": name,
        "logit_scale": float(classification.logit_scale),
        "logit_bias": float(classification.logit_bias),
        "activation": classification.activation,
        "templates": list(classification.templates),
        "cosines": float32_text(classification.cosines),
        "template_cosines": float32_text(np.asarray(spread)) if shown else None,
    }


def _too_wide(classification: Classification) -> bool:
    spread = classification.template_cosines
    return spread is not None and len(spread) > 1 and spread.size > SPREAD_LIMIT


def _listed(words: Sequence[str]) -> str:
    more = len(words) - WORDS_NAMED
    return ", ".join(words[:WORDS_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _of_length(values: Sequence, like: Sequence) -> list:
    if len(values) != len(like):
        raise ValueError(f"Expected {len(like)} names or pictures, got {len(values)}.")
    return list(values)
