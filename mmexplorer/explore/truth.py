"""What is really in a drawn picture: its things and masks, found again by the picture's pixels.

Example pictures have a file of annotations beside them, and drawn scenes bring their own. A visitor's own picture has
no truth, and then there are no masks.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer.toyworld.reference import referents
from mmexplorer.toyworld.renderer import annotate, render
from mmexplorer.toyworld.scenes import CANVAS, Look, Sampler, Scene, Thing, rng_for

DRAWN_SIDE = 256  # drawn scenes are shown at this size, each of their 64 x 64 or 128 x 128 pixels as a square


@dataclass(frozen=True)
class Truth:
    """The things of one picture and their masks (k, height, width) at its size."""

    things: tuple[Thing, ...]
    masks: np.ndarray

    def mask_of(self, phrase: str) -> np.ndarray | None:
        """The mask of everything that a phrase describes, or None if it describes nothing here."""
        meant = referents(phrase, self.things)
        return self.masks[list(meant)].any(axis=0) if meant else None

    def masks_of(self, phrases: Sequence[str]) -> dict[str, np.ndarray]:
        """The masks of those phrases that describe something here."""
        found = {phrase: self.mask_of(phrase) for phrase in phrases}
        return {phrase: mask for phrase, mask in found.items() if mask is not None}


def draw_scene(seed: int | None = None, kind: str | None = None, side: int = CANVAS) -> tuple[Image.Image, Truth]:
    """A new drawn picture with its truth, from a seed or at random; never one that a toy model was trained on.

    Its canvas has side x side pixels, of which things take as many as ever.
    """
    seed = random.randrange(2**32) if seed is None else seed
    return picture_of(Sampler(rng_for("visitor", seed), canvas=(side, side)).scene(kind))


def picture_of(scene: Scene) -> tuple[Image.Image, Truth]:
    """A scene's picture, enlarged without smoothing, and its truth at that size."""
    factor = DRAWN_SIDE // max(scene.canvas)
    pixels = render([scene])[0].repeat(factor, axis=0).repeat(factor, axis=1)
    masks = [a.mask.repeat(factor, axis=0).repeat(factor, axis=1) for a in annotate(scene)]
    return Image.fromarray(pixels), Truth(scene.things, np.stack(masks))


def save_truth(path: Path, truth: Truth) -> None:
    """Writes things and masks beside a picture: NAME.json, and NAME.mask.png, where thing k has the value k + 1."""
    owner = np.zeros(truth.masks.shape[1:], np.uint8)
    for index, mask in enumerate(truth.masks):
        owner[mask] = index + 1
    Image.fromarray(owner).save(path.with_suffix(".mask.png"), optimize=True)
    things = [asdict(thing) for thing in truth.things]
    path.with_suffix(".json").write_text(json.dumps(things, indent=1) + "\n", encoding="utf-8")


def load_truth(path: Path) -> Truth | None:
    """The truth beside a picture's file, or None if there is none."""
    file = path.with_suffix(".json")
    if not file.is_file():
        return None
    things = []
    for data in json.loads(file.read_text(encoding="utf-8")):
        data["look"], data["rgb"] = Look(**data["look"]), tuple(data["rgb"])
        things.append(Thing(**data))
    owner = np.asarray(Image.open(path.with_suffix(".mask.png")))
    return Truth(tuple(things), np.stack([owner == index + 1 for index in range(len(things))]))
