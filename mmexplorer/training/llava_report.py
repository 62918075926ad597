"""What a toy LLaVA can and cannot answer on held-out seeds, beside what it answers when it cannot see.

`python -m mmexplorer.training.llava_report FOLDER` prints the figures of a model and writes them as report.json; it
takes a run's checkpoint.pt too. Whatever is measured is measured four times: the model as it is, with its projector's
weights set to zero, with them shuffled, and the answer that is commonest among the right ones, given every time. A
LLaVA-NeXT is shown larger scenes, and once more with its tiles grey, so that it has its base view only.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaProcessor,
)

from mmexplorer.presets import preset
from mmexplorer.toyworld.descriptions import parse
from mmexplorer.toyworld.lexicon import WORD
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Scene
from mmexplorer.training.llava_model import build_chat_processor, build_llava, build_llava_next
from mmexplorer.training.llava_trials import LARGE, SMALL, Trial, description_trials, exact_trials, existence_trials

BATCH = 100
QUICK = 0.02
Model = LlavaForConditionalGeneration | LlavaNextForConditionalGeneration
Processor = LlavaProcessor | LlavaNextProcessor
Shares = dict[str, tuple[float, int]]  # by name: a share and the number of samples it is of


@dataclass(frozen=True)
class Figure:
    """A share of `samples`: the model's, the same without and with a senseless picture, and the commonest answer's.

    untiled is what a LLaVA-NeXT reaches by its base view alone.
    """

    value: float
    samples: int
    zeroed: float
    shuffled: float
    commonest: float
    untiled: float | None = None


class Report:
    """Measures one model; every method returns named figures. `scale` multiplies every number of samples."""

    def __init__(self, model: Model, processor: Processor, scale: float = 1.0):
        self.model, self.processor, self.scale = model.eval(), processor, scale
        self.tiled = isinstance(model, LlavaNextForConditionalGeneration)
        self.canvas = LARGE if self.tiled else SMALL
        self._grey_tiles = False

    def all(self) -> dict[str, Figure]:
        """Every figure, by name."""
        return self.questions() | self.existence() | self.descriptions()

    def questions(self) -> dict[str, Figure]:
        """The share of answers that are right word for word, by group and by part of a group."""
        groups = exact_trials(self.scale, self.canvas)
        return {k: v for name, trials in groups.items() for k, v in self._measured(name, trials, right).items()}

    def existence(self) -> dict[str, Figure]:
        """Questions whether something is there, as in POPE (Li et al. 2023, arXiv 2305.10355)."""
        groups = existence_trials(self.scale, self.canvas)
        groups = {f"existence, {absence} absences": trials for absence, trials in groups.items()}
        return {k: v for name, trials in groups.items() for k, v in self._measured(name, trials, yes_or_no).items()}

    def descriptions(self) -> dict[str, Figure]:
        """Descriptions, as a whole and object by object."""
        return self._measured("description", description_trials(self.scale, self.canvas), objects)

    def answers(self, trials: Sequence[Trial]) -> list[str]:
        """Greedy answers, lower-case words and punctuation marks with one space between them.

        An answer is cut when it is more than twice as long as the right one.
        """
        # Batches of answers of one length end early.
        order = sorted(range(len(trials)), key=lambda i: len(trials[i].question.answer))
        found = {}
        size = max(1, BATCH // 4) if self.tiled else BATCH
        for first in range(0, len(order), size):
            here = order[first : first + size]
            found |= zip(here, self._answered([trials[i] for i in here]), strict=True)
        return [found[i] for i in range(len(trials))]

    def _answered(self, trials: list[Trial]) -> list[str]:
        prompts = [self.processor.apply_chat_template(_messages(t), add_generation_prompt=True) for t in trials]
        shown = [scene for t in trials for scene in (t.older, t.scene) if scene]
        pictures = [self._picture(scene) for scene in shown]
        inputs = self.processor(images=pictures, text=prompts, padding=True, padding_side="left", return_tensors="pt")
        if self._grey_tiles:
            inputs["pixel_values"][:, 1:] = 0
        longest = max(len(_spaced(t.question.answer).split()) for t in trials)
        with torch.inference_mode():
            ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=2 * longest + 4)
        ids = ids[:, inputs["input_ids"].shape[1] :]
        return [_spaced(text) for text in self.processor.batch_decode(ids, skip_special_tokens=True)]

    def _picture(self, scene: Scene) -> Image.Image:
        """A scene's picture, enlarged without smoothing if it is smaller than the others of this report."""
        times = self.canvas[0] // scene.canvas[0]
        return Image.fromarray(render([scene])[0].repeat(times, axis=0).repeat(times, axis=1))

    def _measured(
        self, name: str, trials: list[Trial], score: Callable[[str, list[Trial], list[str]], Shares]
    ) -> dict[str, Figure]:
        seen = score(name, trials, self.answers(trials))
        with _projector(self.model, lambda weights: weights.zero_()):
            zeroed = score(name, trials, self.answers(trials))
        with _projector(self.model, _shuffle):
            shuffled = score(name, trials, self.answers(trials))
        untiled = {}
        if self.tiled:
            self._grey_tiles = True
            untiled = score(name, trials, self.answers(trials))
            self._grey_tiles = False
        truths = [_spaced(t.question.answer) for t in trials]
        commonest = score(name, trials, [Counter(truths).most_common(1)[0][0]] * len(trials))
        return {
            key: Figure(value, samples, zeroed[key][0], shuffled[key][0], commonest[key][0], *untiled.get(key, ())[:1])
            for key, (value, samples) in seen.items()
        }


def right(name: str, trials: list[Trial], answers: list[str]) -> Shares:
    """Shares of answers that are right word for word: of all of a group, and of each of its parts."""
    groups: dict[str, list[bool]] = {name: []}
    for trial, answer in zip(trials, answers, strict=True):
        hit = answer == _spaced(trial.question.answer)
        groups[name].append(hit)
        if trial.part:
            groups.setdefault(f"{name}: {trial.part}", []).append(hit)
    return {key: (float(np.mean(hits)), len(hits)) for key, hits in groups.items()}


def yes_or_no(name: str, trials: list[Trial], answers: list[str]) -> Shares:
    """Accuracy, precision, recall and F1 of "yes", and how often it is said; anything but "yes" and "no" is wrong."""
    there = np.array([t.question.answer == "yes" for t in trials])
    said = np.array([answer == "yes" for answer in answers])
    correct = np.array([answer == t.question.answer for t, answer in zip(trials, answers, strict=True)])
    hits = int((there & said).sum())
    precision, recall = _ratio(hits, said.sum()), _ratio(hits, there.sum())
    shares = {
        "accuracy": correct.mean(),
        "precision": precision,
        "recall": recall,
        "F1": _ratio(2 * precision * recall, precision + recall),
        "yes-rate": said.mean(),
    }
    return {f"{name}: {key}": (float(value), len(trials)) for key, value in shares.items()}


def objects(name: str, trials: list[Trial], answers: list[str]) -> Shares:
    """Word for word; objects of the scenes that are named, and named objects that are not there (as CHAIR counts)."""
    there = [Counter(parse(t.question.answer)) for t in trials]
    named = [Counter(parse(answer)) for answer in answers]
    found = sum((a & b).total() for a, b in zip(there, named, strict=True))
    real, claimed = sum(a.total() for a in there), sum(b.total() for b in named)
    return {
        f"{name}: word for word": right(name, trials, answers)[name],
        f"{name}: objects found": (_ratio(found, real), real),
        f"{name}: objects invented": (_ratio(claimed - found, claimed), claimed),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _spaced(text: str) -> str:
    return " ".join(re.findall(WORD, text.lower()))


def _messages(trial: Trial) -> list[dict]:
    turns = [*trial.before, trial.question]
    last = len(turns) - 1
    messages = []
    for number, turn in enumerate(turns):
        new = (number == 0) + (number == last and trial.older is not None)
        content = [{"type": "image"}] * new + [{"type": "text", "text": turn.text}]
        messages.append({"role": "user", "content": content})
        if number < last:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": turn.answer}]})
    return messages


@contextmanager
def _projector(model: Model, change: Callable[[torch.Tensor], object]) -> Iterator[None]:
    """Changes the projector's weights in place for the time of the block."""
    projector = model.model.multi_modal_projector
    kept = {name: value.clone() for name, value in projector.state_dict().items()}
    try:
        with torch.no_grad():
            for weights in projector.parameters():
                change(weights)
        yield
    finally:
        projector.load_state_dict(kept)


def _shuffle(weights: torch.Tensor) -> None:
    order = torch.randperm(weights.numel(), generator=torch.Generator().manual_seed(0))
    weights.copy_(weights.flatten()[order].view_as(weights))


def load(path: Path, clip: Path) -> tuple[Model, Processor]:
    """A finished model's folder, or the checkpoint of a run that trains on the vision tower of `clip`."""
    if path.is_dir():
        model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32)
        return model, AutoProcessor.from_pretrained(path)
    weights = torch.load(path, weights_only=True)["model"]
    tiled = "model.image_newline" in weights
    model = (build_llava_next if tiled else build_llava)(clip)
    model.load_state_dict(weights)
    return model, build_chat_processor(tiled)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.llava_report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, help="a folder that from_pretrained loads, or a run's checkpoint.pt")
    parser.add_argument("--clip", type=Path, default=preset("toy-clip").path, help="of a checkpoint: its CLIP's folder")
    parser.add_argument("--output", type=Path, help="file for the figures (default: report.json in or beside PATH)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every number of samples")
    parser.add_argument("--quick", action="store_true", help=f"as --scale {QUICK}: shows that it runs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads for the model")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    figures = Report(*load(options.path, options.clip), QUICK if options.quick else options.scale).all()
    print(f"{'model':>7} {'zeroed':>7} {'shuffled':>8} {'commonest':>9} {'untiled':>7}")
    for name, f in figures.items():
        untiled = "" if f.untiled is None else f"{f.untiled:.3f}"
        shares = f"{f.value:7.3f} {f.zeroed:7.3f} {f.shuffled:8.3f} {f.commonest:9.3f} {untiled:>7}"
        print(f"{shares}  n={f.samples:<5d} {name}")
    folder = options.path if options.path.is_dir() else options.path.parent
    written = json.dumps({name: asdict(figure) for name, figure in figures.items()}, indent=1)
    (options.output or folder / "report.json").write_text(written + "\n")


if __name__ == "__main__":
    main()
