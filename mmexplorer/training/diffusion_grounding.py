"""Do a toy Stable Diffusion's word maps lie on what the words name? Every layer and range of steps against the picture.

`python -m mmexplorer.training.diffusion_grounding FOLDER` draws held-out prompts of one thing and of two, reads the
pictures by the exact parser of `toyworld.grade`, and scores the map of each word whose thing is there in its shape and
colour: pointing game and IoU as `figures.viewer` defines them, beside baselines that know nothing of the word. The
layers and steps that point best are chosen on the first half of the pictures, so that the figures of the second half
are not fitted to them. It prints a table and writes grounding.json, which the drawing tab reads.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mmexplorer.drawings import Drawing
from mmexplorer.explore.drawing_truths import word_masks
from mmexplorer.explore.drawing_views import ALL_LAYERS, ALL_STEPS, STEP_RANGES, ground, steps_of
from mmexplorer.models import diffusion
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.results import Grounding
from mmexplorer.toyworld.reference import MEANINGS
from mmexplorer.training.diffusion_report import prompts
from mmexplorer.training.llava_grounding import SCORES, scores

MODEL = "toy-diffusion"
FORMS = {"one thing": ("single", "size"), "two things": ("two", "relation")}  # of diffusion_report.GROUPS
PROMPTS = 400  # of each number of things; half of them are for choosing
QUICK = 4
CLEARLY = 2
EVERY = "every word"
BASELINES = ("a random place", "the centre", "the place least like the background", "the map of its “a”")


@dataclass(frozen=True)
class ScoredWord:
    """A word whose thing was drawn: its kind, and its scores, the last axis being SCORES.

    views are (STEP_RANGES, layers, 3), baselines (BASELINES, 3). first_half says that it may be chosen on.
    """

    things: str
    first_half: bool
    kind: str
    views: np.ndarray
    baselines: np.ndarray


def drawn(painter: diffusion.Draws, prompt: str, seed: int) -> Drawing:
    """The prompt's picture with its word maps, by the model's own settings."""
    settings = {
        "steps": painter.steps,
        "guidance": painter.guidance,
        "seed": seed,
        "scheduler": painter.schedulers[0],
        "width": painter.size[0],
        "height": painter.size[1],
        "negative_prompt": "",
    }
    *_, last = painter.draw(prompt, settings)
    return replace(last.drawing, settings={"prompt": prompt, **settings}, model=MODEL)


def kind_of(word: str) -> str:
    """ "shape", "colour" or "size" for words that describe a thing, otherwise ""."""
    return MEANINGS.get(word.lower(), ("",))[0]


def score(drawing: Drawing, random: np.random.Generator) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Kind, scores by view and scores of the baselines, as `ScoredWord` has them, of each word that has a mask."""
    count = len(drawing.word_maps.maps[0])
    views = [ground(drawing, steps_of(name, count)) for name in STEP_RANGES]
    words = views[0].words
    for word, mask in word_masks(drawing, words).items():
        # In these prompts the nearest word before a thing that describes nothing is its "a" or "an".
        article = max(i for i in range(word) if not kind_of(words[i]))
        yield (
            kind_of(words[word]),
            np.stack([scores(_of_word(view, word), mask) for view in views]),
            scores(baselines(views[0], article, random), mask),
        )


def baselines(whole: Grounding, article: int, random: np.random.Generator) -> Grounding:
    """BASELINES as layers of one word, on the grid of a view; `article` is that word's place in it."""
    rows, columns = shape = whole.maps.shape[2:]
    distance = np.hypot(*(axis - (side - 1) / 2 for axis, side in zip(np.indices(shape), shape, strict=True)))
    pixels = np.asarray(whole.image.convert("RGB"), np.float32)
    contrast = np.abs(pixels - np.median(pixels, axis=(0, 1))).sum(axis=-1)
    contrast = contrast.reshape(rows, len(pixels) // rows, columns, -1).mean(axis=(1, 3))
    maps = [random.random(shape), distance.max() - distance, contrast, whole.maps[-1, article]]
    stack = np.stack(maps)[:, None].astype(np.float32)
    return replace(whole, words=("",), maps=stack, layers=BASELINES, image_share=np.full((len(maps), 1), np.nan))


def _of_word(view: Grounding, word: int) -> Grounding:
    return replace(view, words=(view.words[word],), maps=view.maps[:, [word]], image_share=view.image_share[:, [word]])


def measure(painter: diffusion.Draws, count: int) -> dict:
    """All figures on `count` prompts of one thing and as many of two, as plain data.

    "drawn" says how many pictures show all and how many some of what was asked for, "best" which layers and steps are
    `best` on the first half of the pictures, "all pictures" and "second half" the mean scores.
    """
    found: list[ScoredWord] = []
    shown: dict[str, dict[str, int]] = {}
    layers: tuple[str, ...] = ()
    random = np.random.default_rng(0)
    for things, forms in FORMS.items():
        shown[things] = {"prompts": 0, "all of it": 0, "some of it": 0}
        for form in forms:
            texts = prompts(form, count // len(forms))
            for number, text in enumerate(texts):
                drawing = drawn(painter, text, number)
                words = [ScoredWord(things, 2 * number < len(texts), *scored) for scored in score(drawing, random)]
                layers = (*drawing.word_maps.layers, ALL_LAYERS)
                right = sum(word.kind == "shape" for word in words)
                asked = sum(kind_of(word) == "shape" for word in drawing.word_maps.words)
                for name, hit in (("prompts", True), ("all of it", right == asked), ("some of it", right > 0)):
                    shown[things][name] += hit
                found += words
    return {
        "drawn": shown,
        "best": best([word for word in found if word.first_half], layers),
        "all pictures": figures(found, layers),
        "second half": figures([word for word in found if not word.first_half], layers),
    }


def best(words: Sequence[ScoredWord], layers: Sequence[str]) -> dict[str, str]:
    """The layers and steps in which most words point at their things; all of both unless others are clearly better.

    That is by more than CLEARLY standard errors: among so many views some are better by chance.
    """
    plain = {"layers": ALL_LAYERS, "steps": ALL_STEPS}
    if not words:
        return plain
    pointing = np.stack([word.views[..., 0] for word in words])
    steps, layer = np.unravel_index(pointing.mean(axis=0).argmax(), pointing.shape[1:])
    gains = pointing[:, steps, layer] - pointing[:, STEP_RANGES.index(ALL_STEPS), layers.index(ALL_LAYERS)]
    if gains.mean() <= CLEARLY * gains.std() / len(gains) ** 0.5:
        return plain
    return {"layers": layers[layer], "steps": STEP_RANGES[steps]}


def figures(words: Sequence[ScoredWord], layers: Sequence[str]) -> dict:
    """Mean scores by number of things, kind of word, steps and layers, and those of the baselines."""
    result: dict[str, dict] = {}
    for things in FORMS:
        chosen = [word for word in words if word.things == things]
        kinds = {kind: [word for word in chosen if word.kind == kind] for kind in ("shape", "colour", "size")}
        result[things] = {
            kind: {
                "words": len(some),
                "views": {
                    steps: _named(layers, np.mean([word.views[i] for word in some], axis=0))
                    for i, steps in enumerate(STEP_RANGES)
                },
                "baselines": _named(BASELINES, np.mean([word.baselines for word in some], axis=0)),
            }
            for kind, some in {**kinds, EVERY: chosen}.items()
            if some
        }
    return result


def _named(names: Sequence[str], means: np.ndarray) -> dict[str, dict[str, float]]:
    return {name: dict(zip(SCORES, row.round(4).tolist(), strict=True)) for name, row in zip(names, means, strict=True)}


def table(result: dict) -> str:
    """The figures to read: of each kind of word the best view, all layers by steps, all steps by layer, baselines."""
    lines = []
    for things, shown in result["drawn"].items():
        counts = ", ".join(f"{shown[name]} show {name}" for name in ("all of it", "some of it"))
        lines.append(f"{things}: of {shown['prompts']} pictures {counts}")
    chosen = result["best"]["steps"], result["best"]["layers"]
    lines.append(f"best in the first half of the pictures: steps {chosen[0]}, {chosen[1]}")
    for part in ("second half", "all pictures"):
        lines.append(f"{part}: pointing game, without tolerance, IoU")
        for things, kinds in result[part].items():
            for kind, found in kinds.items():
                views = found["views"]
                shown = {f"best: steps {chosen[0]}, {chosen[1]}": views[chosen[0]][chosen[1]]}
                shown |= {f"steps {steps}, {ALL_LAYERS}": views[steps][ALL_LAYERS] for steps in STEP_RANGES[1:]}
                shown |= {f"steps {ALL_STEPS}, {layer}": view for layer, view in views[ALL_STEPS].items()}
                shown |= found["baselines"]
                lines.append(f" {things}, {kind}: {found['words']} words")
                lines += ["  {pointing:6.3f} {strict:6.3f} {iou:6.3f}  ".format(**v) + n for n, v in shown.items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.diffusion_grounding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a finished model's folder")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help=f"of one thing and of two (default: {PROMPTS})")
    parser.add_argument("--quick", action="store_true", help=f"as --prompts {QUICK}: shows that it runs")
    parser.add_argument("--output", type=Path, help="file for the figures (default: grounding.json in FOLDER)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads for the model")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    painter = diffusion.load(preset(MODEL), options.folder, CPU)
    result = measure(painter, QUICK if options.quick else options.prompts)
    print(table(result))
    text = json.dumps(result, indent=1) + "\n"
    (options.output or options.folder / "grounding.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
