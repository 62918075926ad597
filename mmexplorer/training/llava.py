r"""Trains a toy LLaVA on a trained toy CLIP: `python -m mmexplorer.training.llava --help`.

The stages, each starting from the one before; the vision tower is CLIP's and stays as it is (Liu et al. 2023, arXiv
2304.08485 and 2310.03744). Real LLaVA takes a language model that can speak already; here it learns to in the first
stage, from the toy world's captions, questions and answers without any picture:

  python -m mmexplorer.training.llava --stage language --run runs/llava-language --steps 1500
  python -m mmexplorer.training.llava --stage align --start runs/llava-language --run runs/llava-align --steps 600
  python -m mmexplorer.training.llava --stage instruct --start runs/llava-align --run runs/llava-instruct --steps 9000

A last one makes a toy LLaVA-NeXT of the result, which reads larger pictures in tiles:

  python -m mmexplorer.training.llava --stage next --start runs/llava-instruct --run runs/llava-next --steps 2000

A run writes checkpoints, resumes from the last one when started again, and ends with a folder that
`from_pretrained` of transformers' own class loads. Batches depend on the stage and step only.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from mmexplorer.presets import preset
from mmexplorer.training.clip import learning_rate, pixels
from mmexplorer.training.llava_data import IGNORED, Batch, Batches
from mmexplorer.training.llava_forms import STAGES
from mmexplorer.training.llava_model import IMAGE, SPECIAL, build_chat_processor, build_llava, build_llava_next
from mmexplorer.training.llava_tiles import packed

CHECKPOINT = "checkpoint.pt"
QUICK_STEPS = 6
MUON = 10.0  # Muon's learning rate in units of AdamW's
WORKERS = 1  # processes that draw batches ahead


class Run:
    """One stage in a folder: model, optimisers, step and a log, saved and restored together."""

    def __init__(self, folder: Path, stage: str, steps: int, size: int, peak: float, clip: Path, start: Path | None):
        self.folder, self.stage, self.steps, self.size, self.peak = folder, stage, steps, size, peak
        torch.manual_seed(0)
        self.model = (build_llava_next if stage == "next" else build_llava)(clip)
        # On a CPU the fused attention's backward pass takes longer than all the rest of a model this small, until
        # sequences are as long as those with tiles.
        self.fused = stage == "next"
        self.model.set_attn_implementation("sdpa" if self.fused else "eager")
        self.model.model.vision_tower.requires_grad_(False)
        if stage == "align":
            self.model.model.language_model.requires_grad_(False)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        layers = self.model.model.language_model.layers if stage != "align" else []
        matrices = [p for layer in layers for p in layer.parameters() if p.ndim == 2]
        chosen = {id(p) for p in matrices}
        rest = [p for p in self.parameters if id(p) not in chosen]
        self.optimisers = [torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0)]
        self.factors = [1.0]
        if matrices:
            self.optimisers.append(torch.optim.Muon(matrices, lr=MUON * peak, weight_decay=0.1, momentum=0.95))
            self.factors.append(MUON)
        self.step, self.seconds = 0, 0.0
        self.settings = {"stage": stage, "steps": steps, "batch_size": size, "learning_rate": peak}
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._restore()
        elif start is not None:
            self._begin(torch.load(start / CHECKPOINT, weights_only=True)["model"])

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    @torch.no_grad()
    def _begin(self, weights: dict[str, torch.Tensor]) -> None:
        """Takes over weights; words that are new at the end of the vocabulary, and a newline, keep random ones."""
        own = self.model.state_dict()
        for name, value in weights.items():
            own[name][: len(value)] = value

    def _restore(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        if state["settings"] != self.settings:
            raise SystemExit(f"{self.checkpoint} belongs to other settings: {state['settings']}; choose another --run.")
        self.model.load_state_dict(state["model"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Writes the checkpoint beside the old one first, so that an interruption cannot spoil both."""
        state = {"model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers]}
        state |= {"step": self.step, "seconds": self.seconds, "settings": self.settings}
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def update(self, data: Batch) -> tuple[float, float]:
        """One optimiser step; returns the loss and the share of predicted tokens that are right."""
        rate = learning_rate(self.step, self.steps, self.peak)
        for optimiser, factor in zip(self.optimisers, self.factors, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = factor * rate
        with torch.autocast("cpu", torch.bfloat16):
            logits = self._logits(data)
        targets = data.labels[:, 1:]
        here = targets != IGNORED
        loss = cross_entropy(logits.float(), targets[here])
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        return loss.item(), (logits.argmax(-1) == targets[here]).float().mean().item()

    def _logits(self, data: Batch) -> torch.Tensor:
        """Logits (k, words) at the k positions whose next token is to be predicted."""
        embeddings = self.model.get_input_embeddings()(data.ids)
        if data.pictures is not None:
            here = (data.ids == SPECIAL.index(IMAGE))[..., None].expand_as(embeddings)
            embeddings = embeddings.masked_scatter(here, self._image_tokens(data).to(embeddings.dtype))
        mask = data.sees[:, None]
        if not self.fused:
            mask = torch.zeros(mask.shape, dtype=torch.bfloat16).masked_fill(~mask, torch.finfo(torch.bfloat16).min)
        output = self.model.model.language_model(
            inputs_embeds=embeddings, attention_mask=mask, position_ids=data.positions, use_cache=False
        )
        predicting = data.labels[:, 1:] != IGNORED
        return self.model.lm_head(output.last_hidden_state[:, :-1][predicting])

    def _image_tokens(self, data: Batch) -> torch.Tensor:
        """What stands in the place of the image tokens (p, k, width) of p pictures."""
        inner = self.model.model
        with torch.no_grad():
            views = pixels(data.pictures.reshape(-1, *data.pictures.shape[-3:]))
            hidden = inner.vision_tower(views, output_hidden_states=True).hidden_states
        patches = inner.multi_modal_projector(hidden[self.model.config.vision_feature_layer][:, 1:])
        if data.size is None:
            return patches
        return packed(patches.unflatten(0, data.pictures.shape[:2]), inner.image_newline, *data.size)

    def train(self, every: int, until: int | None = None) -> None:
        """Trains to the last step, or to step `until` of the same schedule; logs and saves every so many steps."""
        started, seconds = time.monotonic(), self.seconds
        last = min(self.steps, until or self.steps)
        loader = DataLoader(
            Batches(self.stage, self.step, last, self.size), batch_size=None, num_workers=WORKERS, prefetch_factor=4
        )
        losses, rights = [], []
        for data in loader:
            loss, right = self.update(data)
            losses.append(loss)
            rights.append(right)
            self.seconds = seconds + time.monotonic() - started
            if self.step % every == 0 or self.step == last:
                self._log(sum(losses) / len(losses), sum(rights) / len(rights))
                losses, rights = [], []
                self.save()

    def _log(self, loss: float, right: float) -> None:
        line = {"step": self.step, "loss": round(loss, 4), "right": round(right, 4), "seconds": round(self.seconds)}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def export(self, folder: Path) -> None:
        """Writes the model in half precision, with its processor, as `from_pretrained` expects them."""
        self.model.to(torch.float16).save_pretrained(folder)
        build_chat_processor(tiled=self.stage == "next").save_pretrained(folder)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.llava",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", choices=STAGES, default="instruct", help="what is learned (default: instruct)")
    parser.add_argument("--clip", type=Path, default=preset("toy-clip").path, help="folder of the trained CLIP")
    parser.add_argument("--run", type=Path, default=Path("runs/toy-llava"), help="folder of checkpoints and log")
    parser.add_argument("--start", type=Path, help="folder of a finished run to start from")
    parser.add_argument("--output", type=Path, help="folder for the finished model (default: RUN/model)")
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--until", type=int, help="stop after this step of the schedule")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads for the model")
    parser.add_argument("--every", type=int, default=100, help="steps between log lines and checkpoints")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} small steps: shows that the recipe runs")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    steps, size = (QUICK_STEPS, 4) if options.quick else (options.steps, options.batch_size)
    run = Run(options.run, options.stage, steps, size, options.learning_rate, options.clip, options.start)
    run.train(min(options.every, max(1, steps // 2)), options.until)
    run.export(options.output or options.run / "model")


if __name__ == "__main__":
    main()
