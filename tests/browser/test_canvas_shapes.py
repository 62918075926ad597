"""Shapes that a browser's canvas drew are recognised: the quality promise for what visitors draw."""

import base64
import io
import json
import random

import pytest
from PIL import Image

from mmexplorer.explore.zero_shot import classify
from mmexplorer.toyworld.splits import pair_is_seen
from mmexplorer.toyworld.vocabulary import COLOURS, SHAPES

pytestmark = pytest.mark.browser

DRAW = """
([colour, shape, side, x, y, r, style, ground]) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  pen.fillStyle = ground;
  pen.fillRect(0, 0, side, side);
  pen.translate(x, y);
  pen.scale(r, r);
  const path = new Path2D();
  const corners = (points) => {
    points.forEach(([u, v], i) => i ? path.lineTo(u, v) : path.moveTo(u, v));
    path.closePath();
  };
  const turn = (count, radius, start) => Array.from({ length: count }, (_, i) => {
    const a = start + 2 * Math.PI * i / count;
    return [radius(i) * Math.cos(a), radius(i) * Math.sin(a)];
  });
  ({
    circle: () => path.arc(0, 0, 0.95, 0, 7),
    square: () => path.rect(-0.8, -0.8, 1.6, 1.6),
    triangle: () => corners([[0, -0.92], [0.9, 0.7], [-0.9, 0.7]]),
    star: () => corners(turn(10, (i) => i % 2 ? 0.42 : 1, -Math.PI / 2)),
    heart: () => { path.moveTo(0, 0.9); path.bezierCurveTo(-1.5, -0.1, -0.8, -1.2, 0, -0.5);
                   path.bezierCurveTo(0.8, -1.2, 1.5, -0.1, 0, 0.9); },
    cross: () => { for (const [a, b] of [[0.28, 0.9], [0.9, 0.28]]) path.rect(-a, -b, 2 * a, 2 * b); },
    ring: () => { path.arc(0, 0, 0.95, 0, 7); path.moveTo(0.57, 0); path.arc(0, 0, 0.57, 0, 7, true); },
    diamond: () => corners([[0, -1], [0.65, 0], [0, 1], [-0.65, 0]]),
    moon: () => { path.arc(0, 0, 0.95, 0.9, 2 * Math.PI - 0.9);
                  path.arc(0.42, 0, 0.76, 2 * Math.PI - 1.35, 1.35, true); path.closePath(); },
    arrow: () => corners([[-0.95, -0.22], [0.1, -0.22], [0.1, -0.62], [0.95, 0],
                          [0.1, 0.62], [0.1, 0.22], [-0.95, 0.22]]),
  })[shape]();
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = style.line;
  // A cross is two bars and a ring two circles: stroked they would be other shapes, so they are filled.
  if (style.filled || shape === "cross" || shape === "ring") pen.fill(path, "nonzero"); else pen.stroke(path);
  return canvas.toDataURL(style.format, 0.5);
}
"""


def test_canvas_shapes_are_recognised(chromium):
    names = [(colour, shape) for colour in COLOURS for shape in SHAPES if pair_is_seen(colour, shape)]
    page = chromium.new_page()
    page.goto("about:blank")
    pictures = []
    for number, (colour, shape) in enumerate(names * 4):
        rng = random.Random(number)
        side = rng.choice((120, 200, 320, 500))
        radius = side * rng.uniform(0.15, 0.38)
        x, y = rng.uniform(radius * 1.1, side - radius * 1.1), rng.uniform(radius * 1.1, side - radius * 1.1)
        ground = rng.choice(("white", "#fffbe8", "#eef4ff", "white") if colour != "pink" else ("#203040", "#33281c"))
        style = {
            "filled": rng.random() < 0.6,
            "line": rng.uniform(0.08, 0.22),
            "format": rng.choice(("image/png", "image/jpeg")),
        }
        uri = page.evaluate(DRAW, [colour, shape, side, x, y, radius, style, ground])
        pictures.append(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
    page.close()
    labels = [f"a {colour} {shape}" for colour in COLOURS for shape in SHAPES]
    guesses = [
        int(row.argmax()) for i in range(0, len(pictures), 54) for row in classify(pictures[i : i + 54], labels).cosines
    ]
    right = [labels[guess] == f"a {colour} {shape}" for guess, (colour, shape) in zip(guesses, names * 4, strict=True)]
    missed = [(name, labels[guess]) for name, guess, hit in zip(names * 4, guesses, right, strict=True) if not hit]
    assert len(right) == 324
    assert sum(right) / len(right) >= 0.85, json.dumps(missed[:20])
