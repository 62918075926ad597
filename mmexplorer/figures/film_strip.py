"""A drawing's denoising steps as the payload of `components.film_strip`, finished or still under way.

Turns latents into small pictures and keeps the payload light; knows no model, and nothing of how it is drawn.
"""

import base64
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmexplorer.drawings import DrawEvent, Drawing, Step
from mmexplorer.figures.inline import data_uri, payload_text

# Characters of a payload. A connection of 10 Mbit/s needs three seconds for so much.
BUDGET = 4_000_000
# Longest side of previews: large and, where many large ones are too heavy, small. The strip alone needs only thumbs.
LARGE, SMALL, THUMB = 256, 128, 96
# Up to this side a preview is sent as it is, every pixel of it.
EXACT_SIDE = 128
# A channel's mean plus or minus so many standard deviations fill the range from black to white.
SPREAD = 2.5


def film_strip_payload(drawing: Drawing, *, to_rgb: np.ndarray | None = None, budget: int = BUDGET) -> str:
    """JSON for `components.film_strip`: each step's latent, predicted picture, guidance and numbers.

    to_rgb (channels + 1, 3) is an affine map from a latent to red, green and blue from 0 to 1, its last row the offset;
    without one the first three channels are shown. A payload of more than `budget` characters gets smaller previews,
    then fewer steps, evenly chosen with the first and the last among them, and a note that says so.
    """
    steps, total = drawing.steps, _total(drawing)
    notes = [] if len(steps) == total else [f"Stopped after step {len(steps)} of {total}."]
    latents = [data_uri(picture, "png") for picture in latent_pictures([step.latent for step in steps], to_rgb)]
    maps, most = _guidance(steps)
    frames = _frames(drawing, latents, LARGE)
    if _weight(frames, maps) > budget and any(max(preview.size) > SMALL for preview in drawing.previews):
        frames = _frames(drawing, latents, SMALL)
        notes.append(f"Previews are reduced to {SMALL} pixels to keep this page light.")
    if (weight := _weight(frames, maps)) > budget:
        kept = _evenly(len(frames), int(len(frames) * budget / weight))
        frames, maps = [frames[i] for i in kept], maps[kept] if maps is not None else None
        notes.append(f"{len(kept)} of {len(steps)} steps are kept here to keep this page light.")
    return payload_text(
        {
            "live": False,
            "total": total,
            "size": list(drawing.image.size),
            "exact": _exact(drawing.previews[:1]),
            "decoded": all(preview.size == drawing.image.size for preview in drawing.previews),
            "latent": {"shape": list(steps[0].latent.shape) if steps else [], "mapped": to_rgb is not None},
            "guidance": {"most": most, "maps": _bytes_text(maps)} if maps is not None else None,
            "frames": frames,
            "notes": notes,
        }
    )


class LiveStrip:
    """Payloads for `components.film_strip` while a drawing is made: previews so far, each of them encoded once.

    width and height are the picture's; guided says whether guidance will be shown in the end, so that its place is
    kept.
    """

    def __init__(self, width: int, height: int, *, guided: bool) -> None:
        self._size, self._guided = [width, height], guided
        self._frames: list[dict] = []

    def payload(self, event: DrawEvent) -> str:
        """JSON with the event's preview added; previews before it are sent as thumbs."""
        if event.preview is not None:
            self._frames.append({"number": event.number, "clean": _preview_uri(event.preview, THUMB)})
        return payload_text(
            {
                "live": True,
                "decoded": event.preview is not None and list(event.preview.size) == self._size,
                "number": event.number,
                "total": event.total,
                "eta": event.eta,
                "size": self._size,
                "exact": _exact([event.preview] if event.preview is not None else []),
                "guided": self._guided,
                "newest": _preview_uri(event.preview, LARGE) if event.preview is not None else None,
                "frames": self._frames,
            }
        )


def latent_pictures(latents: Sequence[np.ndarray], to_rgb: np.ndarray | None = None) -> list[Image.Image]:
    """Latents (channels, rows, columns) as pictures of one pixel for each position, all in the same colours.

    to_rgb (channels + 1, 3) is as in `film_strip_payload`; without it the first three channels are spread by their mean
    and standard deviation over all the latents.
    """
    if not latents:
        return []
    values = np.nan_to_num(np.stack(latents).astype(np.float32))
    if to_rgb is not None:
        colours = np.einsum("nchw,cr->nhwr", values, to_rgb[:-1]) + to_rgb[-1]
    else:
        channels = values[:, np.arange(3) % values.shape[1]]
        mean, deviation = (f(channels, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
        colours = ((channels - mean) / (2 * SPREAD * np.maximum(deviation, 1e-6)) + 0.5).transpose(0, 2, 3, 1)
    return [Image.fromarray(codes) for codes in (np.clip(colours, 0, 1) * 255).round().astype(np.uint8)]


def _total(drawing: Drawing) -> int:
    """The number of steps that were asked for; some schedulers take more than asked, a stopped drawing fewer."""
    asked = int(drawing.settings.get("steps") or 0) if drawing.ended == "stopped" else 0
    return max(asked, len(drawing.steps))


def _frames(drawing: Drawing, latents: Sequence[str], longest: int) -> list[dict]:
    return [
        {
            "number": step.number,
            "timestep": float(step.timestep),
            "noise_level": float(step.noise_level),
            "seconds": float(step.seconds),
            "clean": _preview_uri(preview, longest),
            "latent": latent,
        }
        for step, preview, latent in zip(drawing.steps, drawing.previews, latents, strict=True)
    ]


def _exact(previews: Sequence[Image.Image]) -> bool:
    """Whether previews have so few pixels that every one of them is worth seeing."""
    return all(max(preview.size) <= EXACT_SIDE for preview in previews)


def _preview_uri(preview: Image.Image, longest: int) -> str:
    preview = preview.convert("RGB")
    if max(preview.size) <= min(longest, EXACT_SIDE):
        return data_uri(preview, "png")
    preview.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return data_uri(preview, "webp", quality=80)


def _guidance(steps: Sequence[Step]) -> tuple[np.ndarray | None, float]:
    """Mean absolute guidance over channels (steps, rows, columns) as uint8, and the value that 255 stands for."""
    if not steps or any(step.guidance is None for step in steps):
        return None, 0.0
    vectors = np.nan_to_num(np.stack([step.guidance for step in steps]).astype(np.float32))
    strengths = np.abs(vectors).mean(axis=1)
    most = float(strengths.max())
    return (strengths * (255 / most if most else 0)).round().astype(np.uint8), most


def _weight(frames: Sequence[dict], maps: np.ndarray | None) -> int:
    """About how many characters the payload has."""
    return len(payload_text({"frames": frames})) + (maps.size * 4 // 3 if maps is not None else 0)


def _evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the numbers below `count`, but the first and the last at least."""
    return [int(i) for i in np.unique(np.linspace(0, count - 1, max(2, wanted)).round().astype(int))]


def _bytes_text(values: np.ndarray) -> dict:
    return {"shape": list(values.shape), "uint8": base64.b64encode(values.tobytes()).decode("ascii")}
