"""What is known of how well a view of attention points: figures of training.llava_grounding, told in sentences.

They lie beside a model's weights, and are measured anew with every model. Knows neither conversations nor maps.
"""

import json
from functools import cache
from pathlib import Path

from mmexplorer.explore.chat_views import default_range
from mmexplorer.explore.experiments import ASSETS

MODELS = ASSETS / "models"
NOT_MEASURED = (
    "{layers}, in the middle, are the default since words look at their objects there in studies of LLaVA-1.5; "
    "it was not measured for this model."
)


def default_reason(model: str, layer_count: int, view: str, folder: Path = MODELS) -> str:
    """Why a view begins with its default layers: how often its strongest patch touches the thing that a word names.

    view is a name in grounding.json, such as "attention" or "minus mean"; "" if that view has no figures there.
    """
    name = _range_name(*default_range(layer_count, model))
    measured = _figures(folder / model / "grounding.json")
    if measured is None:
        return NOT_MEASURED.format(layers=name.capitalize())
    answer = measured["kinds"]["answer"]
    figures = answer["views"].get(view, {}).get("figures", {})
    if name not in figures:
        return ""
    without = ", ".join(
        f"{chosen} {figure['pointing']:.0%}"
        for chosen, figure in answer["views"]["no model"]["figures"].items()
        if figure["pointing"]
    )
    best = answer["views"][view]["best"]
    other = "" if best == name else f" ({best}: {figures[best]['pointing']:.0%})"
    return (
        f"Measured on {measured['scenes']} other drawn scenes: in {name}, the default, the strongest patch touches the "
        f"thing that a word of the answer names for {figures[name]['pointing']:.0%} of {answer['words']:,} "
        f"words{other}. Without any model: {without}."
    )


def _range_name(first: int, last: int) -> str:
    return f"layer {first + 1}" if first == last else f"layers {first + 1}-{last + 1}"


@cache
def _figures(file: Path) -> dict | None:
    return json.loads(file.read_text()) if file.exists() else None
