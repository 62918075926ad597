r"""Trains a toy CLIP from scratch on drawn scenes: `python -m mmexplorer.training.clip --help`.

The recipe is CLIP's (Radford et al. 2021, arXiv 2103.00020): two encoders, a learned logit scale capped at 100, cross
entropy over the similarity matrix in both directions. A first run learns words, with an extra task that is dropped
afterwards (see `clip_naming`):

  python -m mmexplorer.training.clip --regime words --run runs/words \
      --steps 3000 --batch-size 64 --processes 3 --learning-rate 1e-3

Then three runs start from it and differ in what their data cover and in nothing else:

  python -m mmexplorer.training.clip --regime full --start runs/words --run runs/full

  full            both members of every swap pair (red circle + blue square / blue circle + red square) are drawn
  withheld        one of each swap pair is never drawn
  hard-negatives  as withheld, but captions of the missing one are added as negatives (as in Yuksekgonul et al. 2023)

A run writes checkpoints, resumes from the last one when started again, and ends with a folder that
`CLIPModel.from_pretrained` loads. Batches depend on the regime and step only, so a resumed run sees the same data.
"""

import argparse
import json
import math
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import distributed
from torch.nn.functional import cross_entropy, normalize

from mmexplorer.training.clip_data import REGIMES, Batch, batch
from mmexplorer.training.clip_model import build_model, build_processor
from mmexplorer.training.clip_naming import PatchNaming

WARMUP = 150
CHECKPOINT = "checkpoint.pt"
QUICK_STEPS = 12
MUON = 10.0  # Muon's learning rate in units of AdamW's
NAMING = 1.0  # weight of naming patches
# Set for each of several processes that train together (see `together`).
RANK, PROCESSES = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, captions: list[str]
) -> tuple[torch.Tensor, float]:
    """Symmetric InfoNCE of unit rows (n, d) and (n + k, d), and the share of pictures that pick their caption.

    Row i of both belongs together; the last k texts are negatives only. Equal captions are not each other's negatives.
    """
    logits = scale * images @ texts.T
    count = len(images)
    ids = torch.tensor([captions.index(text) for text in captions])
    same = (ids[:count, None] == ids[None, :]) & ~torch.eye(count, len(captions), dtype=torch.bool)
    logits = logits.masked_fill(same, -1e4)
    target = torch.arange(count)
    loss = (cross_entropy(logits, target) + cross_entropy(logits[:, :count].T, target)) / 2
    return loss, (logits.argmax(1) == target).float().mean().item()


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up, then a cosine to zero."""
    warmup = min(WARMUP, steps // 4)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def batches(regime: str, first: int, last: int, steps: int, size: int) -> Iterator[Batch]:
    """Yields the batches of steps first to last - 1 of `steps`, drawn ahead by a thread while the model computes."""
    ready: queue.Queue[Batch] = queue.Queue(maxsize=2)

    def draw() -> None:
        for step in range(first, last):
            ready.put(batch(regime, step * PROCESSES + RANK, size, step / steps))

    threading.Thread(target=draw, daemon=True).start()
    for _ in range(first, last):
        yield ready.get()


def pixels(pictures) -> torch.Tensor:
    """Pictures (n, 64, 64, 3) uint8 as the processor would hand them to the model."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def average_gradients(parameters: list[torch.nn.Parameter]) -> None:
    """Averages gradients over the processes that train together, if there are several."""
    if distributed.is_initialized():
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        for gradient, average in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(average.view_as(gradient))


class Run:
    """One training run in a folder: model, optimiser, step and a log, saved and restored together."""

    def __init__(self, folder: Path, regime: str, steps: int, size: int, peak: float, start: Path | None = None):
        self.folder, self.regime, self.steps, self.size, self.peak = folder, regime, steps, size, peak
        torch.manual_seed(0)
        self.model = build_model()
        # On a CPU the fused attention's backward pass takes longer than all the rest of a model this small.
        self.model.set_attn_implementation("eager")
        self.processor = build_processor()
        self.naming = PatchNaming(self.model)
        matrices = [p for layer in self._layers() for p in layer.parameters() if p.ndim == 2]
        chosen = {id(p) for p in matrices}
        self.parameters = [*self.model.parameters(), *self.naming.parameters()]
        rest = [p for p in self.parameters if id(p) not in chosen]
        # Muon (Jordan et al. 2024) for the matrices of the layers learns in about half the steps; its rate is its own.
        self.optimisers = (
            torch.optim.Muon(matrices, lr=MUON * peak, weight_decay=0.1, momentum=0.95),
            torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0),
        )
        self.step, self.seconds = 0, 0.0
        self.settings = {"regime": regime, "steps": steps, "batch_size": size, "learning_rate": peak}
        self.settings["processes"] = PROCESSES
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._restore()
        elif start is not None:
            state = torch.load(start / CHECKPOINT, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.naming.load_state_dict(state["naming"])

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def _layers(self) -> list[torch.nn.Module]:
        return [*self.model.vision_model.encoder.layers, *self.model.text_model.encoder.layers]

    def _restore(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        if state["settings"] != self.settings:
            raise SystemExit(f"{self.checkpoint} belongs to other settings: {state['settings']}; choose another --run.")
        self.model.load_state_dict(state["model"])
        self.naming.load_state_dict(state["naming"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Writes the checkpoint beside the old one first, so that an interruption cannot spoil both."""
        state = {"model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers]}
        state["naming"] = self.naming.state_dict()
        state |= {"step": self.step, "seconds": self.seconds, "settings": self.settings}
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def update(self, data: Batch) -> tuple[float, float]:
        """One optimiser step; returns the loss and the accuracy within the batch."""
        rate = learning_rate(self.step, self.steps, self.peak)
        for optimiser, factor in zip(self.optimisers, (MUON, 1.0), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = factor * rate
        captions = data.captions + data.negatives
        tokens = self.processor.tokenizer(captions, padding=True, truncation=True, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16):
            images = self.model.get_image_features(pixel_values=pixels(data.pictures)).pooler_output
            texts = self.model.get_text_features(**tokens).pooler_output
        images, texts = normalize(images.float(), dim=-1), normalize(texts.float(), dim=-1)
        loss, accuracy = contrastive_loss(images, texts, self.model.logit_scale.exp(), captions)
        total = loss + NAMING * self.naming.loss(data.names)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))
        self.step += 1
        return loss.item(), accuracy

    def train(self, every: int, until: int | None = None) -> None:
        """Trains to the last step, or to step `until` of the same schedule; logs and saves every so many steps."""
        started, seconds = time.monotonic(), self.seconds
        last = min(self.steps, until or self.steps)
        for data in batches(self.regime, self.step, last, self.steps, self.size):
            loss, accuracy = self.update(data)
            self.seconds = seconds + time.monotonic() - started
            if RANK == 0 and (self.step % every == 0 or self.step == last):
                self._log(loss, accuracy)
                self.save()

    def _log(self, loss: float, accuracy: float) -> None:
        line = {"step": self.step, "loss": round(loss, 4), "accuracy": round(accuracy, 4)}
        line |= {"logit_scale": round(self.model.logit_scale.exp().item(), 2), "seconds": round(self.seconds)}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def export(self, folder: Path) -> None:
        """Writes the model in half precision, with its processor, as `from_pretrained` expects them."""
        self.model.to(torch.float16).save_pretrained(folder)
        self.processor.save_pretrained(folder)


def together(processes: int, arguments: list[str]) -> None:
    """Runs this program in several processes that average their gradients, and waits for all of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    command = [sys.executable, "-m", "mmexplorer.training.clip", *arguments]
    workers = [subprocess.Popen(command, env=shared | {"RANK": str(rank)}) for rank in range(processes)]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise SystemExit("A process of the training run failed; start it again to resume.")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.clip",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--regime", choices=REGIMES, default="full", help="what the data cover (default: full)")
    parser.add_argument("--run", type=Path, default=Path("runs/toy-clip"), help="folder of checkpoints and log")
    parser.add_argument("--start", type=Path, help="folder of a finished run to start from")
    parser.add_argument("--output", type=Path, help="folder for the finished model (default: RUN/model)")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--until", type=int, help="stop after this step of the schedule")
    parser.add_argument("--batch-size", type=int, default=96)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument(
        "--processes", type=int, default=1, help="processes that train together, each on its own batches"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads for the model")
    parser.add_argument("--every", type=int, default=100, help="steps between log lines and checkpoints")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} small steps: shows that the recipe runs")
    options = parser.parse_args(arguments)
    if options.processes > 1 and PROCESSES == 1:
        return together(options.processes, sys.argv[1:] if arguments is None else arguments)
    torch.set_num_threads(options.threads)
    if PROCESSES > 1:
        distributed.init_process_group("gloo")
    steps, size = (QUICK_STEPS, 32) if options.quick else (options.steps, options.batch_size)
    run = Run(options.run, options.regime, steps, size, options.learning_rate, options.start)
    run.train(min(options.every, max(1, steps // 2)), options.until)
    if RANK == 0:
        run.export(options.output or options.run / "model")


if __name__ == "__main__":
    main()
