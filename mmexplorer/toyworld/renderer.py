"""Scenes to pixels and masks, many at a time.

Things are looked up in precomputed signed distance fields inside a window just big enough for them, then painted back
to front. Only operations that IEEE 754 rounds exactly are used on pixels, so every machine draws the same picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmexplorer.toyworld.scenes import CANVAS, Scene, Thing
from mmexplorer.toyworld.shapes import EXTENT, GRID, fields

WINDOWS = (16, 26, 40, CANVAS, 96)
LETTER_ADVANCE = 1.24  # distance of letters, in half letter heights
_FILLS = {"solid": 0.0, "striped": 1.0, "outline": 2.0}


@dataclass(frozen=True)
class Annotation:
    """The truth about one thing: its names, its box (left, top, right, bottom) and its visible silhouette."""

    thing: Thing
    box: tuple[int, int, int, int]
    mask: np.ndarray


def render(scenes: Sequence[Scene]) -> np.ndarray:
    """Pictures (n, height, width, 3) uint8 of n scenes on canvases of one size; ValueError if sizes differ."""
    canvas = np.stack([_background(scene) for scene in scenes])
    for stroke in _strokes(scenes):
        _paint(canvas, *stroke)
    return np.stack([_grain(picture, scene) for picture, scene in zip(canvas, scenes, strict=True)])


def owners(scenes: Sequence[Scene]) -> np.ndarray:
    """Which thing each pixel shows: its index in its scene, or -1 for the background, (n, height, width) int8."""
    width, height = scenes[0].canvas
    owner = np.full((len(scenes), height, width), -1, dtype=np.int8)
    for stroke in _strokes(scenes):
        _claim(owner, *stroke)
    return owner


def annotate(scene: Scene) -> list[Annotation]:
    """Names, boxes and masks (height, width) of a scene's things; what a later thing covers belongs to that one."""
    owner = owners([scene])[0]
    annotations = []
    for index, thing in enumerate(scene.things):
        mask = owner == index
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else (0, 0, 0, 0)
        annotations.append(Annotation(thing, box, mask))
    return annotations


def _marks(thing: Thing) -> list[tuple[str, int, float, float, float, tuple, float]]:
    """What is drawn for a thing: (field, variant, x, y, radius, rgb, fill) for each letter, eye or shape."""
    if thing.shape == "word":
        step, middle = thing.radius * LETTER_ADVANCE, (len(thing.text) - 1) / 2
        slope = round(math.tan(math.radians(thing.look.angle)), 6)
        return [
            (
                letter,
                0,
                thing.x + (i - middle) * step,
                thing.y + (i - middle) * step * slope,
                thing.radius,
                thing.rgb,
                0.0,
            )
            for i, letter in enumerate(thing.text)
        ]
    marks = [(thing.shape, thing.look.variant, thing.x, thing.y, thing.radius, thing.rgb, _FILLS[thing.fill])]
    if thing.facing == "viewer":
        eye, r = max(0.11 * thing.radius, 0.9), thing.radius
        marks += [("dot", 0, thing.x + s * 0.13 * r, thing.y - 0.66 * r, eye, (255, 255, 255), 0.0) for s in (-1, 1)]
    return marks


def _strokes(scenes: Sequence[Scene]):
    """Yields, layer by layer and window by window, everything that can be painted in one go."""
    _, index = fields()
    shortest = min(scenes[0].canvas)
    windows = [*(w for w in WINDOWS if w < shortest), min(shortest, WINDOWS[-1])]
    table, window, layer = [], [], []
    for number, scene in enumerate(scenes):
        depth = 0
        for owner, thing in enumerate(scene.things):
            look = thing.look
            turn = math.radians(look.angle)
            cos, sin = round(math.cos(turn), 6), round(math.sin(turn), 6)
            mirror = -1.0 if look.mirrored else 1.0
            dark = 0.25 * sum(thing.rgb) / 3
            for name, variant, x, y, radius, rgb, fill in _marks(thing):
                need = 2 * radius * EXTENT * 1.02 + 3
                window.append(next((w for w in windows if w >= need), windows[-1]))
                layer.append(depth)
                depth += 1
                row = (number, owner, index[name][variant], x, y, radius, cos, sin, look.aspect, look.bend, mirror)
                table.append((*row, look.softness, look.line, look.border, look.stripes, fill, *rgb, dark))
    if not table:
        return
    table, window, layer = np.array(table, dtype=np.float32), np.array(window), np.array(layer)
    for depth in range(layer.max() + 1):
        for size in windows:
            chosen = table[(layer == depth) & (window == size)]
            for start in range(0, len(chosen), 32):  # small enough for the cache
                yield chosen[start : start + 32].T[:, :, None, None], size


def _distance(p: np.ndarray, size: int, height: int, width: int):
    """Signed distance in pixels in each mark's window, with the window's pixel rows and columns on the canvas."""
    x, y, radius, cos, sin, aspect, bend, mirror = p[3:11]
    grid = np.arange(size, dtype=np.float32)
    left = np.clip(np.floor(x - size / 2), 0, width - size)
    top = np.clip(np.floor(y - size / 2), 0, height - size)
    columns, rows = left + grid[None, None, :], top + grid[None, :, None]
    dx, dy = (columns + 0.5 - x) / radius, (rows + 0.5 - y) / radius
    u = (dx * cos + dy * sin) * mirror
    v = dy * cos - dx * sin
    u = (u + bend * v * v) * np.where(aspect > 1, aspect, 1)
    v = (v + bend * u * u) / np.where(aspect < 1, aspect, 1)
    scale = GRID / (2 * EXTENT)
    i = np.clip((u + EXTENT) * scale, 0, GRID - 1).astype(np.int32)
    j = np.clip((v + EXTENT) * scale, 0, GRID - 1).astype(np.int32)
    atlas, _ = fields()
    distance = atlas.reshape(-1)[(p[2].astype(np.int32) * GRID + j) * GRID + i] * radius
    return distance, rows.astype(np.int32), columns.astype(np.int32)


def _paint(canvas: np.ndarray, p: np.ndarray, size: int) -> None:
    distance, rows, columns = _distance(p, size, *canvas.shape[1:3])
    softness, line, border, stripes, fill = p[11:16]
    rgb, dark = p[16:19], p[19]
    edge = np.where(fill == 2, np.abs(distance + line / 2) - line / 2, distance)
    alpha = np.clip(0.5 - edge / softness, 0, 1)
    # Stripes run along the window's diagonal; between them the colour is washed out.
    phase = (rows + columns) / (1.4 * stripes)
    wash = np.where(fill == 1, (phase - np.floor(phase) > 0.5) * 0.62, 0)
    rim = np.where(border > 0, np.clip(0.5 + (distance + border) / softness, 0, 1), 0)
    scene = p[0].astype(np.int32)
    before = canvas[scene, rows, columns]
    colour = np.empty_like(before)
    for channel in range(3):
        paint = rgb[channel] + wash * (255 - rgb[channel])
        colour[..., channel] = paint + rim * (dark - paint)
    canvas[scene, rows, columns] = before + alpha[..., None] * (colour - before)


def _claim(owner: np.ndarray, p: np.ndarray, size: int) -> None:
    distance, rows, columns = _distance(p, size, *owner.shape[1:])
    scene = np.broadcast_to(p[0].astype(np.int32), distance.shape)
    inside = distance < 0
    rows, columns = np.broadcast_to(rows, distance.shape), np.broadcast_to(columns, distance.shape)
    owner[scene[inside], rows[inside], columns[inside]] = np.broadcast_to(p[1], distance.shape)[inside]


def _background(scene: Scene) -> np.ndarray:
    first, second = np.array(scene.background, np.float32), np.array(scene.second, np.float32)
    width, height = scene.canvas
    if scene.style == "textured":
        # Checks, bands or blotches, a few pixels wide.
        cell = 4 + scene.seed % 5
        rows, columns = np.arange(height)[:, None] // cell, np.arange(width)[None, :] // cell
        kind = scene.seed % 3
        if kind == 0:
            weight = (rows + columns) % 2
        elif kind == 1:
            weight = np.broadcast_to(rows % 2, (height, width))
        else:
            weight = _noise(scene, 1)[rows, columns, 0] / 255
    else:
        down, across = (np.arange(side, dtype=np.float32) / (side - 1) for side in (height, width))
        weight = np.broadcast_to(down[:, None] if scene.seed & 1 else across[None, :], (height, width))
    return (first + (second - first) * weight[..., None]).astype(np.float32)


def _noise(scene: Scene, channels: int) -> np.ndarray:
    width, height = scene.canvas
    data = np.random.Generator(np.random.PCG64(scene.seed)).bytes(height * width * channels)
    return np.frombuffer(data, np.uint8).reshape(height, width, channels)


def _grain(picture: np.ndarray, scene: Scene) -> np.ndarray:
    if scene.grain:
        picture = picture + (_noise(scene, 3).astype(np.float32) - 127.5) * (scene.grain / 127.5)
    return np.clip(np.floor(picture + 0.5), 0, 255).astype(np.uint8)
