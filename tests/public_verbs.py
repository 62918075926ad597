"""Asks every question of the app that needs a model, in a process of its own, and pickles the answers into a file.

With SPACES_ZERO_GPU it does so as on ZeroGPU, over the stand-in for `spaces`, where the models of all questions but
one were loaded at the start; the one is loaded by the fork. Each answer comes with the number of forks it took.
"""

import importlib.util
import os
import pickle
import sys
import threading
from pathlib import Path

ZERO = "SPACES_ZERO_GPU" in os.environ
if ZERO:
    spec = importlib.util.spec_from_file_location("spaces", Path(__file__).with_name("spaces_stand_in.py"))
    sys.modules["spaces"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["spaces"])

from PIL import Image  # noqa: E402

import mmexplorer  # noqa: E402
from mmexplorer import preloading, residency  # noqa: E402
from mmexplorer.explore import (  # noqa: E402
    chat,
    chat_probes,
    drawing,
    drawing_between,
    drawing_change,
    drawing_early,
    drawing_grid,
    drawing_scores,
    embedding,
    zero_shot,
)
from mmexplorer.residency_forked import ForkedResidency  # noqa: E402
from mmexplorer.tabs import draw_facts  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
PHOTO = str(ROOT / "assets/images/chat/red-circle-blue-square.png")
LABELS = ["a red circle", "a blue square"]
SHORT = {"steps": 3, "seed": 1}


def on_this_processor() -> None:
    """ZeroGPU's residency, with the processor in the place of the GPU."""
    forked = ForkedResidency("cpu")
    for name in ("use", "prepare", "status", "loaded", "evict"):
        setattr(residency, name, getattr(forked, name))
    os.register_at_fork(after_in_child=forked.forget_threads)
    preloading.load(preloading.named(None))


def embedded() -> tuple:
    told, seen = [], []
    found = embedding.embed_locations(
        [f"file:{PHOTO}", "file:missing.png"],
        progress=lambda *numbers: told.append(numbers),
        on_picture=lambda row, picture: seen.append((row, picture)),
        stop=threading.Event(),
    )
    return found, told, seen


def questions() -> dict:
    """Each question's name and how it is asked, in an order in which later ones may use earlier answers."""
    picture, answers = Image.open(PHOTO).convert("RGB"), {}
    turns = [("user", "describe the picture", [picture])]
    stop = threading.Event()

    def kept(name, ask):
        def asked():
            answers[name] = ask()
            return answers[name]

        return asked

    def reply():
        return answers["chat"][-1].reply

    def word():
        return next(i for i, one in enumerate(reply().attention.words) if one.role == "answer")

    def drawn():
        return answers["draw"][-1].drawing

    asked = {
        "classify": lambda: zero_shot.classify([PHOTO, picture], LABELS, templates=["{}", "a photo of {}"]),
        "classify by another": lambda: zero_shot.classify(picture, LABELS, model="toy-clip-withheld"),
        "trace": lambda: zero_shot.trace(picture, LABELS),
        "ground_labels": lambda: zero_shot.ground_labels(picture, LABELS),
        "cut_labels": lambda: zero_shot.cut_labels(["a red circle " * 40, *LABELS]),
        "embed_images": lambda: embedding.embed_images([PHOTO, picture]),
        "embed_texts": lambda: embedding.embed_texts(LABELS),
        "embed_locations": embedded,
        "embed_captions": lambda: embedding.embed_captions(LABELS, stop=stop),
        "chat": lambda: list(chat.chat(turns, max_new_tokens=6, stop=stop)),
        "forget": lambda: chat.forget(reply()),
        "head_maps": lambda: chat_probes.head_maps(turns, reply(), 1, 0, stop=stop),
        "gradient_maps": lambda: chat_probes.gradient_maps(turns, reply(), word()),
        "neutral_rows": lambda: chat_probes.neutral_rows(turns, reply()),
        "vision_maps": lambda: chat_probes.vision_maps(turns, reply(), 0),
        "lens": lambda: chat_probes.lens(turns, reply(), 0),
        "causal_check": lambda: chat_probes.causal_check(turns, reply(), word(), 4, draws=2, stop=stop),
        "draw": lambda: list(drawing.draw("a red circle", guidance=4, **SHORT, stop=stop)),
        "decode": lambda: drawing.decode([drawn().steps[0].clean], "toy-diffusion"),
        "score": lambda: drawing_scores.score(drawn(), stop=stop),
        "compare": lambda: drawing_change.compare(drawn(), "red", "blue"),
        "draw_grid": lambda: list(
            drawing_grid.draw_grid(
                "a red circle", drawing_grid.Axis("guidance", (1.0, 4.0)), drawing_grid.Axis("steps", (2, 3)), seed=1
            )
        ),
        "interpolate": lambda: list(drawing_between.interpolate("a red circle", "a blue square", 3, **SHORT)),
        "draw_early": lambda: list(drawing_early.draw_early("a red circle", whole=4, counts=(2, 4))),
        "learn": lambda: draw_facts.learn("toy-diffusion"),
    }
    return {name: kept(name, ask) for name, ask in asked.items()}


def refused() -> str:
    """What a question says that only the model's process can refuse."""
    try:
        zero_shot.classify("no-such-picture.png", LABELS)
    except mmexplorer.errors.Refusal as refusal:
        return str(refusal)
    return ""


def main(file: str) -> None:
    if ZERO:
        on_this_processor()
    forks = sys.modules["spaces"].lent if ZERO else []
    answers = {}
    for name, ask in {**questions(), "refused": refused}.items():
        before = len(forks)
        answer = ask()
        answers[name] = (len(forks) - before, pickle.dumps(answer))
    loaded = sorted(model.key for model in residency.loaded())
    Path(file).write_bytes(pickle.dumps({"answers": answers, "loaded": loaded}))


if __name__ == "__main__":
    main(*sys.argv[1:])
