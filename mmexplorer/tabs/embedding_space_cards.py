"""Experiment cards of the embedding tab: they set its controls, and the visitor presses the buttons."""

import gradio as gr

from mmexplorer.explore import experiments
from mmexplorer.tabs.brief import brief

CONTROLS = ("words", "minus", "among", "column", "centred", "near")


def fill(key: str) -> tuple:
    """The card's brief, its model, then values for CONTROLS; what the card does not name stays."""
    card = next((card for card in experiments.cards("embedding_space") if card.key == key), None)
    if card is None:
        return brief(None), gr.skip(), *(gr.skip() for _ in CONTROLS)
    return brief(card), card.models[0], *(card.settings.get(name, gr.skip()) for name in CONTROLS)
