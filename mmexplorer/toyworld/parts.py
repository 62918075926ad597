"""A picture taken apart: a smooth background, and the connected parts of one colour that stand out from it.

Works on colours and neighbourhoods only; what shape a part has is the business of `outlines`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FAINT = 40.0  # least distance from the background, in the units of OPPONENT; the world's palest things have twice that
LEAST = 12  # pixels; the world's smallest thing has three times as many
MOST_COLOURS = 4  # that touch each other
# Lightness and two colour differences of a change of RGB. Those count less because JPEG and autoencoders blur them.
OPPONENT = np.array([(0.299, 0.587, 0.114), (-0.101, -0.199, 0.3), (0.3, -0.251, -0.049)], np.float32).T


@dataclass(frozen=True)
class Part:
    """A connected part of one colour: how much of each pixel it covers (0 to 1), and what it looks like."""

    cover: np.ndarray  # (h, w) float32, with its soft rim
    mask: np.ndarray  # (h, w) bool, where it covers more than half
    rgb: np.ndarray  # (3,) where it covers most, as a blur leaves the least of the background there


def parts(pixels: np.ndarray) -> list[Part]:
    """The parts of a picture (h, w, 3) of RGB values up to 255; specks and faint stains are left out."""
    pixels = np.asarray(pixels, np.float32)
    background = _background(pixels)
    away = (pixels - background) @ OPPONENT
    found = []
    for region in _connected(_length(away) > 0.6 * FAINT):
        crop = _around(region, 3)
        for near in _split(away[crop], region[crop]):
            cover = np.zeros(region.shape, np.float32)
            cover[crop] = near
            mask = cover > 0.5
            strong = mask & (cover >= np.quantile(cover[mask], 0.6))
            found.append(Part(cover, mask, pixels[strong].mean(0)))
    return found


def _background(pixels: np.ndarray) -> np.ndarray:
    """Each channel as a linear function of place, (h, w, 3), fitted to what resembles the picture's frame."""
    h, w, _ = pixels.shape
    rows, columns = np.mgrid[0:h, 0:w].reshape(2, -1)
    design = np.stack([np.ones(h * w), columns / w - 0.5, rows / h - 0.5], 1).astype(np.float32)
    flat = pixels.reshape(-1, 3)
    sides = (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:])
    frame = np.concatenate([side.reshape(-1, 3) for side in sides])
    fit = np.broadcast_to(np.median(frame, 0), flat.shape)
    for reach in (40, 30, 25):
        near = design * (np.abs(flat - fit).max(1) < reach)[:, None]
        # The small ridge keeps the fit as it is where hardly any pixel resembles it.
        fit = fit + design @ np.linalg.solve(near.T @ design + np.diag([1e-3, 1, 1]), near.T @ (flat - fit))
    return fit.reshape(pixels.shape).astype(np.float32)


def _split(away: np.ndarray, region: np.ndarray) -> Iterator[np.ndarray]:
    """The cover of each part in a connected region, which is split where its colour changes."""
    colours, solids = _colours(away, region)
    for colour, ground in zip(colours, _shared_out(region, solids), strict=True):
        cover = np.where(ground, np.clip(away @ colour / (colour @ colour), 0, 1), 0).astype(np.float32)
        for piece in _connected(cover > 0.4):
            mask = piece & (cover > 0.5)
            if mask.sum() >= LEAST:
                yield np.where(_grown(mask, 2) & ((cover <= 0.5) | mask), cover, 0)


def _colours(away: np.ndarray, region: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The colours in a connected region, as distances from the background (3,), and the pixels that have them.

    Blends of a colour with the background belong to its rim. They count as a colour of their own only where they
    are even and not close to it: so gray beside black is not taken for the rim of the black.
    """
    ring = np.pad(away, ((1, 1), (1, 1), (0, 0)), mode="edge")
    sides = (ring[:-2, 1:-1], ring[2:, 1:-1], ring[1:-1, :-2], ring[1:-1, 2:])
    even = np.max([np.abs(away - side).max(-1) for side in sides], axis=0) < 20
    colours, solids = [], []
    free = region & (_length(away) > FAINT)
    while free.sum() >= LEAST and len(colours) < MOST_COLOURS:
        colour = _commonest(away[free])
        off = _length(away - (away @ colour / (colour @ colour))[..., None] * colour)
        solid = region & (off < 25) & (_length(away - colour) < max(20, 0.3 * float(_length(colour))))
        colours.append(colour)
        solids.append(solid)
        free &= ~_grown(solid, 2) & (even | (off > 30))
    if len(colours) > 1:  # the rim of one may look like another
        near = [_grown(solid, 2) for solid in solids]
        rims = [np.any(near[:i] + near[i + 1 :], axis=0) & ~even for i in range(len(near))]
        solids = [solid & ~rim for solid, rim in zip(solids, rims, strict=True)]
    return colours, solids


def _commonest(away: np.ndarray) -> np.ndarray:
    """The commonest colour (3,) among the half of some pixels (n, 3) that is farther from the background."""
    length = _length(away)
    strong = away[length >= np.median(length)]
    strong = strong[:: len(strong) // 120 + 1]
    close = _length(strong[:, None] - strong[None]) < 30
    return strong[close[close.sum(1).argmax()]].mean(0)


def _shared_out(region: np.ndarray, seeds: list[np.ndarray]) -> list[np.ndarray]:
    """The region's pixels, each with the seed that it is nearest to."""
    owner = np.full(region.shape, 0 if len(seeds) == 1 else -1)
    for i, seed in enumerate(seeds):
        owner[seed & (owner < 0)] = i
    left = region & (owner < 0)
    while left.any():
        for i in range(len(seeds)):
            owner[left & _grown(owner == i, 1)] = i
        left, before = left & (owner < 0), left
        if (left == before).all():
            break
    return [region & (owner == i) for i in range(len(seeds))]


def _connected(mask: np.ndarray) -> list[np.ndarray]:
    """The 8-connected parts of a mask with LEAST pixels or more, from top to bottom."""
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    runs = list(zip(rows.tolist(), starts.tolist(), np.nonzero(steps == -1)[1].tolist(), strict=True))
    by_row: dict[int, list[int]] = {}
    for i, (row, _, _) in enumerate(runs):
        by_row.setdefault(row, []).append(i)
    group = list(range(len(runs)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = i = group[group[i]]
        return i

    for row, here in by_row.items():
        for i in here:
            _, start, stop = runs[i]
            for j in by_row.get(row - 1, ()):
                if runs[j][1] <= stop and start <= runs[j][2]:
                    group[root(i)] = root(j)
    pieces: dict[int, list[int]] = {}
    for i in range(len(runs)):
        pieces.setdefault(root(i), []).append(i)
    found = []
    for members in pieces.values():
        if sum(runs[i][2] - runs[i][1] for i in members) >= LEAST:
            piece = np.zeros(mask.shape, bool)
            for row, start, stop in (runs[i] for i in members):
                piece[row, start:stop] = True
            found.append(piece)
    return found


def _grown(mask: np.ndarray, times: int) -> np.ndarray:
    """The mask with its neighbours above, below, left and right, several times over."""
    for _ in range(times):
        ring = np.pad(mask, 1)
        mask = ring[1:-1, 1:-1] | ring[:-2, 1:-1] | ring[2:, 1:-1] | ring[1:-1, :-2] | ring[1:-1, 2:]
    return mask


def _around(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    ends = (np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0))
    return tuple(slice(max(0, int(first) - margin), int(last) + 1 + margin) for first, last in ends)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
