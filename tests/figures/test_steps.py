"""The payload of the five steps: the labels with the highest cosines, and numbers that add up by hand."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures.steps import steps_payload
from mmexplorer.results import Classification, Trace, probabilities

TEMPLATES = ("a photo of a {}", "{}", "one {}", "a drawing of a {}")


def trace(cosines, *, activation="softmax", bias=0.0, scale=10.0):
    """Vectors in the plane: the picture points along x, each label at the angle of its cosine."""
    cosines = np.asarray(cosines, np.float32)
    labels = tuple(f"label{i}" for i in range(len(cosines)))
    prompts = tuple(tuple(template.format(label) for template in TEMPLATES) for label in labels)
    tokens = tuple(
        tuple(("[BOS]", *("[UNK]" if word == "photo" else word for word in p.split()), "[EOS]") for p in row)
        for row in prompts
    )
    scores = probabilities(cosines[None], scale, bias, activation)
    return Trace(
        seen=Image.new("RGB", (64, 48), (200, 10, 10)),
        box=(0, 0, 64, 48),
        patches=(6, 8),
        prompts=prompts,
        tokens=tokens,
        image_embedding=np.array([1, 0], np.float32),
        text_embeddings=np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1),
        classification=Classification(
            labels, cosines[None], scores, scale, bias, activation, TEMPLATES, None, ("photo",), "toy-clip"
        ),
    )


def floats(packed):
    return np.frombuffer(base64.b64decode(packed["float32"]), "<f4").reshape(packed["shape"])


def test_highest_labels_first_and_the_rest_in_the_sum():
    cosines = [0.1, 0.5, 0.3, -0.2, 0.4, 0.0, 0.2]
    payload = json.loads(steps_payload(trace(cosines)))
    assert [label["label"] for label in payload["labels"]] == ["label1", "label4", "label2", "label6", "label0"]
    # softmax(10 x cosine) by hand: exp(0), exp(-1), ..., the shift by the highest cancels.
    exponentials = np.exp([0, -1, -2, -3, -4, -5, -7])
    assert [label["exponential"] for label in payload["labels"]] == pytest.approx(exponentials[:5], rel=1e-5)
    assert payload["labels"][0]["probability"] == pytest.approx(1 / exponentials.sum(), abs=1e-6)
    assert payload["others"]["count"] == 2
    assert payload["others"]["exponential"] == pytest.approx(np.exp(-5) + np.exp(-7), rel=1e-5)
    total = sum(label["probability"] for label in payload["labels"]) + payload["others"]["probability"]
    assert total == pytest.approx(1, abs=1e-6)


def test_the_vectors_give_the_cosine():
    payload = json.loads(steps_payload(trace([0.6, 0.8])))
    picture = floats(payload["picture"]["vector"])
    for label in payload["labels"]:
        assert floats(label["vector"]) @ picture == pytest.approx(label["cosine"], abs=1e-6)


def test_sigmoid_uses_the_bias():
    payload = json.loads(steps_payload(trace([0.5, 0.1], activation="sigmoid", bias=-5.0)))
    assert [label["logit"] for label in payload["labels"]] == pytest.approx([0.0, -4.0], abs=1e-6)
    assert payload["labels"][0]["probability"] == pytest.approx(0.5, abs=1e-6)
    assert payload["others"]["count"] == 0


def test_prompts_and_tokens():
    label = json.loads(steps_payload(trace([0.5])))["labels"][0]
    assert label["prompts"] == ["a photo of a label0", "label0", "one label0"]
    assert [token["text"] for token in label["tokens"]] == ["[BOS]", "a", "[UNK]", "of", "a", "label0", "[EOS]"]
    assert [token["kind"] for token in label["tokens"]] == [
        "special",
        "word",
        "unknown",
        "word",
        "word",
        "word",
        "special",
    ]


def test_the_picture_is_the_one_the_model_gets():
    picture = json.loads(steps_payload(trace([0.5])))["picture"]
    assert (picture["size"], picture["patches"]) == ([64, 48], [6, 8])
    image = Image.open(io.BytesIO(base64.b64decode(picture["uri"].split(",")[1])))
    assert image.size == (64, 48) and image.getpixel((1, 1)) == (200, 10, 10)
