"""How often a toy Stable Diffusion draws what it is asked for: `python -m mmexplorer.training.diffusion_report --help`.

Pictures for prompts from held-out seeds are graded by the exact parser of `toyworld.grade`, which knows no model of
ours. `python -m mmexplorer.training.diffusion_report FOLDER` prints the shares and writes them as report.json. With
`--snapshots STEP=FOLDER ...` it measures the same for earlier steps of the training, written under "snapshots".
"""

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.captions import RELATION_WORDS
from mmexplorer.toyworld.grade import Grade, grade
from mmexplorer.toyworld.phrasings import article
from mmexplorer.toyworld.scenes import TRAINING, Rules, Sampler, rng_for
from mmexplorer.training.diffusion_model import GUIDANCE, STEPS

SPLIT = "diffusion report"
PICTURES = 200  # of each group of prompts
BATCH = 50
QUICK = 0.02
Prompt = Callable[[random.Random, int], str]


@dataclass(frozen=True)
class Figure:
    """A share of `samples` pictures, with its standard error."""

    value: float
    error: float
    samples: int


def _thing(name: tuple[str, str], size: str = "") -> str:
    first = size or name[0]
    return " ".join(word for word in (article(first), size, *name) if word)


def _single(rng: random.Random, number: int) -> str:
    return _thing(Sampler(rng).name())


def _unseen(rng: random.Random, number: int) -> str:
    return _thing(Sampler(rng, Rules(pairs="unseen")).name())


def _two(rng: random.Random, number: int) -> str:
    return " and ".join(_thing(name) for name in Sampler(rng).names(2))


def _count(rng: random.Random, number: int) -> str:
    count = TRAINING.counts[number % len(TRAINING.counts)]
    colour, shape = Sampler(rng).name()
    return f"{words.NUMBERS[count]} {colour} {shape if count == 1 else words.PLURALS[shape]}"


def _relation(rng: random.Random, number: int) -> str:
    relation = words.RELATIONS[number % 4]
    first, second = Sampler(rng).names(2)
    return f"{_thing(first)} {rng.choice(RELATION_WORDS[relation])} {_thing(second)}"


def _size(rng: random.Random, number: int) -> str:
    return _thing(Sampler(rng).name(), words.SIZES[number % 3])


def _three(rng: random.Random, number: int) -> str:
    first, second, third = map(_thing, Sampler(rng).names(3))
    return f"{first}, {second} and {third}"


def _all_true(graded: Grade) -> bool:
    return all(found for _, found in graded.lines)


def _has(kind: str, seen: str = "") -> Callable[[Grade], bool]:
    """Whether the thing that stands for the only one asked for has its colour, its shape or its size.

    seen is the attribute of `recognise.Seen` to look at, where that is another one.
    """

    def right(graded: Grade) -> bool:
        asked = getattr(graded.asked.items[0], kind)
        return any(getattr(graded.seen[i], seen or kind) == asked for i in graded.match[0])

    return right


def _exact(graded: Grade) -> bool:
    return graded.exact


# Groups of prompts, and what is measured on the pictures of each.
GROUPS: dict[str, tuple[Prompt, dict[str, Callable[[Grade], bool]]]] = {
    "single": (
        _single,
        {
            "colour": _has("colour"),
            "shape": _has("shape"),
            "shape, the nearest of ten": _has("shape", "nearest"),
            "one thing, nothing else": _exact,
        },
    ),
    "unseen": (_unseen, {"never-seen colour x shape": _all_true}),
    "two": (_two, {"two objects with their own colours": _all_true, "two objects, nothing else": _exact}),
    "count": (_count, {"counts 1-4": _exact}),
    "relation": (_relation, {"relation": _all_true, "relation, nothing else": _exact}),
    "size": (_size, {"size": _has("size")}),
    "three": (_three, {"three objects with their own colours": _all_true}),
}


def prompts(group: str, count: int) -> list[str]:
    """The first `count` held-out prompts of a group."""
    return [GROUPS[group][0](rng_for(f"{SPLIT} {group}", number), number) for number in range(count)]


def pictures(
    pipeline: StableDiffusionPipeline, texts: list[str], guidance: float = GUIDANCE, steps: int = STEPS
) -> list[Image.Image]:
    """One picture for each prompt; the seed is the prompt's place in the list."""
    found = []
    for first in range(0, len(texts), BATCH):
        here = texts[first : first + BATCH]
        luck = [torch.Generator().manual_seed(first + i) for i in range(len(here))]
        found += pipeline(here, num_inference_steps=steps, guidance_scale=guidance, generator=luck).images
    return found


def measured(
    pipeline: StableDiffusionPipeline, scale: float = 1.0, guidance: float = GUIDANCE, steps: int = STEPS
) -> dict[str, Figure]:
    """All figures of a pipeline, by name; `scale` multiplies the number of pictures."""
    figures = {}
    for group, (_, measures) in GROUPS.items():
        texts = prompts(group, max(4, round(PICTURES * scale)))
        graded = [grade(*pair) for pair in zip(texts, pictures(pipeline, texts, guidance, steps), strict=True)]
        figures |= {name: _share([hit(one) for one in graded]) for name, hit in measures.items()}
    return figures


def _share(hits: list[bool]) -> Figure:
    value = sum(hits) / len(hits)
    return Figure(value, sqrt(value * (1 - value) / len(hits)), len(hits))


def load(folder: Path) -> StableDiffusionPipeline:
    """The pipeline of a folder, silent."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _snapshot(text: str) -> tuple[int, Path]:
    step, _, folder = text.partition("=")
    return int(step), Path(folder)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.diffusion_report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a folder that DiffusionPipeline.from_pretrained loads")
    parser.add_argument("--output", type=Path, help="file for the figures (default: FOLDER/report.json)")
    parser.add_argument(
        "--snapshots", type=_snapshot, nargs="*", default=[], metavar="STEP=FOLDER", help="earlier steps as pipelines"
    )
    parser.add_argument("--guidance", type=float, default=GUIDANCE, help=f"guidance scale (default: {GUIDANCE:g})")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"denoising steps (default: {STEPS})")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every number of pictures")
    parser.add_argument("--quick", action="store_true", help=f"as --scale {QUICK}: shows that it runs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads for the model")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    scale = QUICK if options.quick else options.scale

    def figures(folder: Path) -> dict[str, dict]:
        print(folder)
        found = measured(load(folder), scale, options.guidance, options.steps)
        for name, figure in found.items():
            print(f"{100 * figure.value:6.1f} % ± {100 * figure.error:4.1f}  n={figure.samples:<4d} {name}", flush=True)
        return {name: asdict(figure) for name, figure in found.items()}

    report = {"guidance": options.guidance, "steps": options.steps, "figures": figures(options.folder)}
    report["snapshots"] = {step: figures(folder) for step, folder in options.snapshots}
    (options.output or options.folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
