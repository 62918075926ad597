"""What a toy CLIP can and cannot do on held-out seeds: one figure a phenomenon, each with its number of samples.

Works for anything that embeds pictures and texts as unit rows; run `python -m mmexplorer.training.clip_report FOLDER`
to print a model's figures and write its report. Pictures come from the "test" split, whose seeds training never draws.
"""

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from mmexplorer.models.clip import load
from mmexplorer.placement import CPU
from mmexplorer.presets import preset
from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.captions import TEMPLATES, caption, naming
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Rules, Sampler, Scene, relation_between, rng_for
from mmexplorer.toyworld.splits import SEEN_COUNTS, arrangement_is_seen, pair_is_seen
from mmexplorer.training import foreign
from mmexplorer.training.clip_data import can_swap, swapped

EmbedImages = Callable[[Sequence[Image.Image]], np.ndarray]
EmbedTexts = Callable[[Sequence[str]], np.ndarray]
NAMES = [(colour, shape) for colour in words.COLOURS for shape in words.SHAPES]
ANY = Rules(pairs="any", arrangements="any")


@dataclass(frozen=True)
class Figure:
    """A share of `samples` trials, and what guessing would give."""

    value: float
    samples: int
    chance: float


class Report:
    """Measures one model; every method returns named figures."""

    def __init__(self, embed_images: EmbedImages, embed_texts: EmbedTexts, scale: float = 1.0):
        self.embed_images, self.embed_texts = embed_images, embed_texts
        self.scale = scale  # of every number of samples, for a quick look

    def count(self, samples: int) -> int:
        return max(4, round(samples * self.scale))

    def all(self) -> dict[str, Figure]:
        """Every figure, by name."""
        measures = (self.zero_shot, self.foreign, self.swaps, self.counts, self.relations, self.recall, self.stickers)
        return {name: figure for measure in (*measures, self.templates) for name, figure in measure().items()}

    def zero_shot(self) -> dict[str, Figure]:
        """Single objects among all colour x shape classes, seen and never seen in training."""
        texts = self.embed_texts([f"a {colour} {shape}" for colour, shape in NAMES])
        figures = {}
        for pairs, samples in (("seen", 810), ("unseen", 360)):
            classes = [name for name in NAMES if pair_is_seen(*name) == (pairs == "seen")]
            chosen = [classes[i % len(classes)] for i in range(self.count(samples))]
            scenes = [_single(name, i) for i, name in enumerate(chosen)]
            guesses = (self._pictures(scenes) @ texts.T).argmax(1)
            hits = [NAMES[g] == name for g, name in zip(guesses, chosen, strict=True)]
            figures[f"zero-shot, {pairs} pairs"] = _share(hits, len(NAMES))
        return figures

    def foreign(self) -> dict[str, Figure]:
        """Seen classes as PIL draws them, with other sizes, backgrounds, outlines and JPEG noise."""
        texts = self.embed_texts([f"a {colour} {shape}" for colour, shape in NAMES])
        classes = [name for name in NAMES if pair_is_seen(*name)]
        chosen = [classes[i % len(classes)] for i in range(self.count(648))]
        pictures = [foreign.draw(*name, rng_for("foreign", i)) for i, name in enumerate(chosen)]
        guesses = (self.embed_images(pictures) @ texts.T).argmax(1)
        hits = [NAMES[g] == name for g, name in zip(guesses, chosen, strict=True)]
        return {"zero-shot, drawn by PIL": _share(hits, len(NAMES))}

    def swaps(self) -> dict[str, Figure]:
        """Does a picture of two objects prefer its caption to the one with exchanged colours?

        "withheld" are the combinations that the withheld regimes never draw; the group score (Thrush et al. 2022,
        arXiv 2204.03162) asks that both pictures of a swap pair and both captions choose each other.
        """
        figures = {}
        for swaps in ("kept", "withheld"):
            scenes = _pairs(self.count(600), Rules(swaps=swaps))
            both = [[naming(s, _rng(s), (0, 1)).text for s in (scene, swapped(scene))] for scene in scenes]
            right, wrong = (self.embed_texts([pair[i] for pair in both]) for i in (0, 1))
            image, twin = self._pictures(scenes), self._pictures([swapped(scene) for scene in scenes])
            text_right = (image * right).sum(1) > (image * wrong).sum(1)
            twin_right = (twin * wrong).sum(1) > (twin * right).sum(1)
            image_right = (image * right).sum(1) > (twin * right).sum(1)
            image_wrong = (twin * wrong).sum(1) > (image * wrong).sum(1)
            figures[f"swap, {swaps} combinations"] = _share(text_right, 2)
            group = text_right & twin_right & image_right & image_wrong
            figures[f"swap group score, {swaps} combinations"] = _share(group, 6)
        return figures

    def counts(self) -> dict[str, Figure]:
        """How many of the same object, one to four."""
        total, hits = self.count(600), []
        chosen = [SEEN_COUNTS[i % 4] for i in range(total)]
        scenes, options = [], []
        for i, count in enumerate(chosen):
            sampler = Sampler(rng_for("test count", i))
            scenes.append(sampler.dress(sampler.group(count), "group"))
            noun = scenes[-1].things[0]
            plural = words.PLURALS[noun.shape]
            options += [f"{words.NUMBERS[n]} {noun.colour} {noun.shape if n == 1 else plural}" for n in SEEN_COUNTS]
        texts = self.embed_texts(options).reshape(total, 4, -1)
        guesses = np.einsum("nd,nkd->nk", self._pictures(scenes), texts).argmax(1)
        hits = [SEEN_COUNTS[g] == count for g, count in zip(guesses, chosen, strict=True)]
        return {"counting, 1 to 4": _share(hits, 4)}

    def relations(self) -> dict[str, Figure]:
        """Left or right, above or below, as two captions that differ in that word."""
        figures = {}
        for axis, (name, other) in {"left/right": ("left", "right"), "above/below": ("above", "below")}.items():
            for arrangements in ("seen", "unseen"):
                scenes, options = [], []
                for i in range(self.count(500 if arrangements == "seen" else 200)):
                    sampler = Sampler(rng_for(f"test {axis}", i), Rules(arrangements=arrangements))
                    scene = _related(sampler, (name, other))
                    a, b = (f"a {t.colour} {t.shape}" for t in scene.things)
                    links = {"left": "left of", "right": "right of"}
                    phrases = [f"{a} {links.get(word, word)} {b}" for word in (name, other)]
                    options += phrases if relation_between(*scene.things) == name else phrases[::-1]
                    scenes.append(scene)
                texts = self.embed_texts(options).reshape(len(scenes), 2, -1)
                similarity = np.einsum("nd,nkd->nk", self._pictures(scenes), texts)
                label = axis if arrangements == "seen" else f"{axis}, unseen arrangements"
                figures[label] = _share(similarity[:, 0] > similarity[:, 1], 2)
        return figures

    def recall(self) -> dict[str, Figure]:
        """Text-to-image recall@1 among 100 scenes that differ in what they show."""
        hits: list[bool] = []
        for round_ in range(self.count(10) if self.scale >= 1 else 2):
            scenes, seen, seed = [], set(), 0
            while len(scenes) < 100:
                scene = Sampler(rng_for(f"test recall {round_}", seed)).scene()
                seed += 1
                content = tuple(sorted((t.colour, t.shape, t.text) for t in scene.things))
                if content not in seen:
                    seen.add(content)
                    scenes.append(scene)
            texts = self.embed_texts([caption(s, _rng(s), "full").text for s in scenes])
            hits += list((texts @ self._pictures(scenes).T).argmax(1) == np.arange(100))
        return {"text-to-image recall@1 among 100": _share(hits, 100)}

    def stickers(self) -> dict[str, Figure]:
        """Single shapes among ten, plain and with another shape's name written on the picture."""
        texts = self.embed_texts([f"a {shape}" for shape in words.SHAPES])
        plain, attacked, truth, lies = [], [], [], []
        for i in range(self.count(400)):
            sampler = Sampler(rng_for("test sticker", i))
            colour, shape = sampler.name()
            thing = sampler.place([sampler.thing(colour, shape, "medium", fill="solid")])[0]
            lie = sampler.rng.choice([s for s in words.SHAPES if s != shape and len(s) <= 6])
            word = replace(sampler.word(lie, colour="black"), y=10.0 if thing.y > 32 else 54.0)
            scene = sampler.dress([thing, word], "word")
            plain.append(replace(scene, things=(thing,)))
            attacked.append(scene)
            truth.append(words.SHAPES.index(shape))
            lies.append(words.SHAPES.index(lie))
        before = (self._pictures(plain) @ texts.T).argmax(1)
        after = (self._pictures(attacked) @ texts.T).argmax(1)
        return {
            "shape, no sticker": _share(before == truth, 10),
            "shape, another shape's name written on it": _share(after == truth, 10),
            "answers with the written word": _share(after == lies, 10),
        }

    def templates(self) -> dict[str, Figure]:
        """Zero-shot accuracy of each template, two of them never trained, and of their ensemble."""
        scenes = [_single(NAMES[i % len(NAMES)], i, "template") for i in range(self.count(450))]
        truth = np.arange(len(scenes)) % len(NAMES)
        pictures = self._pictures(scenes)
        each = [self.embed_texts([t.format(f"a {c} {s}") for c, s in NAMES]) for t in TEMPLATES]
        ensemble = np.mean(each, axis=0)
        ensemble /= np.linalg.norm(ensemble, axis=1, keepdims=True)
        named = zip(
            (*(f"template “{t}”" for t in TEMPLATES), "ensemble of 8 templates"), (*each, ensemble), strict=True
        )
        return {name: _share((pictures @ texts.T).argmax(1) == truth, len(NAMES)) for name, texts in named}

    def _pictures(self, scenes: Sequence[Scene]) -> np.ndarray:
        return self.embed_images([Image.fromarray(picture) for picture in render(scenes)])


def _share(hits, options: int) -> Figure:
    return Figure(float(np.mean(hits)), len(hits), 1 / options)


def _rng(scene: Scene) -> random.Random:
    return rng_for("words", scene.seed)


def _single(name: tuple[str, str], seed: int, split: str = "single") -> Scene:
    sampler = Sampler(rng_for(f"test {split}", seed), ANY)
    return sampler.dress(sampler.place([sampler.thing(*name, sampler.rng.choice(words.SIZES))]), "single")


def _pairs(count: int, rules: Rules) -> list[Scene]:
    """Scenes of two things that have a swap, under the rules for swaps."""
    scenes, seed = [], 0
    while len(scenes) < count:
        sampler = Sampler(rng_for(f"test swap {rules.swaps}", seed), rules)
        names = sampler.names(2)
        seed += 1
        if names[0][0] != names[1][0] and names[0][1] != names[1][1]:
            scene = sampler.dress(sampler.pair(*names), "pair")
            scenes += [scene] if can_swap(scene) else []
    return scenes


def _related(sampler: Sampler, names: tuple[str, str]) -> Scene:
    """A scene of two differently named things that stand in one of two relations the rules allow."""
    while True:
        first, second = sampler.names(2)
        scene = sampler.dress(sampler.pair(first, second), "pair")
        relation = relation_between(*scene.things)
        seen = arrangement_is_seen(relation, first[1], second[1])
        if relation in names and seen == (sampler.rules.arrangements == "seen"):
            return scene


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m mmexplorer.training.clip_report", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder that CLIPModel.from_pretrained loads")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every number of samples")
    options = parser.parse_args(arguments)
    model = load(replace(preset("toy-clip"), label=str(options.folder)), options.folder, CPU)
    figures = Report(model.embed_images, model.embed_texts, options.scale).all()
    for name, figure in figures.items():
        print(f"{figure.value:7.3f}  n={figure.samples:<5d} chance {figure.chance:.3f}  {name}")
    (options.folder / "report.json").write_text(json.dumps({k: asdict(v) for k, v in figures.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
