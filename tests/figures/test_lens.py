"""The payload of the logit lens: every word and probability in its place, and texts made visible."""

import base64
import json

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures.lens import lens_payload

WORDS = [
    [["red", "blue"], [" red", "\n"]],
    [["<img src=x>", "red"], ["", "\u202e"]],
    [["blue", "red"], ["red", "blue"]],
]  # three layers, two patches, two places
CHANCES = np.arange(12).reshape(3, 2, 2) / 20
IMAGE = Image.new("RGB", (200, 100), "red")


def payload(words=WORDS, chances=CHANCES, layers=("embeddings", "layer 1", "layer 2"), **kwargs):
    made = {"image": IMAGE, "box": (50, 0, 150, 100), "grid": (1, 2), **kwargs}
    return lens_payload(words, chances, layers, made.pop("image"), made.pop("box"), made.pop("grid"), **made)


def floats(packed):
    return np.frombuffer(base64.b64decode(packed["float32"]), "<f4").reshape(packed["shape"])


def test_words_and_probabilities_arrive_in_place():
    data = json.loads(payload())
    words = np.array(data["table"], dtype=object)[floats(data["words"]).astype(int)]
    assert words.tolist() == [
        [["red", "blue"], ["red", "↵"]],
        [["<img src=x>", "red"], ["␣", "‹U+202E›"]],
        [["blue", "red"], ["red", "blue"]],
    ]
    assert len(data["table"]) == len(set(data["table"])) == 6
    np.testing.assert_allclose(floats(data["probabilities"]), CHANCES, atol=1e-7)


def test_picture_and_layers():
    data = json.loads(payload(model="toy-llava"))
    assert data["box"] == [0.25, 0, 0.75, 1] and (data["rows"], data["columns"], data["top"]) == (1, 2, 2)
    assert data["layers"] == ["embeddings", "layer 1", "layer 2"] and data["layer"] == 2
    assert json.loads(payload(layer=1))["layer"] == 1
    assert (data["width"], data["height"], data["pixelated"]) == (200, 100, False)
    assert json.loads(payload(image=Image.new("RGB", (64, 64)), box=(0, 0, 64, 64)))["pixelated"]


def test_nothing_in_it_can_be_markup():
    assert "<" not in payload()


@pytest.mark.parametrize(
    "wrong", [{"grid": (2, 2)}, {"layers": ("a", "b")}, {"chances": CHANCES[:, :1]}, {"words": WORDS[0]}]
)
def test_what_does_not_fit_together_is_refused(wrong):
    with pytest.raises(ValueError):
        payload(**wrong)
