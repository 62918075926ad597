"""Does a toy LLaVA's attention lie on what its words name? Every view and range of layers against the scenes' masks.

`python -m mmexplorer.training.llava_grounding FOLDER` lets the model answer about held-out scenes of one to three
things and scores the map of each word that names some of them: pointing game and IoU as `figures.viewer` defines
them, beside baselines that know nothing of the answer. It prints a table and writes grounding.json, with which
`explore.chat_views.LAYERS` should agree.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mmexplorer.explore.chat_views import PARTS, default_range, descriptions, ground, ground_rows
from mmexplorer.figures.viewer import ground_truth_score
from mmexplorer.models import attention_probe, llava, llava_probes
from mmexplorer.models.llava_answers import Answered, attention, first_query
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.replies import Attention, Turn
from mmexplorer.results import Grounding
from mmexplorer.toyworld.questions import Question, ask
from mmexplorer.toyworld.reference import referents
from mmexplorer.toyworld.renderer import annotate, render
from mmexplorer.toyworld.scenes import CANVAS, Sampler, Scene, rng_for

KINDS = ("describe", "colour", "shape")
MOST_THINGS = 3
MOST_TOKENS = 48
SCORES = ("pointing", "strict", "iou")
HEADS, VISION, BASELINES = "a single head", "the vision tower alone", "no model"  # views without ranges of layers
QUESTION, ANSWER, SEVERAL = "question", "answer", "of a picture with several things"


@dataclass(frozen=True)
class ObjectWord:
    """A word that names things: its kind, their mask (height, width), and its maps by view, each of one word.

    What the layers of a `Grounding` are differs from view to view: layers, heads of layers, or baselines.
    """

    kind: str
    mask: np.ndarray
    views: dict[str, Grounding]


def scenes(count: int, canvas: tuple[int, int] = (CANVAS, CANVAS)) -> Iterator[tuple[Scene, int]]:
    """Held-out scenes of at most three things, all of them to be seen, and the seed of each."""
    found = seed = 0
    while found < count:
        scene = Sampler(rng_for("llava test grounding", seed), canvas=canvas).scene()
        if len(scene.things) <= MOST_THINGS and all(a.mask.any() for a in annotate(scene)):
            found += 1
            yield scene, seed
        seed += 1


def object_words(
    chat: llava.LlavaChat, scene: Scene, question: Question, random: np.random.Generator
) -> tuple[list[ObjectWord], int]:
    """The words of question and answer that name things of the scene, and how many of the answer's name none there.

    A colour or a shape in a right answer means the things asked about; in a wrong one it names none.
    """
    image = Image.fromarray(render([scene])[0])
    turns = [Turn("user", question.text, [image])]
    prompt = chat.prompt(turns)
    generation = chat.generate(prompt, max_new_tokens=MOST_TOKENS)
    list(generation)
    said = Answered.of(prompt, generation)
    seen = attention(chat, said, [image])
    views = _views(chat, said, turns, seen) | {BASELINES: _baselines(seen, random)}
    masks, found, nowhere = [a.mask for a in annotate(scene)], [], 0
    answer = [word.text for word in seen.words if word.role == ANSWER]
    right = question.kind == "describe" or answer == [question.answer]
    for word, phrase in descriptions(seen).items():
        text, role = seen.words[word].text, seen.words[word].role
        named = referents(phrase, scene.things)
        if role == ANSWER and question.kind != "describe":
            named = question.about if right else ()
        if not named:
            nowhere += role == ANSWER
            continue
        own = {name: _of_word(view, word) for name, view in views.items()}
        if role == ANSWER:
            rows = llava_probes.gradient_rows(chat, said, seen.words[word].tokens)
            own["gradient x attention"] = ground_rows(seen, rows, own["attention"].layers, word=word)
        kind = _kind(role, question, last=text.lower() == phrase.split()[-1])
        found.append(ObjectWord(kind, np.any([masks[i] for i in named], axis=0), own))
    return found, nowhere


def _kind(role: str, question: Question, last: bool) -> str:
    if role == QUESTION:
        return QUESTION
    if question.kind == "describe":
        return "description: shape" if last else "description: colour"
    return f"{question.kind} asked for"


def _views(chat: llava.LlavaChat, said: Answered, turns: list[Turn], seen: Attention) -> dict[str, Grounding]:
    """The maps of all words by view."""
    neutral = llava_probes.neutral_rows(chat, said, turns)
    views = {
        "attention": ground(seen),
        "attention, max of heads": ground(seen, heads="max"),
        "minus mean": ground(seen, view="minus mean"),
        "relative": ground(seen, view="relative", neutral=neutral),
    }
    if seen.layouts[0].tile_grid:
        views |= {f"attention, {part}": ground(seen, part=part) for part in PARTS[1:]}
    image = llava_probes.image_positions(said.prompt)
    ids, first = said.sequence, first_query(said.prompt) + 1
    heads = attention_probe.replay(chat.model, said.cache, ids, first, keep="heads").heads[..., image]
    names = [f"layer {i + 1}, head {j + 1}" for i, j in np.ndindex(heads.shape[:2])]
    views[HEADS] = ground_rows(seen, heads.reshape(-1, *heads.shape[2:]), names)
    named, rows, _ = llava_probes.vision_rows(chat, said.prompt, 0)
    rows = rows.swapaxes(0, 1).reshape(-1, rows.shape[-1])
    names = [f"{name}, layer {i + 1}" for name in named for i in range(len(rows) // len(named))]
    padding = [(0, 0), (0, len(image) - rows.shape[1])]  # only the base view's patches come first
    views[VISION] = ground_rows(seen, np.pad(rows, padding), names, word=0, part="base")
    return views


def _baselines(seen: Attention, random: np.random.Generator) -> Grounding:
    """What can be said without a model: maps that are the same for every word."""
    whole = ground(seen)
    rows, columns = shape = whole.maps.shape[2:]
    distance = np.hypot(*(axis - (side - 1) / 2 for axis, side in zip(np.indices(shape), shape, strict=True)))
    pixels = np.asarray(whole.image, np.float32)
    height, width = (side - side % n for side, n in zip(pixels.shape[:2], shape, strict=True))
    # The background is the commonest colour of most pictures; the mean over a patch is the blur.
    contrast = np.abs(pixels - np.median(pixels, axis=(0, 1)))[:height, :width].sum(axis=-1)
    maps = {
        "a random patch": random.random(shape),
        "the centre": distance.max() - distance,
        "distance from the background's colour": contrast.reshape(rows, height // rows, columns, -1).mean(axis=(1, 3)),
        "everywhere": np.ones(shape),
    }
    stack = np.stack(list(maps.values()))[:, None].astype(np.float32)
    return replace(whole, words=("",), maps=stack, layers=tuple(maps), image_share=np.full((len(maps), 1), np.nan))


def _of_word(view: Grounding, word: int) -> Grounding:
    """The maps of one word; a view of one word is the same for all."""
    word = min(word, len(view.words) - 1)
    return replace(view, words=(view.words[word],), maps=view.maps[:, [word]], image_share=view.image_share[:, [word]])


def ranges(view: Grounding) -> Grounding:
    """The mean map of every range of layers, named "layer 2" or "layers 2-4", instead of the single layers."""
    count = len(view.layers)
    bounds = [(first, last) for first in range(count) for last in range(first, count)]
    maps = np.stack([view.maps[first : last + 1].mean(axis=0) for first, last in bounds])
    names = tuple(range_name(*bound) for bound in bounds)
    return replace(view, maps=maps, layers=names, image_share=np.full((len(names), 1), np.nan))


def range_name(first: int, last: int) -> str:
    """Layers count from 0 and are named from 1."""
    return f"layer {first + 1}" if first == last else f"layers {first + 1}-{last + 1}"


def scores(view: Grounding, mask: np.ndarray) -> np.ndarray:
    """Pointing game with half a patch of tolerance and with none, and IoU, of every layer: (layers, 3)."""
    found = []
    for layer in range(len(view.layers)):
        hit, iou = ground_truth_score(view, layer, 0, mask)
        found.append((hit, ground_truth_score(view, layer, 0, mask, tolerance=0)[0], iou))
    return np.array(found, np.float64)


def measure(chat: llava.LlavaChat, count: int, canvas: tuple[int, int] = (CANVAS, CANVAS)) -> dict:
    """All figures on `count` scenes as plain data: mean scores by kind of word, view and range of layers.

    Of every view the range that points best is named. "answer" are the words of all kinds that answers consist of.
    """
    names: dict[str, tuple[str, ...]] = {}
    found: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    nowhere, random = 0, np.random.default_rng(0)
    for scene, seed in scenes(count, canvas):
        rng = rng_for("llava test grounding questions", seed)
        for question in filter(None, (ask(scene, rng, kind) for kind in KINDS)):
            words, missing = object_words(chat, scene, question, random)
            nowhere += missing
            for word in words:
                for name, view in word.views.items():
                    view = view if name in (HEADS, VISION, BASELINES) else ranges(view)
                    score, names[name] = scores(view, word.mask), view.layers
                    for kind in _groups(word.kind, scene):
                        found[kind][name].append(score)
    kinds = {
        kind: {"words": len(views[BASELINES]), "views": {name: _figures(names[name], views[name]) for name in views}}
        for kind, views in sorted(found.items())
    }
    layers = chat.model.config.get_text_config().num_hidden_layers
    return {"scenes": count, "layers": layers, "words that name nothing there": nowhere, "kinds": kinds}


def _groups(kind: str, scene: Scene) -> list[str]:
    """The groups of words that a word is counted in. Where a picture has one thing only, pointing at it is no feat."""
    whole = QUESTION if kind == QUESTION else ANSWER
    return list(dict.fromkeys([kind, whole, *[f"{whole}, {SEVERAL}"] * (len(scene.things) > 1)]))


def _figures(names: tuple[str, ...], found: list[np.ndarray]) -> dict:
    means = np.mean(found, axis=0)
    every = {
        name: dict(zip(SCORES, row.round(4).tolist(), strict=True)) for name, row in zip(names, means, strict=True)
    }
    return {"best": names[int(means[:, 0].argmax())], "figures": every}


def table(result: dict, usual: str) -> str:
    """The figures to read: of each view the best range, the `usual` one and all layers, and pointing layer by layer."""
    count = result["layers"]
    layers = [range_name(layer, layer) for layer in range(count)]
    lines = ["pointing game, without tolerance, IoU"]
    for kind, found in result["kinds"].items():
        lines.append(f"{kind}: {found['words']} words")
        for view, (best, every) in ((name, values.values()) for name, values in found["views"].items()):
            shown = {"best": best, "the app's default": usual, "all": range_name(0, count - 1)}
            if view == BASELINES:
                shown = {name: name for name in every}
            for name, chosen in shown.items():
                if chosen in every:
                    line = "  {pointing:6.3f} {strict:6.3f} {iou:6.3f}  ".format(**every[chosen])
                    lines.append(f"{line}{view}, {name}" + (f" ({chosen})" if chosen != name else ""))
            if layers[0] in every:
                lines.append(f"{'layer by layer':>24} " + " ".join(f"{every[name]['pointing']:.2f}" for name in layers))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.llava_grounding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a finished model's folder")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--canvas", type=int, nargs=2, default=(CANVAS, CANVAS), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--output", type=Path, help="file for the figures (default: grounding.json in FOLDER)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads for the model")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    chat = llava.load(preset("toy-llava"), options.folder, CPU)
    result = measure(chat, options.scenes, tuple(options.canvas))
    print(table(result, range_name(*default_range(result["layers"], options.folder.name))))
    (options.output or options.folder / "grounding.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
