"""Batches of drawn pictures and captions for contrastive training, in three regimes of coverage.

Training has two stages. "words" goes from single large things to scenes of every kind, and is the same for everyone,
since it keeps to what all regimes draw. Then most of each batch are twins: two pictures that differ in one fact
which their captions state (whose colour, which side, how many, which is large). Twins are real pictures with true
captions. They make such facts worth learning within minutes, but only to a model that knows shapes and colours.
"""

import io
import random
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from mmexplorer.toyworld.captions import Caption, caption, loosened, naming, relational
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import CANVAS, RADII, Rules, Sampler, Scene, Thing, rng_for
from mmexplorer.toyworld.splits import arrangement_is_seen, pair_is_seen, swap_is_kept
from mmexplorer.training.clip_naming import patch_names

REGIMES = ("words", "full", "withheld", "hard-negatives")
COLOURS_FIRST = 0.33  # share of the second stage in which most twins exchange colours
CALM = 0.15  # share of the first stage after which calm single things begin to give way


@dataclass(frozen=True)
class Batch:
    """Pictures (n, 64, 64, 3) uint8, one caption each, and captions that are wrong for every picture.

    names are the patches' names (see `clip_naming`).
    """

    pictures: np.ndarray
    captions: list[str]
    negatives: list[str]
    names: np.ndarray


def batch(regime: str, step: int, size: int, progress: float = 1.0) -> Batch:
    """The batch of a training step: the same for the same arguments, so that a run can resume.

    progress in [0, 1] is how far the run has come; it sets how hard the pictures of "words" are, and which twins come.
    """
    rng = rng_for(f"clip {regime}", step)
    sampler = Sampler(rng, Rules(swaps="all" if regime == "full" else "kept"))
    examples = _words(sampler, size, progress) if regime == "words" else _sentences(sampler, size, progress)
    negatives: list[str] = []
    if regime == "hard-negatives":
        negatives = [text for scene, _ in examples if (text := _swapped_caption(scene, rng))][: size // 4]
    scenes = [scene for scene, _ in examples]
    captions = [written.text for _, written in examples]
    return Batch(augment(render(scenes), rng), captions, negatives, patch_names(scenes))


def _words(sampler: Sampler, size: int, progress: float) -> list[tuple[Scene, Caption]]:
    """Large, calm single things at first; then also small, noisy, many and written ones; then scenes of every kind."""
    rng, examples = sampler.rng, []
    while len(examples) < size:
        fate = rng.random() * 3 * CALM
        if fate > progress:
            thing = sampler.thing(*sampler.name(), "large", fill="solid", stretch=rng.uniform(0.9, 1.4))
            scene = sampler.dress(sampler.place([thing]), "single")
            examples += [(scene, naming(scene, rng, (0,)))] * (scene.style == "plain")
        elif fate > progress - CALM:
            scene = sampler.scene(rng.choices(("single", "group", "word"), weights=(75, 10, 15))[0])
            examples.append((scene, loosened(scene, rng)))
        elif rng.random() < 0.7:
            scene = sampler.scene()
            examples.append((scene, loosened(scene, rng)))
        else:
            examples += _TWINS[rng.choice(("side", "count", "size"))](sampler)
    return examples[:size]


def _sentences(sampler: Sampler, size: int, progress: float) -> list[tuple[Scene, Caption]]:
    """Scenes of every kind, and seven tenths twins: first mostly whose colour, then mostly which side and how many."""
    rng, examples = sampler.rng, []
    while len(examples) < 0.3 * size:
        scene = sampler.scene()
        examples.append((scene, loosened(scene, rng)))
    while len(examples) < size:
        examples += _TWINS[
            rng.choices(tuple(_TWINS), weights=(45, 28, 20, 7) if progress < COLOURS_FIRST else (14, 46, 33, 7))[0]
        ](sampler)
    return examples[:size]


def augment(pictures: np.ndarray, rng: random.Random) -> np.ndarray:
    """Photometric noise, blur and JPEG artefacts on half of the pictures, as other programs and cameras leave them."""
    noise = np.random.default_rng(rng.getrandbits(32))
    pictures = pictures.copy()
    height, width = pictures.shape[1:3]
    for i in range(len(pictures)):
        fate = rng.random()
        if fate < 0.12:
            data = io.BytesIO()
            Image.fromarray(pictures[i]).save(data, "JPEG", quality=rng.randint(25, 80))
            pictures[i] = np.asarray(Image.open(data))
        elif fate < 0.24:
            side = rng.randint(34, 56)
            size = (width * side // CANVAS, height * side // CANVAS)
            small = Image.fromarray(pictures[i]).resize(size, Image.Resampling.BILINEAR)
            pictures[i] = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
        elif fate < 0.4:
            gain, offset = rng.uniform(0.8, 1.15), rng.uniform(-18, 18)
            pictures[i] = np.clip(pictures[i] * gain + offset, 0, 255)
        elif fate < 0.5:
            pictures[i] = np.clip(pictures[i] + noise.normal(0, rng.uniform(3, 16), pictures[i].shape), 0, 255)
    return pictures


def swapped(scene: Scene) -> Scene:
    """The scene with the colours of its first two things exchanged."""
    a, b, *rest = scene.things
    return replace(scene, things=(_coloured(a, b), _coloured(b, a), *rest))


def _coloured(thing: Thing, like: Thing) -> Thing:
    return replace(thing, colour=like.colour, rgb=like.rgb)


def can_swap(scene: Scene) -> bool:
    """Whether the scene has two named things whose colours could be exchanged within the seen pairs."""
    if scene.kind != "pair":
        return False
    (a, b) = scene.things
    if a.colour == b.colour or a.shape == b.shape:
        return False
    return pair_is_seen(a.colour, b.shape) and pair_is_seen(b.colour, a.shape)


def _swapped_caption(scene: Scene, rng: random.Random) -> str:
    """A caption of the withheld twin, which is never true in this regime; "" where there is none."""
    if not can_swap(scene):
        return ""
    a, b = scene.things
    assert swap_is_kept((a.colour, a.shape), (b.colour, b.shape))
    return naming(swapped(scene), rng, tuple(rng.sample((0, 1), 2))).text


def _swap_twins(sampler: Sampler) -> list[tuple[Scene, Caption]]:
    """Whose colour: a pair and, where the regime draws it, its swap; else two unrelated pairs."""
    rng = sampler.rng
    while True:
        first, second = sampler.names(2)
        scene = sampler.dress(sampler.pair(first, second), "pair")
        if can_swap(scene):
            break
    drawn = sampler.rules.swaps == "all"
    other = swapped(scene) if drawn else sampler.dress(sampler.pair(*sampler.names(2)), "pair")
    return [(s, naming(s, rng, tuple(rng.sample((0, 1), 2)))) for s in (scene, other)]


def _side_twins(sampler: Sampler) -> list[tuple[Scene, Caption]]:
    """Which side: a pair and the same pair with places exchanged."""
    rng = sampler.rng
    while True:
        scene = sampler.dress(sampler.pair(*sampler.names(2)), "pair")
        a, b = scene.things
        if a.radius > RADII["medium"][1] or b.radius > RADII["medium"][1]:
            continue  # a large thing may not fit in the other's place
        if not all(arrangement_is_seen(r, a.shape, b.shape) for r in ("left", "right", "above", "below")):
            continue  # the twin would show what is held out
        other = replace(scene, things=(replace(a, x=b.x, y=b.y), replace(b, x=a.x, y=a.y)))
        order = rng.sample((0, 1), 2)
        said = [relational(s, rng, *order) for s in (scene, other)]
        if all(said):
            return list(zip((scene, other), said, strict=True))


def _count_twins(sampler: Sampler) -> list[tuple[Scene, Caption]]:
    """How many: the same things in two numbers."""
    rng = sampler.rng
    name = sampler.name()
    counts = rng.sample(sampler.rules.counts, 2)
    scenes = [sampler.dress(sampler.group(count, name), "group") for count in counts]
    return [(s, caption(s, rng, "counting")) for s in scenes]


def _size_twins(sampler: Sampler) -> list[tuple[Scene, Caption]]:
    """Which one is large: two things with their sizes exchanged."""
    rng = sampler.rng
    names = sampler.names(2)
    examples = []
    for sizes in (("small", "large"), ("large", "small")):
        things = [sampler.thing(*name, size) for name, size in zip(names, sizes, strict=True)]
        scene = sampler.dress(sampler.place(things), "pair")
        examples.append((scene, naming(scene, rng, tuple(rng.sample((0, 1), 2)), sizes=True)))
    return examples


_TWINS = {"swap": _swap_twins, "side": _side_twins, "count": _count_twins, "size": _size_twins}
