"""How well a model's word maps point, in sentences, and the view in which they point best.

Figures of training.diffusion_grounding, which lie in grounding.json beside the weights of models that were measured.
"""

import json
from functools import cache
from pathlib import Path

from mmexplorer.explore.drawing_views import ALL_LAYERS, ALL_STEPS
from mmexplorer.explore.experiments import ASSETS

MODELS = ASSETS / "models"
KINDS = ("shape", "colour", "size")
ASKED = {"one thing": "one thing was", "two things": "two things were"}


def best_view(model: str, folder: Path = MODELS) -> tuple[str, str]:
    """Layers and steps, as `drawing_views` names them, in which the words of a model point best; all if unmeasured."""
    measured = _figures(folder / model / "grounding.json")
    if measured is None:
        return ALL_LAYERS, ALL_STEPS
    return measured["best"]["layers"], measured["best"]["steps"]


def pointing_sentences(model: str, folder: Path = MODELS) -> str:
    """How often the strongest place of a word's map touches the thing it names; "" where nobody has measured it."""
    measured = _figures(folder / model / "grounding.json")
    if measured is None:
        return ""
    layers, steps = best_view(model, folder)
    view = f"{layers} and {'all steps' if steps == ALL_STEPS else f'the {steps} of the steps'}"
    sentences = [
        f"Where {ASKED[things]} asked for, the strongest place of a word's map touches what it names for "
        f"{_shares(kinds, layers, steps)}."
        for things, kinds in measured["second half"].items()
        if kinds
    ]
    start = f"Measured on other pictures of this model, over {view}, with which the maps begin."
    return " ".join([start, *sentences])


def _shares(kinds: dict, layers: str, steps: str) -> str:
    """The shares of the words of each kind, and those of baselines on all of these words."""
    shares = [
        f"{kinds[kind]['views'][steps][layers]['pointing']:.0%} of {kinds[kind]['words']:,} {kind} words"
        for kind in KINDS
        if kind in kinds
    ]
    without = [f"{name} {figure['pointing']:.0%}" for name, figure in kinds["every word"]["baselines"].items()]
    return f"{', '.join(shares)} (without reading the word: {', '.join(without)})"


@cache
def _figures(file: Path) -> dict | None:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
