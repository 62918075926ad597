"""A drawing as files: a PNG that remembers how it was made, and is read again; GIF, JSON and NumPy archive.

Checks what a file says as strictly as what is typed, but not what a model can take; knows no model.
"""

import io
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.figures.viewer import grounding_npz

PROGRAM = "mmexplorer"  # also the keyword of the text chunk
TEXTS, WHOLE = ("prompt", "negative_prompt", "scheduler", "model"), ("seed", "steps", "width", "height")
MOST_CHARACTERS = 20_000
MOST = 2**53 - 1  # a browser's numbers are exact up to here
GIF_SIDE = 256  # smaller pictures are enlarged, each pixel to a square
FRAME, LAST_FRAME = 120, 2000  # milliseconds


def drawing_png(drawing: Drawing) -> bytes:
    """The picture as PNG, pixel for pixel, with the settings and the program's name as JSON in a text chunk."""
    info = PngInfo()
    info.add_text(PROGRAM, json.dumps({"program": PROGRAM, **drawing.settings}))
    file = io.BytesIO()
    drawing.image.save(file, "png", pnginfo=info, optimize=True)
    return file.getvalue()


def read_settings(path: str | Path) -> dict:
    """The settings in a PNG of `drawing_png`; no pixel of it is decoded.

    Raises Refusal for every other file, and for settings that nobody could have typed.
    """
    path = Path(path)
    foreign = f"{path.name[:60]} holds no settings of a picture that was drawn here; use a PNG as this page saves it."
    try:
        with Image.open(path, formats=["PNG"]) as image:
            said = json.loads(image.info[PROGRAM], parse_constant=_no_number)
        if said["program"] != PROGRAM:
            raise Refusal(foreign)
        settings = {name: said[name] for name in (*TEXTS, *WHOLE, "guidance", "revision")}
    except Refusal:
        raise
    # Decoders and parsers fail with whatever they met, down to RecursionError.
    except Exception as error:
        raise Refusal(foreign) from error
    wrong = [name for name, value in settings.items() if not _fits(name, value)]
    if wrong:
        raise Refusal(f"{path.name[:60]} says something impossible about its {wrong[0].replace('_', ' ')}.")
    return {name: _sendable(value) for name, value in settings.items()}


def previews_gif(drawing: Drawing) -> bytes:
    """The predicted picture after each step, and the picture itself, which stays for a while before all begins anew."""
    width, height = drawing.image.size
    factor = max(1, math.ceil(GIF_SIDE / max(width, height)))
    size = width * factor, height * factor
    frames = [
        picture.convert("RGB").resize(size, Image.Resampling.NEAREST).quantize(256)
        for picture in (*drawing.previews, drawing.image)
    ]
    file = io.BytesIO()
    durations = [FRAME] * len(drawing.previews) + [LAST_FRAME]
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=durations, loop=0, disposal=2)
    return file.getvalue()


def drawing_facts(drawing: Drawing) -> dict:
    """Everything that is said about a drawing, as plain values for JSON; pictures and maps are left out."""
    return {
        "program": PROGRAM,
        "settings": dict(drawing.settings),
        "ended": drawing.ended,
        "seconds": drawing.seconds,
        "remarks": list(drawing.remarks),
        "tokens": list(drawing.tokens),
        "words": [{"text": word.text, "tokens": list(word.tokens)} for word in drawing.words],
        "unknown_words": list(drawing.unknown_words),
        "steps": [
            {
                "number": step.number,
                "timestep": step.timestep,
                "noise_level": step.noise_level,
                "seconds": step.seconds,
            }
            for step in drawing.steps
        ],
        "stages": [
            {
                "name": stage.name,
                "shape": list(stage.shape),
                "parameters": stage.parameters,
                "seconds": stage.seconds,
                "note": stage.note,
            }
            for stage in drawing.stages
        ],
    }


def maps_npz(drawing: Drawing) -> bytes:
    """The word maps of `drawing.grounding` as `figures.viewer.grounding_npz`, and those of every step.

    step_maps_0, step_maps_1 and so on (steps, words, rows, columns) float16 belong to the layers in their order.
    """
    maps = {f"step_maps_{i}": values for i, values in enumerate(drawing.word_maps.maps)}
    numbers = {name: np.array([getattr(step, name) for step in drawing.steps]) for name in ("timestep", "noise_level")}
    return grounding_npz(drawing.grounding, **maps, **numbers)


def _no_number(text: str):
    raise ValueError(f"{text} is no number.")


def _fits(name: str, value) -> bool:
    if name == "revision":
        return value is None or isinstance(value, str)
    if name in TEXTS:
        return isinstance(value, str) and len(value) <= MOST_CHARACTERS
    kinds = (int,) if name in WHOLE else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value <= MOST


def _sendable(value):
    """Half of a surrogate pair, which JSON can spell, cannot be sent to a page."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
