"""What fills the drawing tab's inputs: examples, experiment cards, and pictures that were drawn here before."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import gradio as gr
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import experiments
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.figures.drawing_file import read_settings
from mmexplorer.presets import preset
from mmexplorer.tabs import draw_facts
from mmexplorer.tabs.brief import brief
from mmexplorer.tabs.status import message, toast

PLAIN = ("prompt", "model", "seed")
FILLED = (*PLAIN, *draw_facts.OUTPUTS)
# What settings leave out is the model's own.
DEFAULTS = MappingProxyType(
    {"negative_prompt": "", "seed": 0, "scheduler": "", **dict.fromkeys(("steps", "guidance", "width", "height"))}
)


def filled(settings: Mapping) -> dict:
    """Values of FILLED for the settings of a drawing, of which prompt and model must be there."""
    said = {**DEFAULTS, **settings}
    values = {name: said[name] for name in (*draw_facts.NUMBERS, "scheduler")}
    controls = draw_facts.controls(said["model"], values | {"negative": said["negative_prompt"]})
    return {name: said[name] for name in PLAIN} | controls


def unchanged() -> dict:
    """Values of FILLED that leave all as it is."""
    return {name: gr.skip() for name in FILLED}


@cache
def examples() -> tuple[tuple[Image.Image, dict], ...]:
    """Pictures that were drawn by a model that ships with the app, with the settings that they remember."""
    files = sorted((ASSETS / "images" / "draw").glob("*.png"))
    return tuple((Image.open(file), read_settings(file)) for file in files)


def reopened(file: str) -> tuple[dict, str]:
    """(values of FILLED, status) for a file that somebody gave as a picture that was drawn here."""
    try:
        settings = read_settings(file)
        if "draws" not in preset(settings["model"]).abilities:
            raise Refusal(
                f"{preset(settings['model']).label} does not draw, yet this picture says that it came from it."
            )
    except Refusal as refusal:
        return unchanged(), toast(refusal)
    said = f"The settings of {Path(file).name[:60]} are filled in; Draw makes the same picture again."
    revision = preset(settings["model"]).revision
    if settings["revision"] != revision:
        said = f"The settings of {Path(file).name[:60]} are filled in; its model has changed since, so the picture may."
    return filled(settings), message(said)


def card_settings(key: str) -> tuple[gr.Markdown, dict | None]:
    """The card's brief and the settings that it asks for; without a card none, and the brief goes away."""
    card = next((card for card in experiments.cards("draw") if card.key == key), None)
    return brief(card), card and {"model": card.models[0], **card.settings}
