"""The payload of the score chart: exact cosines, models side by side, remarks, thumbnails, refusal of mismatches."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures.scores import SPREAD_LIMIT, scores_payload
from mmexplorer.results import Classification, probabilities


def classification(cosines, labels=("a", "b", "c"), **fields):
    cosines = np.asarray(cosines, np.float32)
    scale = fields.pop("logit_scale", 100.0)
    return Classification(labels, cosines, probabilities(cosines, scale, 0.0, "softmax"), scale, **fields)


def floats(packed):
    return np.frombuffer(base64.b64decode(packed["float32"]), "<f4").reshape(packed["shape"])


def test_cosines_survive_bit_for_bit():
    cosines = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    spread = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    result = classification(cosines, templates=("{}", "one {}", "a {}", "the {}"), template_cosines=spread)
    model = json.loads(scores_payload([result]))["models"][0]
    assert np.array_equal(floats(model["cosines"]), cosines)
    assert np.array_equal(floats(model["template_cosines"]), spread)
    assert model["templates"] == ["{}", "one {}", "a {}", "the {}"]


def test_settings_and_names_of_each_model():
    first = classification([[0.25, 0.22, 0.19]], model="toy-clip", logit_scale=14.3)
    second = classification([[0.1, 0.2, 0.3]], logit_bias=-12.9, activation="sigmoid")
    payload = json.loads(scores_payload([first, second], picture_names=["dog.png"]))
    assert payload["labels"] == ["a", "b", "c"]
    assert payload["pictures"] == [{"name": "dog.png", "thumbnail": None}]
    assert [m["name"] for m in payload["models"]] == ["toy-clip", "model 2"]
    assert [(m["logit_scale"], m["logit_bias"], m["activation"]) for m in payload["models"]] == [
        (14.3, 0.0, "softmax"),
        (100.0, -12.9, "sigmoid"),
    ]
    assert [m["name"] for m in json.loads(scores_payload([first, second], names=["A", "B"]))["models"]] == ["A", "B"]


def test_one_template_is_no_spread():
    result = classification([[0.1, 0.2, 0.3]], template_cosines=np.zeros((1, 1, 3), np.float32))
    assert json.loads(scores_payload([result]))["models"][0]["template_cosines"] is None


def test_unknown_words_join_the_remarks():
    result = classification([[0.1, 0.2, 0.3]], model="toy-clip", unknown_words=("zebra", "piano"))
    remarks = json.loads(scores_payload([result], remarks=["2 labels were merged."]))["remarks"]
    assert remarks == ["2 labels were merged.", "toy-clip does not know: zebra, piano."]


def test_a_long_list_of_unknown_words_is_cut():
    result = classification([[0.1, 0.2, 0.3]], model="m", unknown_words=tuple(f"w{i}" for i in range(1500)))
    [remark] = json.loads(scores_payload([result]))["remarks"]
    assert remark.startswith("m does not know: w0, w1,") and remark.endswith("w19 and 1,480 more.")


def test_a_spread_too_large_for_a_page_is_left_out_and_said_so():
    count = SPREAD_LIMIT // 1000 + 1
    labels = tuple(map(str, range(1000)))
    result = classification(np.zeros((1, 1000)), labels, template_cosines=np.zeros((count, 1, 1000), np.float32))
    payload = json.loads(scores_payload([result]))
    assert payload["models"][0]["template_cosines"] is None
    assert "only their ensemble" in payload["remarks"][0]


def test_thumbnails_are_small_and_small_pictures_are_lossless():
    large, small = Image.new("RGB", (900, 300), "red"), Image.new("RGB", (64, 64), (10, 200, 30))
    pictures = json.loads(scores_payload([classification(np.zeros((2, 3)))], thumbnails=[large, small]))["pictures"]
    opened = [Image.open(io.BytesIO(base64.b64decode(p["thumbnail"].split(",")[1]))) for p in pictures]
    assert [(image.format, image.size) for image in opened] == [("JPEG", (96, 32)), ("PNG", (64, 64))]
    assert opened[1].getpixel((5, 5)) == (10, 200, 30)
    assert large.size == (900, 300)


def test_no_markup_in_the_text():
    hostile = ("<script>alert(1)</script>", "</div>", "${1}")
    text = scores_payload([classification([[0.1, 0.2, 0.3]], hostile)])
    assert "<" not in text
    assert tuple(json.loads(text)["labels"]) == hostile


@pytest.mark.parametrize(
    ("classifications", "extra"),
    [
        ([], {}),
        ([classification([[0.1, 0.2, 0.3]]), classification([[0.1, 0.2]], ("a", "b"))], {}),
        ([classification([[0.1, 0.2, 0.3]]), classification(np.zeros((2, 3)))], {}),
        ([classification([[0.1, 0.2, 0.3]])], {"names": ["A", "B"]}),
        ([classification([[0.1, 0.2, 0.3]])], {"picture_names": ["a", "b"]}),
        ([classification([[0.1, 0.2, 0.3]])], {"thumbnails": [Image.new("RGB", (1, 1))] * 2}),
    ],
)
def test_what_does_not_fit_together_is_refused(classifications, extra):
    with pytest.raises(ValueError):
        scores_payload(classifications, **extra)
