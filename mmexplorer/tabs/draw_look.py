"""Which word maps the viewer of the drawing tab shows: all steps together, a third of them, or the film strip's step.

It begins with the layers and the steps that point best where that was measured. Which layer is shown after that is the
viewer's own affair: it gets all of them at once.
"""

from dataclasses import replace

import gradio as gr
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.explore.drawing_truths import word_masks
from mmexplorer.explore.drawing_views import ALL_LAYERS, ALL_STEPS, STEP_RANGES, ground, steps_of
from mmexplorer.figures.viewer import viewer_payload
from mmexplorer.results import Grounding
from mmexplorer.tabs.draw_measured import best_view, pointing_sentences
from mmexplorer.tabs.event_numbers import number_of
from mmexplorer.tabs.shelf import Shelved

ONE = "one"
STEPS = [
    ("All steps together", ALL_STEPS),
    *((name.capitalize(), name) for name in STEP_RANGES[1:]),
    ("The film strip's step", ONE),
]
CAVEAT = (
    "Cross-attention shows where a word was read, not what it caused. To test it, change the word and draw again with "
    "the same seed."
)


def first_steps(model: str) -> str:
    """The value of STEPS to begin with: the steps in which the words of a model point best."""
    return best_view(model)[1]


def stepped(steps: str, drawing: Shelved[Drawing] | None, event: gr.EventData) -> tuple:
    """(step, viewer) when the film strip comes to rest at a step."""
    count = len(drawing.value.steps) if drawing else 0
    number = number_of(event, "number", count + 1)
    return number, payload(drawing.value, ONE, number) if steps == ONE else gr.skip()


def switched(steps: str, number: int | None, drawing: Shelved[Drawing] | None):
    """The viewer when other steps are asked for; without a step on the film strip so far ONE is the last."""
    if drawing is None:
        return gr.skip()
    return payload(drawing.value, steps, number)


def payload(drawing: Drawing, steps: str = ALL_STEPS, number: int | None = None, *, first: bool = False) -> str | None:
    """The viewer's value for one of STEPS, ONE being the step `number`, counted from 1; None for no word maps.

    first chooses a word to begin with; further views leave the visitor's choice alone.
    """
    if drawing.word_maps is None or not drawing.steps:
        return None
    number = number or len(drawing.steps)
    maps = _of_step(drawing, number) if steps == ONE else _of_range(drawing, steps)
    masks = word_masks(drawing, maps.words)
    outside = drawing.word_maps.outside
    notes = [
        f"Depending on the layer, {1 - max(outside):.0%} to {1 - min(outside):.0%} of the attention went to words; the "
        "rest to start and end marks, padding and, in some models, to the picture itself.",
        f"Step {number} alone, over the picture that was predicted after it."
        if steps == ONE
        else pointing_sentences(drawing.model),
    ]
    layer = best_view(drawing.model)[0]
    return viewer_payload(
        maps,
        masks,
        layer=maps.layers.index(layer if layer in maps.layers else ALL_LAYERS),
        quantity="attention",
        caveat=CAVEAT,
        notes=list(filter(None, notes)),
        word=_first_word(maps, masks) if first else None,
    )


def _of_range(drawing: Drawing, steps: str) -> Grounding:
    if steps == ALL_STEPS:
        return drawing.grounding
    return ground(drawing, steps_of(steps, len(drawing.steps)))


def _of_step(drawing: Drawing, number: int) -> Grounding:
    index = min(max(number, 1), len(drawing.previews)) - 1
    preview = drawing.previews[index].convert("RGB").resize(drawing.image.size, Image.Resampling.NEAREST)
    return replace(ground(drawing, slice(index, index + 1)), image=preview)


def _first_word(maps: Grounding, masks: dict) -> int:
    """The word to begin with: the last of the first thing that is in the picture, or the prompt's longest word."""
    if masks:
        first = min(masks)
        while first + 1 in masks:
            first += 1
        return first
    return max(range(len(maps.words)), key=lambda i: len(maps.words[i]))
