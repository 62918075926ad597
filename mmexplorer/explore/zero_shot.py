"""Zero-shot classification: which label fits which picture, and where in the picture it shows.

Checks what people typed, holds the model only while it runs, and never imports torch itself.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer import methods, residency
from mmexplorer.errors import Refusal
from mmexplorer.lending import lent
from mmexplorer.pictures import PictureSource, open_picture
from mmexplorer.results import Classification, Grounding, Trace, probabilities

MAX_PICTURES = 64
PICTURES_AT_ONCE = 8  # opened together; sixty-four photographs would fill gigabytes
MAX_LABELS = 1_000
MAX_TEMPLATES = 100
MAX_PROMPTS = 20_000  # labels x templates
MAX_CHARACTERS = 1_000  # of one label or template; far beyond any model's context
MAX_GROUNDED = 64  # labels with a heatmap at once

Pictures = PictureSource | Sequence[PictureSource]


def classify(
    images: Pictures, labels: Sequence[str], *, model: str = "toy-clip", templates: Sequence[str] = ("{}",)
) -> Classification:
    """Score n pictures against m labels: cosines (n, m) and probabilities (n, m).

    Each label is put into every template at its "{}"; a label's embedding is the renormalised mean of its prompts'
    unit embeddings (Radford et al. 2021, arXiv 2103.00020, section 3.1.4). labels are cleaned as `clean_labels` says.
    Raises Refusal for what cannot be read, is too much, or is missing.
    """
    labels = _labels(labels)
    return _classified(model, _sources(images), labels, _templates(templates, labels))


@lent(lambda asked: 5 + len(asked["sources"]) / 8 + len(asked["labels"]) * len(asked["templates"]) / 500)
def _classified(
    model: str, sources: list[tuple[PictureSource, str]], labels: tuple[str, ...], templates: tuple[str, ...]
) -> Classification:
    embeddings = []
    for start in range(0, len(sources), PICTURES_AT_ONCE):
        opened = [open_picture(source, name) for source, name in sources[start : start + PICTURES_AT_ONCE]]
        with residency.use(model) as clip:
            embeddings.append(clip.embed_images(opened))
    with residency.use(model) as clip:
        return _score(clip, np.concatenate(embeddings), labels, templates, model)[0]


def trace(
    image: PictureSource, labels: Sequence[str], *, model: str = "toy-clip", templates: Sequence[str] = ("{}",)
) -> Trace:
    """The five steps by which `classify` scores one picture, with this picture's own numbers."""
    opened, labels = open_picture(image), _labels(labels)
    return _traced(model, opened, labels, _templates(templates, labels))


@lent(lambda asked: 5 + len(asked["labels"]) * len(asked["templates"]) / 500)
def _traced(model: str, opened: Image.Image, labels: tuple[str, ...], templates: tuple[str, ...]) -> Trace:
    with residency.use(model) as clip:
        image_embeddings = clip.embed_images([opened])
        classification, text_embeddings = _score(clip, image_embeddings, labels, templates, model)
        seen, box = clip.seen(opened)
        prompts = tuple(tuple(_prompt(template, label) for template in templates) for label in labels)
        return Trace(
            seen=seen,
            box=box,
            patches=clip.patches,
            prompts=prompts,
            tokens=tuple(tuple(clip.tokens(prompt) for prompt in row) for row in prompts),
            image_embedding=image_embeddings[0],
            text_embeddings=text_embeddings,
            classification=classification,
        )


def ground_labels(
    image: PictureSource,
    labels: Sequence[str],
    *,
    model: str = "toy-clip",
    method: str = methods.DEFAULT,
    templates: Sequence[str] = ("{}",),
    contrast: bool = methods.CONTRAST,
) -> Grounding:
    """Heatmaps (L, m, rows, columns) of m labels over one picture; the last of the L layers is the method's answer.

    method is a key of `mmexplorer.methods.METHODS`. With contrast a map explains what sets a label apart from the
    other labels given, without it the label's cosine alone. Raises Refusal as `classify` does.
    """
    opened, labels = open_picture(image), _labels(labels)
    templates = _templates(templates, labels)
    if len(labels) > MAX_GROUNDED:
        raise Refusal(f"Heatmaps are drawn for at most {MAX_GROUNDED} labels at once, and there are {len(labels):,}.")
    return _grounded(model, opened, labels, method, templates, contrast)


@lent(lambda asked: 5 + len(asked["labels"]) / 2)
def _grounded(
    model: str, opened: Image.Image, labels: tuple[str, ...], method: str, templates: tuple[str, ...], contrast: bool
) -> Grounding:
    with residency.use(model) as clip:
        classification, text_embeddings = _score(clip, clip.embed_images([opened]), labels, templates, model)
        maps, layers, image_share = methods.ground(clip, opened, text_embeddings, method=method, contrast=contrast)
        return Grounding(
            image=opened,
            words=labels,
            maps=maps,
            layers=layers,
            image_share=image_share,
            box=clip.seen(opened)[1],
            method=method,
            model=model,
            scores=classification.cosines[0],
            unknown_words=classification.unknown_words,
        )


def clean_labels(labels: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels as they are scored, and remarks: one sentence for each thing that was changed.

    White space is trimmed and runs of it become one space, empty labels are dropped, and a repeated label is kept once
    (twice, it would halve its own softmax probability).
    """
    texts = _typed(labels)
    filled = [text for text in texts if text]
    counts = Counter(filled)  # keeps the order of first appearance
    remarks = []
    if empty := len(texts) - len(filled):
        remarks.append(f"{empty:,} empty label{'s were' if empty > 1 else ' was'} left out.")
    if repeated := [text for text, count in counts.items() if count > 1]:
        remarks.append(f"Given more than once and counted once: {_listed(repeated)}.")
    return tuple(counts), tuple(remarks)


def check(labels: Sequence[str], templates: Sequence[str]) -> None:
    """Raises the Refusal that `classify` would raise for these labels and templates, before any model is loaded."""
    _templates(templates, _labels(labels))


def cut_labels(
    labels: Sequence[str], *, model: str = "toy-clip", templates: Sequence[str] = ("{}",)
) -> tuple[str, ...]:
    """The labels whose prompts are longer than the model reads, so that their ends do not count."""
    labels = _labels(labels)
    return _cut(model, labels, _templates(templates, labels))


@lent(5, computes=False)
def _cut(model: str, labels: tuple[str, ...], templates: tuple[str, ...]) -> tuple[str, ...]:
    with residency.use(model) as clip:
        cut = [clip.truncated([_prompt(template, label) for label in labels]) for template in templates]
    return tuple(label for label, column in zip(labels, zip(*cut, strict=True), strict=True) if any(column))


def _score(
    clip, images: np.ndarray, labels: tuple[str, ...], templates: tuple[str, ...], model: str
) -> tuple[Classification, np.ndarray]:
    """The classification of embedded pictures (n, d), and the labels' ensemble embeddings (m, d)."""
    prompts = [_prompt(template, label) for template in templates for label in labels]
    texts = clip.embed_texts(prompts).reshape(len(templates), len(labels), -1)
    ensemble = texts.mean(axis=0)
    ensemble /= np.linalg.norm(ensemble, axis=-1, keepdims=True)
    cosines = images @ ensemble.T
    classification = Classification(
        labels=labels,
        cosines=cosines,
        probabilities=probabilities(cosines, clip.logit_scale, clip.logit_bias, clip.activation),
        logit_scale=clip.logit_scale,
        logit_bias=clip.logit_bias,
        activation=clip.activation,
        templates=templates,
        template_cosines=images @ texts.transpose(0, 2, 1),
        unknown_words=clip.unknown_words(prompts),
        model=model,
    )
    return classification, ensemble


def _prompt(template: str, label: str) -> str:
    return template.replace("{}", label)  # str.format would trip over braces in what people type


def _sources(images: Pictures) -> list[tuple[PictureSource, str]]:
    """The pictures, not opened yet, each with what an error calls it."""
    images = () if images is None else images
    sources = [images] if isinstance(images, str | Path | bytes | np.ndarray | Image.Image) else list(images)
    if not sources:
        raise Refusal("There is no picture yet; upload, paste or draw one first.")
    if len(sources) > MAX_PICTURES:
        raise Refusal(f"At most {MAX_PICTURES} pictures are scored at once, and there are {len(sources):,}.")
    nameless = len(sources) > 1
    return [
        (source, f"Picture {i + 1}" if nameless and not isinstance(source, str | Path) else "")
        for i, source in enumerate(sources)
    ]


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    cleaned, _ = clean_labels(labels)
    if not cleaned:
        raise Refusal("There are no labels yet; type at least one, such as: a red circle.")
    if len(cleaned) > MAX_LABELS:
        raise Refusal(f"At most {MAX_LABELS:,} labels are scored at once, and there are {len(cleaned):,}.")
    for label in cleaned:
        if len(label) > MAX_CHARACTERS:
            raise Refusal(
                f"The label {label[:30]!r}... has {len(label):,} characters; at most {MAX_CHARACTERS:,} count."
            )
    return cleaned


def _templates(templates: Sequence[str], labels: tuple[str, ...]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(_typed(templates)))
    if not unique:
        raise Refusal("There is no template; use {} for the bare label.")
    for template in unique:
        if template.count("{}") != 1:
            raise Refusal(f"The template {template[:60]!r} must contain {{}} exactly once, where the label goes.")
        if len(template) > MAX_CHARACTERS:
            raise Refusal(f"The template {template[:30]!r}... is longer than {MAX_CHARACTERS:,} characters.")
    if len(unique) > MAX_TEMPLATES or len(unique) * len(labels) > MAX_PROMPTS:
        raise Refusal(
            f"{len(unique):,} templates with {len(labels):,} labels are too much at once; the limits are "
            f"{MAX_TEMPLATES} templates and {MAX_PROMPTS:,} prompts."
        )
    return unique


def _typed(texts: Sequence[str | None] | str | None) -> list[str]:
    """Texts as people or tables give them: white space in order, None empty, and nothing that is not Unicode."""
    texts = () if texts is None else [texts] if isinstance(texts, str) else texts
    words = (("" if text is None else str(text)).encode("utf-8", "replace").decode().split() for text in texts)
    return [" ".join(word) for word in words]


def _listed(texts: Sequence[str], count: int = 5) -> str:
    shown = ", ".join(repr(text[:40]) for text in texts[:count])
    return f"{shown} and {len(texts) - count:,} more" if len(texts) > count else shown
