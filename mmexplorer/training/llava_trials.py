"""Held-out questions for measuring a toy LLaVA: which scenes, what is asked about them, and in which groups.

Scenes come from splits of their own, whose seeds training never draws. What a model answers is not known here.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from mmexplorer.toyworld import vocabulary as words
from mmexplorer.toyworld.descriptions import glyph, is_readable
from mmexplorer.toyworld.questions import ABSENCES, Question, ask, existence
from mmexplorer.toyworld.scenes import CANVAS, TRAINING, Rules, Sampler, Scene, relation_between, rng_for, shrunk

Canvas = tuple[int, int]
SMALL, LARGE = (CANVAS, CANVAS), (2 * CANVAS, 2 * CANVAS)
UNSEEN = Rules(pairs="unseen")


@dataclass(frozen=True)
class Trial:
    """A question about a scene, the part of its group that it belongs to, and the turns that came before it.

    They are about `older`, a picture that came first, if there is one; without such turns both come with the question.
    """

    scene: Scene
    question: Question
    part: str = ""
    before: tuple[Question, ...] = ()
    older: Scene | None = None


Keep = Callable[[Scene, Question, int], bool]  # of the question that would become number int of its group
Part = Callable[[Scene, Question], str]


def exact_trials(scale: float = 1.0, canvas: Canvas = SMALL) -> dict[str, list[Trial]]:
    """Groups whose answers are right or wrong as a whole; `scale` multiplies every number of samples.

    Scenes stand on a canvas (width, height). Where it is a large one there are two groups more: about things too small
    for the base view, and about small scenes, to be shown enlarged.

    Counting is asked equally often with each answer. Figures of "unseen pairs" are about single objects whose
    combination of colour and shape training never draws. "third turn" repeats "any question" after two others, and
    "newest of two pictures" repeats it with another picture before, half of the time with a question about that.
    """

    def some(name: str, kind: str | None, samples: int, keep: Keep = _always, **how) -> list[Trial]:
        return _drawn(name, kind, scaled(samples, scale), keep, **({"canvas": canvas} | how))

    groups = {
        "colour": some("colour", "colour", 400),
        "shape": some("shape", "shape", 400),
        "colour, unseen pairs": some("unseen colour", "colour", 200, of="single", rules=UNSEEN),
        "shape, unseen pairs": some("unseen shape", "shape", 200, of="single", rules=UNSEEN),
        "size": some("size", "size", 300, part=_form),
        "counting, 1 to 4": some("count", "count", 400, _is_next_number, part=_answer),
        "counting, none there": some("none", "count", 100, lambda s, q, i: q.answer == "zero"),
        "left/right/above/below": some("side", "relation", 600, lambda s, q, i: bool(_side(s, q)), part=_form),
        "inside": some("inside", "relation", 100, lambda s, q, i: not _side(s, q), of="pair", part=_form),
        "place in the picture": some("place", "place", 300),
        "reading": some("reading", "reading", 400, _asks_for_text, of="word", part=_glyph),
        "unreadable text": some("unreadable", "reading", 100, _is_unreadable, of="word", part=_form),
        "left/right of a person": some("figure", "figure", 300, of="figure", part=_facing),
        "facing": some("facing", "facing", 200, of="figure"),
        "any question": some("any", None, 300),
    }
    if canvas != SMALL:
        for kind in ("colour", "shape"):
            groups[f"{kind}, tiny things"] = some(f"tiny {kind}", kind, 200, of="several", factor=0.7)
        groups["any question, small scene enlarged"] = some("enlarged", None, 300, canvas=SMALL)
    groups["any question, third turn"] = [_continued(t, i) for i, t in enumerate(groups["any question"])]
    groups["any question, newest of two pictures"] = [_later(t, i) for i, t in enumerate(groups["any question"])]
    return groups


def existence_trials(scale: float = 1.0, canvas: Canvas = SMALL) -> dict[str, list[Trial]]:
    """For each of ABSENCES as many questions about things that are there as about things that are not, as in POPE."""
    groups = {}
    for absence in ABSENCES:
        found, seed = [], 0
        while len(found) < 2 * scaled(200, scale):
            rng = rng_for(f"llava test existence {absence}", seed)
            seed += 1
            scene = Sampler(rng, canvas=canvas).scene()
            pair = existence(scene, rng), existence(scene, rng, absence)
            found += [Trial(scene, question) for question in pair] if all(pair) else []
        groups[absence] = found
    return groups


def description_trials(scale: float = 1.0, canvas: Canvas = SMALL) -> list[Trial]:
    """Scenes of every kind, to be described."""
    return _drawn("describe", "describe", scaled(300, scale), _always, canvas=canvas)


def scaled(samples: int, scale: float) -> int:
    """A number of samples times `scale`, four at least."""
    return max(4, round(samples * scale))


def _always(scene: Scene, question: Question, number: int) -> bool:
    return True


def _drawn(
    name: str,
    kind: str | None,
    samples: int,
    keep: Keep,
    *,
    of: str | None = None,
    rules: Rules = TRAINING,
    part: Part = lambda scene, question: "",
    canvas: Canvas = SMALL,
    factor: float = 1.0,
) -> list[Trial]:
    """Questions of a kind that are kept, about scenes of one kind or of all, whose things are shrunk by a factor."""
    found, seed = [], 0
    while len(found) < samples:
        rng = rng_for(f"llava test {name}", seed)
        seed += 1
        scene = shrunk(Sampler(rng, rules, canvas).scene(of), factor)
        question = ask(scene, rng, kind, rules)
        if question and keep(scene, question, len(found)):
            found.append(Trial(scene, question, part(scene, question)))
    return found


def _continued(trial: Trial, number: int) -> Trial:
    """The same question after two other ones about the same picture."""
    rng = rng_for("llava test turns", number)
    before = _other(trial.scene, rng, trial.question), _other(trial.scene, rng, trial.question)
    return Trial(trial.scene, trial.question, trial.part, before)


def _later(trial: Trial, number: int) -> Trial:
    """The same question with another picture before: in the same message, or in one with a question of its own."""
    rng = rng_for("llava test pictures", number)
    older = Sampler(rng, canvas=trial.scene.canvas).scene()
    if number % 2:
        return Trial(trial.scene, trial.question, "both in one message", (), older)
    return Trial(trial.scene, trial.question, "after a question about the older", (ask(older, rng),), older)


def _other(scene: Scene, rng: random.Random, question: Question) -> Question:
    while True:
        other = ask(scene, rng)
        if other.text.lower() != question.text.lower():
            return other


def _is_next_number(scene: Scene, question: Question, number: int) -> bool:
    return question.answer == words.NUMBERS[1 + number % 4]


def _asks_for_text(scene: Scene, question: Question, number: int) -> bool:
    thing = scene.things[question.about[0]]
    return is_readable(thing) and question.answer == thing.text


def _is_unreadable(scene: Scene, question: Question, number: int) -> bool:
    return not is_readable(scene.things[question.about[0]])


def _side(scene: Scene, question: Question) -> str:
    """Where the first thing asked about stands to the second; "" for one inside the other, as they share a centre."""
    return relation_between(*(scene.things[i] for i in question.about))


def _answer(scene: Scene, question: Question) -> str:
    return question.answer


def _glyph(scene: Scene, question: Question) -> str:
    return glyph(scene.things[question.about[0]])


def _facing(scene: Scene, question: Question) -> str:
    return "facing us" if scene.things[question.about[1]].facing == "viewer" else "facing away"


def _form(scene: Scene, question: Question) -> str:
    """What kind of answer is asked for."""
    if question.answer in ("yes", "no"):
        return "yes or no"
    return "which thing" if " " in question.answer else "which one of few"
