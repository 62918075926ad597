"""Makes the toy world's collection: `python -m mmexplorer.training.toy_collection` (a few minutes).

Pictures with captions and what is in them, drawn from seeds that no model was trained on, with the vectors of every
toy CLIP and layouts computed before, so that the map is there before any model is loaded. To be run again whenever
the toy CLIPs change.
"""

import itertools
import shutil
from pathlib import Path

import pyarrow as pa

from mmexplorer.explore import layouts
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.explore.layouts import Layout
from mmexplorer.explore.picture_sources import Listing
from mmexplorer.toyworld.captions import caption
from mmexplorer.toyworld.scenes import Sampler, Scene, rng_for

FOLDER = ASSETS / "collections" / "toy-world"
MODELS = ("toy-clip", "toy-clip-withheld", "toy-clip-hard-negatives")
# More single things than training shows, so that the map has many small groups that can be named.
KINDS = {"single": 1_200, "pair": 480, "group": 240, "word": 200, "several": 160, "figure": 120}
SHIPPED = {
    "toy-clip": (Layout(), Layout(centred=True), Layout(dimensions=3)),
    "toy-clip-withheld": (Layout(),),
    "toy-clip-hard-negatives": (Layout(),),
}


def scenes(kinds: dict[str, int] = KINDS) -> dict[int, Scene]:
    """The first scenes of each kind by their seeds, in order; the location "toy:<seed>" draws the same."""
    left, found = dict(kinds), {}
    for seed in itertools.count():
        if not any(left.values()):
            return found
        drawn = Sampler(rng_for("collection", seed)).scene()
        if left.get(drawn.kind):
            left[drawn.kind] -= 1
            found[seed] = drawn


def listing(drawn: dict[int, Scene]) -> Listing:
    """Pictures with captions and annotations: colour, shape, size, kind of scene, number of things, style.

    Where things differ in colour, shape or size, the annotation is "several".
    """
    every = drawn.values()
    columns = {
        "name": [f"scene {seed}" for seed in drawn],
        "caption": [caption(s, rng_for("collection caption", seed), "full").text for seed, s in drawn.items()],
        "colour": [_common(s, "colour") for s in every],
        "shape": [_common(s, "shape") for s in every],
        "size": [_common(s, "size") for s in every],
        "kind": [s.kind for s in every],
        "things": [len(s.things) for s in every],
        "style": [s.style for s in every],
    }
    return Listing("Toy world", tuple(f"toy:{seed}" for seed in drawn), pa.table(columns), ())


def _common(scene: Scene, attribute: str) -> str:
    values = {getattr(thing, attribute) for thing in scene.things}
    return values.pop() if len(values) == 1 else "several"


def make(folder: Path = FOLDER, kinds: dict[str, int] = KINDS) -> None:
    """Writes the whole collection into a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    collection = Collection.open(listing(scenes(kinds)), model=MODELS[0])
    for model in reversed(MODELS):  # a collection opens with the model it was saved with last
        embedded = collection.with_model(model)
        embedded.save(folder, half=True)
        print(f"{model}: {len(embedded.images)} pictures, {len(embedded.texts)} captions", flush=True)
        layouts.save(folder, model, {wanted.key: layouts.lay_out(embedded, wanted) for wanted in SHIPPED[model]})


if __name__ == "__main__":
    make()
