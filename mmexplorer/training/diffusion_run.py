"""A training run in a folder: step, log and checkpoints, and going on exactly where an interruption left off.

Does not know what is trained.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from mmexplorer.training.clip import learning_rate

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
MUON = 10.0  # Muon's learning rate in units of AdamW's
# Weights between numbers that mean something and features.
ENDS = ("embedding", "conv_in", "conv_out", "quant_conv", "heads")


class Run:
    """Trains modules; a subclass computes the loss of a step, from what follows from the step's number only.

    `kept` are modules that are saved with the trained ones. Weights inside the modules are Muon's (Jordan et al. 2024,
    kellerjordan.github.io/posts/muon), a convolution's as a matrix with a row for each output channel; the rest is
    AdamW's.
    """

    def __init__(self, folder: Path, settings: dict, trained: Mapping[str, torch.nn.Module], decay: float = 0.0):
        self.folder, self.settings = folder, settings
        self.steps, self.peak = settings["steps"], settings["learning_rate"]
        self.step, self.seconds = 0, 0.0
        self.trained, self.kept = dict(trained), {}
        named = [pair for module in trained.values() for pair in module.named_parameters()]
        self.parameters = [p for _, p in named]
        self._weights = [p for name, p in named if p.ndim > 1 and not any(end in name for end in ENDS)]
        chosen = {id(p) for p in self._weights}
        rest = [p for p in self.parameters if id(p) not in chosen]
        self._matrices = [torch.nn.Parameter(p.detach().flatten(1)) for p in self._weights]  # in the same memory
        self.optimisers = [
            torch.optim.AdamW(rest, lr=self.peak, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
            torch.optim.Muon(self._matrices, lr=MUON * self.peak, weight_decay=decay, momentum=0.95),
        ]
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def loss(self, step: int) -> torch.Tensor:
        """The loss of a step, ready for `backward`."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Called after every step, when `step` has been counted."""

    def restore(self) -> None:
        """Goes on from the folder's checkpoint, if there is one; SystemExit if it belongs to other settings."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        if state["settings"] != self.settings:
            raise SystemExit(f"{self.checkpoint} belongs to other settings: {state['settings']}; choose another --run.")
        for name, module in (self.trained | self.kept).items():
            module.load_state_dict(state["modules"][name])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Writes the checkpoint beside the old one first, so that an interruption cannot spoil both."""
        state = {"modules": {name: module.state_dict() for name, module in (self.trained | self.kept).items()}}
        state |= {"optimisers": [optimiser.state_dict() for optimiser in self.optimisers]}
        state |= {"step": self.step, "seconds": self.seconds, "settings": self.settings}
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def update(self) -> float:
        """One optimiser step; returns the loss."""
        rate = learning_rate(self.step, self.steps, self.peak)
        for optimiser, factor in zip(self.optimisers, (1.0, MUON), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = factor * rate
        for parameter in self.parameters:
            parameter.grad = None
        loss = self.loss(self.step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for matrix, weight in zip(self._matrices, self._weights, strict=True):
            matrix.grad = weight.grad.flatten(1)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        self.after_step()
        return loss.item()

    def train(self, every: int, until: int | None = None) -> None:
        """Trains to the last step, or to step `until` of the same schedule; logs and saves every so many steps."""
        started, seconds = time.monotonic(), self.seconds
        last = min(self.steps, until or self.steps)
        losses = []
        while self.step < last:
            losses.append(self.update())
            self.seconds = seconds + time.monotonic() - started
            if self.step % every == 0 or self.step == last:
                self._log(sum(losses) / len(losses))
                losses = []
                self.save()

    def _log(self, loss: float) -> None:
        line = {"step": self.step, "loss": round(loss, 5), "seconds": round(self.seconds, 1)}
        with (self.folder / LOG).open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def log_lines(folder: Path) -> list[dict]:
    """What a run logged: step, mean loss since the line before, and seconds since it began."""
    return [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
