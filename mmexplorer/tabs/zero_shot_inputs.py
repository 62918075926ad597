"""The zero-shot tab's inputs: what a visitor gave, as checked values, and what cards, scenes and examples fill in."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import experiments, recordings, truth, zero_shot
from mmexplorer.explore.labels import TEMPLATE_SETS, labels_from_text
from mmexplorer.pictures import open_picture
from mmexplorer.tabs.brief import brief
from mmexplorer.tabs.drawing import picture_of
from mmexplorer.tabs.truths import remembered

THUMBNAIL_SIDE = 96
FILLED = ("sources", "mode", "picture", "files", "labels", "templates", "template_set", "models", "truths")


@dataclass(frozen=True)
class Asked:
    """One question as put: pictures and their names, labels, templates and models, and remarks about the labels.

    Files stay on the disk, where they are opened a few at a time; only thumbnails of them are kept in memory.
    """

    pictures: tuple[str | Image.Image, ...]
    thumbnails: tuple[Image.Image, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    models: tuple[str, ...]
    remarks: tuple[str, ...]


def collect(mode, picture, drawing, files, typed, templates, models) -> Asked:
    """The inputs as a question; Refusal if a part is missing or cannot be read."""
    if not models:
        raise Refusal("No model is chosen; choose one above, such as Toy CLIP.")
    labels, remarks = zero_shot.clean_labels(labels_from_text(typed))
    pictures = _pictures(mode, picture, drawing, files)
    thumbnails = tuple(_thumbnail(source, name) for name, source in pictures.items())
    wordings = tuple(line.strip() for line in (templates or "").splitlines() if line.strip()) or ("{}",)
    zero_shot.check(labels, wordings)
    return Asked(tuple(pictures.values()), thumbnails, tuple(pictures), labels, wordings, tuple(models), remarks)


def _thumbnail(source: str | Image.Image, name: str) -> Image.Image:
    small = open_picture(source, name)
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return small


def _pictures(mode, picture, drawing, files) -> dict[str, str | Image.Image]:
    if mode == "draw":
        return {"drawing.png": picture_of(drawing)}
    if mode == "several":
        if not files:
            raise Refusal("There are no pictures yet; choose some files first.")
        if len(files) > zero_shot.MAX_PICTURES:
            raise Refusal(
                f"At most {zero_shot.MAX_PICTURES} pictures are scored at once, and there are {len(files):,}."
            )
        named: dict[str, str] = {}
        for number, path in enumerate(files, 1):
            name = Path(path).name
            named[name if name not in named else f"{number} {name}"] = path
        return named
    if not picture:
        raise Refusal("There is no picture yet; upload, paste or draw one first.")
    return {Path(picture).name: picture}


def filled(**values) -> tuple:
    """Values for some of FILLED; the others stay as they are."""
    return tuple(values.get(name, gr.skip()) for name in FILLED)


def new_scene(truths: dict) -> tuple:
    """Updates FILLED with a freshly drawn picture, and labels that fit and do not fit it."""
    picture, known = truth.draw_scene()
    names = list(dict.fromkeys(_named(thing) for thing in known.things))
    others = [
        label for label in ("a red circle", "a blue square", "a yellow star", "a green heart") if label not in names
    ]
    return filled(
        picture=picture,
        truths=remembered(truths, picture, known),
        labels="\n".join([*names, *others[: 4 - len(names)]]),
    )


def _named(thing) -> str:
    if thing.text:
        return f"the word {thing.text}"
    return f"{'an' if thing.colour[0] in 'aeiou' else 'a'} {thing.colour} {thing.shape}"


def fill_card(key: str, truths: dict) -> tuple:
    """The card's brief, then updates of FILLED; no card clears the brief and leaves the inputs."""
    card = next((card for card in experiments.cards("zero_shot") if card.key == key), None)
    if card is None:
        return brief(None), *filled()
    return brief(card), *_fill(card.paths, card.labels, card.templates, card.models, truths)


def fill_example(number: int, truths: dict) -> tuple:
    """Updates of FILLED for an example of the gallery."""
    example = recordings.recordings("zero_shot")[number]
    return _fill((example.path,), example.labels, example.templates, example.models, truths)


def fill_pictures(files: list[str]) -> tuple:
    """Updates of FILLED for pictures that another tab sends; everything but the pictures stays."""
    if len(files) == 1:
        return filled(sources=gr.Tabs(selected="picture"), mode="picture", picture=files[0])
    return filled(sources=gr.Tabs(selected="several"), mode="several", files=files)


def _fill(paths, labels, templates, models, truths: dict) -> tuple:
    for path in paths:
        truths = remembered(truths, open_picture(path), truth.load_truth(path))
    mode = "picture" if len(paths) == 1 else "several"
    return filled(
        sources=gr.Tabs(selected=mode),
        mode=mode,
        picture=str(paths[0]) if mode == "picture" else gr.skip(),
        files=[str(path) for path in paths] if mode == "several" else gr.skip(),
        labels="\n".join(labels),
        templates="\n".join(templates),
        template_set=next((name for name, options in TEMPLATE_SETS.items() if options == tuple(templates)), None),
        models=list(models),
        truths=truths,
    )
