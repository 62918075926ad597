"""How one drawing came about, from prompt to picture, as the payload of `components.stages`.

Says in words what each stage does; knows no model, and nothing of how it is drawn.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from mmexplorer.drawings import Drawing, Stage
from mmexplorer.figures.film_strip import latent_pictures
from mmexplorer.figures.inline import data_uri, payload_text
from mmexplorer.figures.token_chips import token_chip

PICTURE_PIXELS = 160
MAX_CHIPS = 16
DECODER = "VAE decoder"
DOES = {
    "tokens": "The prompt in the pieces that the text encoder knows.",
    "text encoder": "A vector for each token, which depends on others too; a short prompt is padded.",
    "noise": "Random numbers; the seed decides which.",
    "UNet": "Removes the noise step by step; cross-attention looks up the text at every position.",
    "transformer": "Removes the noise step by step; attention looks up the text at every position.",
    "latent": "What is left when the noise is gone.",
    DECODER: "Turns the latent into pixels, a small square of them for each position.",
    "picture": "",
}


def stages_payload(drawing: Drawing, *, to_rgb: np.ndarray | None = None) -> str:
    """JSON for `components.stages`: the drawing's stages in order, with the latent and the picture in their places.

    share is a stage's part of the time of all stages that were timed. to_rgb is as in `film_strip_payload`.
    """
    timed = sum(stage.seconds or 0.0 for stage in drawing.stages)
    return payload_text(
        {
            "model": drawing.model,
            "seconds": float(drawing.seconds),
            "tokens": _chips(drawing),
            "stages": [
                _box(stage, timed, picture) for stage, picture in _with_results(drawing, _latents(drawing, to_rgb))
            ],
        }
    )


def _latents(drawing: Drawing, to_rgb: np.ndarray | None) -> list[Image.Image | None]:
    """The first latent, pure noise, and the last, clean one; in the colours of all latents between them."""
    if not drawing.steps:
        return [None, None]
    pictures = latent_pictures([*(step.latent for step in drawing.steps), drawing.steps[-1].clean], to_rgb)
    return [pictures[0], pictures[-1]]


def _with_results(drawing: Drawing, latents: list) -> Iterator[tuple[Stage, Image.Image | None]]:
    """Each stage with its picture, and the two results that no module has: the clean latent and the picture."""
    noise, clean = latents
    for stage in drawing.stages:
        if stage.name == DECODER and clean is not None:
            yield Stage("latent", drawing.steps[-1].clean.shape), clean
        yield stage, noise if stage.name == "noise" else None
    if drawing.stages:
        yield Stage("picture", drawing.image.size), drawing.image


def _box(stage: Stage, timed: float, picture: Image.Image | None) -> dict:
    return {
        "name": stage.name,
        "does": DOES.get(stage.name, ""),
        "shape": _shape_text(stage),
        "parameters": int(stage.parameters),
        "seconds": float(stage.seconds) if stage.seconds is not None else None,
        "share": stage.seconds / timed if stage.seconds is not None and timed else None,
        "note": stage.note,
        # Noise is not made from the text: the network takes both.
        "joined": stage.name == "noise",
        "picture": _uri(picture) if picture is not None else None,
    }


def _shape_text(stage: Stage) -> str:
    sizes = " × ".join(f"{size:,}" for size in stage.shape)
    unit = {"tokens": "token" if stage.shape == (1,) else "tokens", "picture": "pixels"}.get(stage.name, "numbers")
    return f"{sizes} {unit}" if sizes else ""


def _chips(drawing: Drawing) -> dict:
    """The first tokens as a reader expects them, with their kind, and how many more there are."""
    unknown = {word.casefold() for word in drawing.unknown_words}
    shown = [token_chip(token, unknown) for token in drawing.tokens[:MAX_CHIPS]]
    return {"shown": shown, "more": len(drawing.tokens) - len(shown)}


def _uri(picture: Image.Image) -> str:
    picture = picture.convert("RGB")
    if max(picture.size) <= PICTURE_PIXELS:
        return data_uri(picture, "png")
    picture.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS), Image.Resampling.LANCZOS)
    return data_uri(picture, "webp", quality=85)
