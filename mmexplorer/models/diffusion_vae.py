"""From latents to pictures: exactly by the autoencoder, or in no time by a linear map of each position's channels.

Knows neither prompts nor steps.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmexplorer.models.damage import refuse_damaged
from mmexplorer.models.diffusion_vae_memory import spared
from mmexplorer.models.input_device import input_device

PIXELS_AT_ONCE = 2**20  # decoded in one batch
FITTED_SIDE = 24  # latent positions of the picture that a map is fitted to


class LatentDecoder:
    """Decodes scaled latents (n, channels, rows, columns), the ones that a diffusion network sees.

    The linear map comes from the model's folder (latent_rgb.json: weight (channels, 3) and bias (3,) for RGB in 0..1),
    else it is fitted by least squares to how the autoencoder encodes a picture of smooth and sharp colours.
    """

    def __init__(self, vae: torch.nn.Module, image_processor, folder: Path):
        self.vae, self._image_processor = vae, image_processor
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self._dtype = vae.dtype
        file = folder / "latent_rgb.json"
        stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else self._fitted()
        self._weight, self._bias = (torch.tensor(stored[key], dtype=torch.float32) for key in ("weight", "bias"))

    def preview(self, latent: Tensor) -> Image.Image:
        """A small picture of one latent (channels, rows, columns), a pixel for each position."""
        colours = latent.detach().float().cpu().movedim(0, -1) @ self._weight + self._bias
        return Image.fromarray((colours.clamp(0, 1) * 255).round().to(torch.uint8).numpy())

    @torch.no_grad()
    def pictures(self, latents: Iterable[np.ndarray]) -> list[Image.Image]:
        """The decoded pictures of latents (channels, rows, columns) each."""
        stack = torch.from_numpy(np.stack(list(latents))).float()
        at_once = max(1, PIXELS_AT_ONCE // (stack[0, 0].numel() * self.factor**2))
        pictures, (height, width) = [], (side * self.factor for side in stack.shape[-2:])
        with self.guarded(width, height, min(at_once, len(stack))):
            dtype = self._upcast()
            mean, scale = self._normalisation()
            for part in stack.split(at_once):
                raw = (part * scale + mean).to(input_device(self.vae), dtype)
                decoded = self.vae.decode(raw, return_dict=False)[0]
                pictures += self._image_processor.postprocess(decoded, output_type="pil")
        return pictures

    @contextmanager
    def guarded(self, width: int, height: int, pictures: int = 1) -> Iterator[None]:
        """While somebody decodes pictures of a size at once: Refusal for pixels that are not finite.

        Nothing changes for good: neither the number format, nor how the autoencoder spares memory.
        """
        numbers = torch.float32 if self._overflows() else self._dtype
        hook = self.vae.decoder.register_forward_hook(lambda _, __, pixels: refuse_damaged(pixels))
        try:
            with spared(self.vae, width * height, pictures, numbers.itemsize):
                yield
        finally:
            hook.remove()
            self._restore()

    def _restore(self) -> None:
        """Back to the autoencoder's number format, which an interrupted pipeline leaves changed."""
        if self.vae.dtype != self._dtype:
            self.vae.to(self._dtype)

    def _upcast(self) -> torch.dtype:
        """float32 for autoencoders that overflow in float16, as SDXL's does."""
        if self._overflows():
            self.vae.to(torch.float32)
        return self.vae.dtype

    def _overflows(self) -> bool:
        return self._dtype == torch.float16 and bool(self.vae.config.get("force_upcast"))

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """mean and scale with which raw = scaled * scale + mean."""
        config = self.vae.config
        mean, std = (config.get(key) for key in ("latents_mean", "latents_std"))
        if mean is None or std is None:
            mean, std = [config.get("shift_factor") or 0.0], [1.0]
        mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (mean, std))
        return mean, std / config.scaling_factor

    @torch.no_grad()
    def _fitted(self) -> Mapping[str, list]:
        colours = _colours(FITTED_SIDE)
        pixels = torch.from_numpy(np.kron(colours, np.ones((self.factor, self.factor, 1), np.float32)))
        try:
            dtype = self._upcast()
            encoded = self.vae.encode((pixels * 2 - 1).movedim(-1, 0)[None].to(input_device(self.vae), dtype))
        finally:
            self._restore()
        raw = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        mean, scale = self._normalisation()
        latent = ((raw[0].float().cpu() - mean) / scale).movedim(0, -1).flatten(0, 1)
        rows = torch.cat([latent, torch.ones(len(latent), 1)], dim=1).double()
        # gelsd, because two channels of a small autoencoder may say the same.
        found = torch.linalg.lstsq(rows, torch.from_numpy(colours).flatten(0, 1).double(), driver="gelsd").solution
        return {"weight": found[:-1].tolist(), "bias": found[-1].tolist()}


def _colours(side: int) -> np.ndarray:
    """A picture (side, side, 3) in 0..1, the same every time: its upper half smooth colours, its lower half patches."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (2, 4, 4, 3), np.uint8)
    ways = (Image.Resampling.BICUBIC, Image.Resampling.NEAREST)
    halves = [
        np.asarray(Image.fromarray(part).resize((side, side // 2), way)) for part, way in zip(coarse, ways, strict=True)
    ]
    return np.concatenate(halves).astype(np.float32) / 255
