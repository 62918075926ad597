"""What fills the chat tab's inputs: drawn scenes, the canvas, examples and experiment cards."""

import gradio as gr
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import experiments, truth
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.pictures import open_picture
from mmexplorer.tabs.brief import brief
from mmexplorer.tabs.drawing import picture_of
from mmexplorer.tabs.status import toast
from mmexplorer.tabs.truths import remembered
from mmexplorer.toyworld.scenes import CANVAS

EXAMPLES = (
    ("red-circle-blue-square.png", "is the red circle to the left of the blue square?"),
    ("star-above-heart.png", "describe the picture"),
    ("three-yellow-stars.png", "how many stars are there?"),
    ("word-above-circle.png", "what is written here?"),
)
# Pixels of a drawn scene's side, where it is not CANVAS: what a model with tiles was trained on.
SIDES = {"toy-llava-next": 2 * CANVAS}
CONTROLS = ("model", "temperature", "top_p", "most")


def pictures() -> list[Image.Image]:
    """The examples' pictures."""
    return [Image.open(ASSETS / "images" / "chat" / name) for name, _ in EXAMPLES]


def example(number: int, truths: dict) -> tuple:
    """(strip, question, truths) of an example."""
    name, question = EXAMPLES[number]
    path = ASSETS / "images" / "chat" / name
    return [str(path)], question, remembered(truths, open_picture(path), truth.load_truth(path))


def new_scene(strip, truths: dict, model: str) -> tuple:
    """(strip, truths) with one more picture, freshly drawn in the size that suits the model."""
    picture, known = truth.draw_scene(side=SIDES.get(model, CANVAS))
    return [*(strip or ()), (picture, None)], remembered(truths, picture, known)


def drawn(strip, drawing) -> tuple:
    """(strip, sources) with the drawing among the pictures."""
    try:
        return [*(strip or ()), (picture_of(drawing), None)], gr.Tabs(selected="pictures")
    except Refusal as refusal:
        toast(refusal)
        return gr.skip(), gr.skip()


def fill_pictures(files: list[str]) -> tuple:
    """(strip, sources) for pictures that another tab sends, in the place of those that are there."""
    return files, gr.Tabs(selected="pictures")


def fill_card(key: str, truths: dict) -> tuple:
    """(brief, truths, values of the question and its pictures, values of CONTROLS); no card clears the brief only."""
    card = next((card for card in experiments.cards("chat") if card.key == key), None)
    if card is None:
        return brief(None), gr.skip(), {}, [gr.skip() for _ in CONTROLS]
    for path in card.paths:
        truths = remembered(truths, open_picture(path), truth.load_truth(path))
    values = {"strip": [str(path) for path in card.paths], "question": card.settings.get("question", "")}
    values |= {name: card.settings[name] for name in ("seed", "hidden") if name in card.settings}
    given = {"model": card.models[0], **card.settings}
    return brief(card), truths, values, [given.get(name, gr.skip()) for name in CONTROLS]
