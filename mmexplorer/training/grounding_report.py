"""Do the heatmaps tell the truth? Each method against the masks of held-out scenes, and against two baselines.

`python -m mmexplorer.training.grounding_report` prints pointing game and IoU (see `figures.viewer`) of every method,
with and without contrast, on single objects and on pairs; the best on pairs should be `methods.DEFAULT`. "centre"
always points at the middle of the picture, "random" at a random patch.
"""

import argparse
from collections import defaultdict

import numpy as np
from PIL import Image

from mmexplorer import methods
from mmexplorer.explore.zero_shot import ground_labels
from mmexplorer.figures.viewer import ground_truth_score
from mmexplorer.results import Grounding
from mmexplorer.toyworld.renderer import annotate, render
from mmexplorer.toyworld.scenes import Sampler, Scene, rng_for

KINDS = ("single", "pair")


def scenes(kind: str, count: int) -> list[Scene]:
    """Held-out scenes of one object or of two that do not cover or contain each other."""
    found, seed = [], 0
    while len(found) < count:
        scene = Sampler(rng_for(f"test grounding {kind}", seed)).scene(kind)
        seed += 1
        if all(annotation.mask.any() for annotation in annotate(scene)):
            found.append(scene)
    return found


def measure(
    kind: str, count: int, asked: list[tuple[str, bool]], model: str = "toy-clip"
) -> dict[str, dict[str, float]]:
    """Mean pointing game and IoU over all objects of `count` scenes, for (method, contrast) pairs and the baselines."""
    totals: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
    random = np.random.default_rng(0)
    for scene in scenes(kind, count):
        image = Image.fromarray(render([scene])[0])
        masks = [annotation.mask for annotation in annotate(scene)]
        labels = [f"a {thing.colour} {thing.shape}" for thing in scene.things]
        for method, contrast in asked:
            grounding = ground_labels(image, labels, model=model, method=method, contrast=contrast)
            scores = [_score(grounding, word, mask) for word, mask in enumerate(masks)]
            totals[method + (" with contrast" if contrast else "")] += scores
        shape = grounding.maps.shape[-2:]
        middle = -np.hypot(*(axis - (side - 1) / 2 for axis, side in zip(np.indices(shape), shape, strict=True)))
        for name, patches in (("centre", middle - middle.min()), ("random", random.random(shape))):
            baseline = _like(grounding, patches)
            totals[name] += [_score(baseline, 0, mask) for mask in masks]
    return {name: _mean(scores) for name, scores in totals.items()}


def _score(grounding: Grounding, word: int, mask: np.ndarray) -> tuple[bool, bool, float]:
    """Pointing game with the usual tolerance and without any, and IoU, of the method's answer."""
    hit, iou = ground_truth_score(grounding, -1, word, mask)
    return hit, ground_truth_score(grounding, -1, word, mask, tolerance=0)[0], iou


def _mean(scores: list[tuple[bool, bool, float]]) -> dict[str, float]:
    hits, strict, ious = (float(np.mean(column)) for column in zip(*scores, strict=True))
    return {"pointing": hits, "strict": strict, "iou": ious, "objects": len(scores)}


def _like(grounding: Grounding, patches: np.ndarray) -> Grounding:
    maps = patches[None, None].astype(np.float32)
    share = np.full((1, 1), np.nan)
    return Grounding(grounding.image, ("",), maps, ("baseline",), share, grounding.box)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m mmexplorer.training.grounding_report", description=__doc__)
    parser.add_argument("--model", default="toy-clip")
    parser.add_argument("--scenes", type=int, default=500, help="number of scenes of each kind (default: 500)")
    options = parser.parse_args(arguments)
    for kind in KINDS:
        asked = [
            (name, contrast) for name in methods.METHODS for contrast in (False, True)[: 1 if kind == "single" else 2]
        ]
        print(f"{kind}: pointing game, without tolerance, IoU, objects")
        for name, scores in measure(kind, options.scenes, asked, options.model).items():
            figures = "{pointing:6.3f} {strict:6.3f} {iou:6.3f} {objects:5d}".format(**scores)
            print(f"  {figures}  {name}")


if __name__ == "__main__":
    main()
