"""An experiment card as the text that a visitor reads above the inputs."""

import gradio as gr

from mmexplorer.explore.experiments import Card


def brief(card: Card | None) -> gr.Markdown:
    """What to predict, what to look for and, folded, why; without a card the text goes away."""
    if card is None:
        return gr.Markdown(visible=False)
    text = (
        f"### {card.title}\n**Predict.** {card.predict}\n\n**Run**, then look for: {card.look_for}\n\n"
        f"<details><summary>Explanation</summary>\n\n{card.explanation}\n\n*{card.source}*\n</details>"
    )
    return gr.Markdown(text, visible=True)
