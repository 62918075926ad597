"""Trains the toy Stable Diffusion's UNet and text encoder together, and exports any kept step as a pipeline.

Latent diffusion (Rombach et al. 2022, arXiv 2112.10752) with v-prediction (Salimans and Ho 2022, 2202.00512), dropped
captions for classifier-free guidance (Ho and Salimans 2022, 2207.12598) and averaged weights. Knows latents and token
ids, not what they show.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch.nn.functional import mse_loss

from mmexplorer.training.clip_naming import SHAPE_IDS
from mmexplorer.training.diffusion_latents import load, prompt_ids
from mmexplorer.training.diffusion_model import (
    GUIDANCE,
    STEPS,
    TIMESTEPS,
    build_pipeline,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    save_pipeline,
)
from mmexplorer.training.diffusion_naming import LatentNaming
from mmexplorer.training.diffusion_run import CHECKPOINT, Run, log_lines
from mmexplorer.training.diffusion_vae import load_vae, preview, psnr

DROPPED = 0.1  # share of captions that are replaced by ""
AVERAGE = 0.999  # share of the averaged weights that a step keeps, once there are many
GAMMA = 5.0  # of the min-SNR weighting (Hang et al. 2023, arXiv 2303.09556)
DECAY = 0.02  # weight decay of Muon
PARTS = ("unet", "text_encoder")
EARLIER = "earlier.json"  # the settings and logs of the runs that a run goes on from


class DenoiseRun(Run):
    """The training of UNet and text encoder on latents of a folder; steps in `keep` leave a snapshot of the average.

    naming is the weight of naming patches (see `diffusion_naming`), 0 for none. shift above 1 moves timesteps to where
    there is more noise (Esser et al. 2024, arXiv 2403.03206), in which places and numbers of things are decided. often
    are shapes whose scenes come so many times as often as others. A run begins with the averaged weights of the run
    `start`, if there is one.
    """

    def __init__(
        self,
        folder: Path,
        steps: int,
        size: int,
        peak: float,
        latents: Path,
        scenes: int,
        clip: Path,
        keep: Sequence[int],
        naming: float = 0.0,
        shift: float = 1.0,
        start: Path | None = None,
        often: Mapping[str, float] | None = None,
    ):
        torch.manual_seed(0)
        self.size, self.keep, self.weight_of_naming, self.shift = size, frozenset(keep), naming, shift
        self.text_encoder = build_text_encoder(clip)
        # On a CPU the fused attention's backward pass takes longer than the plain one's.
        self.text_encoder.set_attn_implementation("eager")
        self.unet = build_unet(self.text_encoder.config.hidden_size)
        self.unet.set_attn_processor(AttnProcessor())
        trained = dict(zip(PARTS, (self.unet, self.text_encoder), strict=True))
        settings = {"stage": "denoise", "steps": steps, "batch_size": size, "learning_rate": peak, "scenes": scenes}
        if naming:
            self.naming = trained["naming"] = LatentNaming(self.unet)
            settings["naming"] = naming
        if shift != 1:
            settings["shift"] = shift
        if often:
            settings["often"] = dict(often)
        super().__init__(folder, settings, trained, DECAY)
        self.averages = {name: copy.deepcopy(self.trained[name]).requires_grad_(False) for name in PARTS}
        self.kept = {f"average {name}": module for name, module in self.averages.items()}
        self.data = load(latents, scenes)
        self.chances = chances(self.data.names, often or {})
        self.empty = prompt_ids(build_tokenizer(), [""])
        share = build_scheduler().alphas_cumprod
        self.signal, self.noise = share.sqrt(), (1 - share).sqrt()
        ratio = share / (1 - share)
        # Min-SNR for v with its one added, so that pure noise, where a layout is decided, keeps its weight.
        self.weight = (ratio + 1).clamp(max=GAMMA) / (ratio + 1)
        if start is not None:
            self._begin(start)
        self.restore()

    def _begin(self, start: Path) -> None:
        """Takes over a run's averaged weights, for the average too, and its past; heads only if there are any."""
        state = torch.load(start / CHECKPOINT, weights_only=True)
        weights = state["modules"]
        past = [*_earlier(start), {"settings": state["settings"], "log": log_lines(start)}]
        (self.folder / EARLIER).write_text(json.dumps(past) + "\n", encoding="utf-8")
        for name, module in self.trained.items():
            if name in weights:
                module.load_state_dict(weights.get(f"average {name}", weights[name]))
        for name, average in self.averages.items():
            average.load_state_dict(self.trained[name].state_dict())

    def loss(self, step: int) -> torch.Tensor:
        luck = torch.Generator().manual_seed(step)
        rows = torch.multinomial(self.chances, self.size, replacement=True, generator=luck)
        latents = self.data.latents[rows].float()
        said = torch.randint(self.data.ids.shape[1], (self.size,), generator=luck)
        ids = self.data.ids[rows, said].long()
        ids = torch.where(torch.rand(self.size, 1, generator=luck) < DROPPED, self.empty, ids)
        # One timestep out of each of `size` equal ranges: less chance in the loss than with independent ones.
        t = (torch.arange(self.size) + torch.rand(self.size, generator=luck)) / self.size
        t = self.shift * t / (1 + (self.shift - 1) * t)
        t = (t * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
        signal, spread = self.signal[t, None, None, None], self.noise[t, None, None, None]
        noise = torch.randn(latents.shape, generator=luck)
        with torch.autocast("cpu", torch.bfloat16):
            context = self.text_encoder(ids).last_hidden_state
            found = self.unet(signal * latents + spread * noise, t, context).sample.float()
        errors = mse_loss(found, signal * noise - spread * latents, reduction="none").mean((1, 2, 3))
        loss = (self.weight[t] * errors).mean()
        if self.weight_of_naming:
            loss = loss + self.weight_of_naming * self.naming.loss(self.data.names[rows].long(), self.signal[t])
        return loss

    @torch.no_grad()
    def after_step(self) -> None:
        kept = min(AVERAGE, (1 + self.step) / (10 + self.step))
        for name, average in self.averages.items():
            torch._foreach_lerp_(list(average.parameters()), list(self.trained[name].parameters()), 1 - kept)
        if self.step in self.keep:
            torch.save(self._snapshot(), self.folder / f"snapshot-{self.step}.pt")

    def _snapshot(self) -> dict:
        return {n: {k: v.half() for k, v in average.state_dict().items()} for n, average in self.averages.items()}


def chances(names: torch.Tensor, often: Mapping[str, float]) -> torch.Tensor:
    """How often each scene comes, (n,), relative to one without the shapes in `often`; the greatest of them counts."""
    found = torch.ones(len(names))
    for shape, times in often.items():
        shown = (names[:, 0] == SHAPE_IDS[shape]).any(dim=1)
        found = torch.where(shown, found.clamp(min=times), found)
    return found


def _earlier(run: Path) -> list[dict]:
    file = run / EARLIER
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def export(run: Path, step: int | None, vae_run: Path, clip: Path, folder: Path) -> None:
    """Writes the averaged weights of a run's last checkpoint, or of a kept step, as a whole pipeline.

    training.json beside it tells the settings and the logs of the run and those that it goes on from, up to that step;
    steps are counted from the first run's first.
    """
    state = torch.load(run / CHECKPOINT, weights_only=True)
    if step is None:
        weights = {name: state["modules"][f"average {name}"] for name in PARTS}
    else:
        weights = torch.load(run / f"snapshot-{step}.pt", weights_only=True)
    text_encoder = build_text_encoder(clip)
    text_encoder.load_state_dict(weights["text_encoder"])
    unet = build_unet(text_encoder.config.hidden_size)
    unet.load_state_dict(weights["unet"])
    vae = load_vae(vae_run)
    colours = preview(vae)
    last = state["step"] if step is None else step
    log = [line for line in log_lines(run) if line["step"] <= last]
    runs = [*_earlier(run), {"settings": state["settings"], "log": log}]
    steps = sum(one["log"][-1]["step"] for one in runs)
    facts = {"step": steps, "guidance": GUIDANCE, "denoising_steps": STEPS, "autoencoder_psnr": round(psnr(vae), 2)}
    facts |= {"autoencoder": log_lines(vae_run)[-1], "runs": runs}
    save_pipeline(build_pipeline(vae, unet, text_encoder), colours, folder)
    (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
