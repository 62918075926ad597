"""How well a picture fits its prompt: CLIP's judgement, beside its judgement of the prompt's twin, and the exact grade.

The grade is for models of the toy world, whose pictures can be read without any model. Never imports torch itself.
"""

import threading
from dataclasses import dataclass

from PIL import Image

from mmexplorer import residency
from mmexplorer.drawings import Drawing
from mmexplorer.explore.drawing_twins import NO_TWIN, twin
from mmexplorer.lending import lent
from mmexplorer.presets import able, preset
from mmexplorer.toyworld.grade import grade
from mmexplorer.toyworld.prompts import Item
from mmexplorer.toyworld.recognise import Seen
from mmexplorer.toyworld.scenes import CANVAS

WEIGHT = 2.5
TOY_CLIP, CLIP = "toy-clip", "clip-vit-base-patch32"  # the latter is the one that the score was proposed with


@dataclass(frozen=True)
class ClipScore:
    """A caption's fit to the picture: cosine -1 to 1 of their embeddings, and the CLIP score 2.5 max(cosine, 0)."""

    caption: str
    cosine: float
    score: float


@dataclass(frozen=True)
class ExactGrade:
    """What a prompt asks for and a picture shows: statements and whether each is true, and things in words.

    exact says that all are true and nothing else is there.
    """

    lines: tuple[tuple[str, bool], ...]
    exact: bool
    asked: tuple[str, ...]
    seen: tuple[str, ...]


@dataclass(frozen=True)
class DrawingScores:
    """Scores of one picture. twin is None where the prompt has none, grade where the picture cannot be read.

    twin_kind says how the twin differs; remarks are sentences about what is missing or was not read.
    """

    clip: str
    prompt: ClipScore
    twin: ClipScore | None
    twin_kind: str
    grade: ExactGrade | None
    remarks: tuple[str, ...]


def default_clip(model: str) -> str:
    """The CLIP that judges pictures of a model unless another is asked for."""
    return TOY_CLIP if preset(model).tier == "toy" else CLIP


def score(drawing: Drawing, *, clip: str | None = None, stop: threading.Event | None = None) -> DrawingScores:
    """Scores a drawing against its prompt.

    The CLIP score is that of Hessel et al. 2021 (arXiv 2104.08718) for the bare prompt, without the words that they
    put before captions. The twin is that of `drawing_twins.twin`: a CLIP that reads a bag of words cannot tell it from
    the prompt. Raises Refusal for a model that does not embed, and hub.Stopped when `stop` is set while it waits.
    """
    prompt, clip = drawing.settings["prompt"], clip or default_clip(drawing.model)
    row = able(clip, "embeds")
    other, remarks = twin(prompt), []
    captions = [prompt, other.text] if other else [prompt]
    cosines, unknown, cut = _judged(clip, drawing.image, captions, stop)
    scores = [clip_score(caption, float(cosine)) for caption, cosine in zip(captions, cosines, strict=True)]
    if unknown:
        listed = ", ".join(f"“{word[:40]}”" for word in unknown[:5])
        remarks.append(f"{row.label} has no token for {listed}{' and others' if len(unknown) > 5 else ''}.")
    if any(cut):
        remarks.append(f"The prompt is longer than {row.label} reads, so its end does not count.")
    if drawing.ended != "end":
        remarks.append("The picture was stopped early, and is judged as it is.")
    if other is None:
        remarks.append(NO_TWIN)
    exact, why_not = _graded(drawing)
    return DrawingScores(
        clip=clip,
        prompt=scores[0],
        twin=scores[1] if other else None,
        twin_kind=other.kind if other else "",
        grade=exact,
        remarks=(*remarks, *why_not),
    )


@lent(5, model=lambda asked: asked["clip"])
def _judged(clip: str, image: Image.Image, captions: list[str], stop: threading.Event | None) -> tuple:
    """The captions' cosines with the picture, which of their words the model does not know, and which it cuts."""
    with residency.use(clip, stop) as judge:
        cosines = judge.embed_texts(captions) @ judge.embed_images([image])[0]
        return cosines, judge.unknown_words(captions), judge.truncated(captions)


def clip_score(caption: str, cosine: float) -> ClipScore:
    """The CLIP score of a cosine."""
    return ClipScore(caption, cosine, WEIGHT * max(cosine, 0.0))


def exact_grade(prompt: str, image: Image.Image) -> ExactGrade:
    """What a prompt of the toy world asks for, and what its picture shows."""
    found = grade(prompt, image)
    return ExactGrade(found.lines, found.exact, tuple(map(str, found.asked.items)), tuple(map(_said, found.seen)))


def _graded(drawing: Drawing) -> tuple[ExactGrade | None, tuple[str, ...]]:
    """The grade, or why there is none."""
    if preset(drawing.model).tier != "toy":
        return None, ()
    if min(drawing.image.size) % CANVAS:
        sides = f"{drawing.image.width} x {drawing.image.height}"
        return None, (f"No grade: pictures are read whose shorter side is a multiple of {CANVAS}, not {sides}.",)
    found = exact_grade(drawing.settings["prompt"], drawing.image)
    if not found.lines:
        return None, ("No grade: the prompt asks for no shape, colour or number of the toy world.",)
    return found, ()


def _said(thing: Seen) -> str:
    """A thing that was seen in words, with what could not be named left open."""
    if not thing.shape and not thing.colour:
        return "something without a name"
    return str(Item(thing.shape, thing.colour, thing.size))
