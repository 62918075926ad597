"""Draws the example pictures of the text-to-image tab with the toy that ships, settings in their metadata.

`python -m mmexplorer.training.draw_examples` after every new training: the pictures are what the model draws, good or
bad, for seeds that nobody has picked.
"""

from mmexplorer.explore.drawing import draw
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.figures.drawing_file import drawing_png

FOLDER = ASSETS / "images" / "draw"
MODEL = "toy-diffusion"
PROMPTS = (
    "a large red circle",
    "a small yellow star",
    "a green heart",
    "three blue squares",
    "a red circle to the left of a blue square",
    "a purple moon above an orange cross",
    "a green triangle and a pink ring",
    "a red star, a blue circle and a yellow square",
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number, prompt in enumerate(PROMPTS, 1):
        *_, last = draw(prompt, model=MODEL, seed=number)
        name = f"{number}-{prompt.replace(',', '').replace(' ', '-')}.png"
        (FOLDER / name).write_bytes(drawing_png(last.drawing))


if __name__ == "__main__":
    main()
