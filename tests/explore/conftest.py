"""A model whose vectors can be worked out by hand: a picture is its mean colour, a text the sum of its colour words."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import embedding
from mmexplorer.hub import Stopped
from mmexplorer.presets import preset

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class ColourClip:
    """Stands in for the residency and the models it lends: "toy-clip" by red, green, blue, the others turned round."""

    def __init__(self):
        self.lock, self.lent = threading.Lock(), []
        self.batches, self.texts = [], []  # how many pictures, and which texts, went through a model at a time
        self.missing = False

    @contextmanager
    def use(self, key, stop=None):
        preset(key)
        if self.missing:
            raise Refusal("The model is not on this disk.")
        if stop is not None and stop.is_set():
            raise Stopped("Stopped.")
        with self.lock:
            self.lent.append(key)
            yield _Lent(self, 0 if key == "toy-clip" else 1)


class _Lent:
    def __init__(self, clip, turn):
        self.clip, self.turn = clip, turn

    def preparation(self):
        return lambda picture: np.asarray(picture, np.float32).mean(axis=(0, 1)) / 255

    def embed_prepared(self, pixels):
        self.clip.batches.append(len(pixels))
        return np.roll(unit(pixels), self.turn, axis=1)

    def embed_texts(self, texts):
        self.clip.texts += texts
        sums = [
            sum((np.array(COLOURS[word]) for word in text.split() if word in COLOURS), np.zeros(3)) for text in texts
        ]
        return np.roll(unit([row if row.any() else np.ones(3) for row in sums]), self.turn, axis=1)


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """An empty folder that is the cache's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MMEXPLORER_CACHE", str(folder))
    return folder


@pytest.fixture
def colour_clip(cache_folder, monkeypatch):
    clip = ColourClip()
    monkeypatch.setattr(embedding, "residency", clip)
    return clip


@pytest.fixture
def painted(tmp_path):
    """Writes a plain picture and gives its path: painted("a.png", (255, 0, 0))."""

    def paint(name, colour, size=(8, 6)):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    return paint
