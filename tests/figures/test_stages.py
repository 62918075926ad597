"""The payload of the stages: a drawing's own numbers in order, results in their places, tokens made readable."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.drawings import Drawing, Stage, Step
from mmexplorer.figures.stages import MAX_CHIPS, PICTURE_PIXELS, stages_payload

STAGES = (
    Stage("tokens", (4,)),
    Stage("text encoder", (32, 128), 1000, 0.5),
    Stage("noise", (4, 2, 2), note="seed 7"),
    Stage("UNet", (4, 2, 2), 5000, 1.0, "2 steps"),
    Stage("VAE decoder", (3, 8, 8), 300, 0.5),
)
TOKENS = ("<|startoftext|>", "red</w>", "zeb</w>", "<|endoftext|>")


def drawing(**fields) -> Drawing:
    first, last = np.zeros((4, 2, 2)), np.ones((4, 2, 2))
    steps = (Step(1, 999, 1.0, first, last, None, 0.5), Step(2, 500, 0.5, last, 2 * last, None, 0.5))
    image = Image.new("RGB", (8, 8), "red")
    made = Drawing(image, (image, image), None, {}, steps, stages=STAGES, tokens=TOKENS, unknown_words=("Zeb",))
    return replace(made, **fields)


def payload(made, **kwargs):
    return json.loads(stages_payload(made, **kwargs))


def boxes(made, **kwargs):
    return {box["name"]: box for box in payload(made, **kwargs)["stages"]}


def opened(uri) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")


def test_latent_and_picture_follow_the_network_and_the_decoder():
    found = boxes(drawing())
    assert list(found) == ["tokens", "text encoder", "noise", "UNet", "latent", "VAE decoder", "picture"]
    assert [box["shape"] for box in found.values()] == [
        "4 tokens", "32 × 128 numbers", "4 × 2 × 2 numbers", "4 × 2 × 2 numbers", "4 × 2 × 2 numbers",
        "3 × 8 × 8 numbers", "8 × 8 pixels",
    ]  # fmt: skip
    assert [box["parameters"] for box in found.values()] == [0, 1000, 0, 5000, 0, 300, 0]
    assert [box["share"] for box in found.values()] == [None, 0.25, None, 0.5, None, 0.25, None]
    assert [name for name, box in found.items() if box["joined"]] == ["noise"]
    assert found["UNet"]["note"] == "2 steps" and found["noise"]["note"] == "seed 7"


def test_pictures_are_the_first_latent_the_last_clean_one_and_the_result():
    to_rgb = np.array([[0.25, 0.25, 0.25], *np.zeros((4, 3))])
    found = boxes(drawing(), to_rgb=to_rgb)
    values = {name: opened(box["picture"]).getpixel((0, 0)) for name, box in found.items() if box["picture"]}
    assert values == {"noise": (0, 0, 0), "latent": (128, 128, 128), "picture": (255, 0, 0)}
    large = boxes(drawing(image=Image.new("RGB", (800, 400))))["picture"]
    assert opened(large["picture"]).size == (PICTURE_PIXELS, PICTURE_PIXELS // 2)
    assert large["shape"] == "800 × 400 pixels"


def test_tokens_are_readable_and_counted():
    assert payload(drawing())["tokens"] == {
        "shown": [
            {"text": "<|startoftext|>", "kind": "special"},
            {"text": "red", "kind": "word"},
            {"text": "zeb", "kind": "unknown"},
            {"text": "<|endoftext|>", "kind": "special"},
        ],
        "more": 0,
    }
    many = payload(drawing(tokens=("▁a",) * 77))["tokens"]
    assert (len(many["shown"]), many["more"], many["shown"][0]["text"]) == (MAX_CHIPS, 77 - MAX_CHIPS, "a")


@pytest.mark.parametrize("stages", [STAGES[1:2], (Stage("audio encoder", (2,)),)])
def test_other_stages_are_shown_as_they_are(stages):
    assert list(boxes(drawing(stages=stages))) == [stages[0].name, "picture"]


def test_without_times_stages_or_steps():
    untimed = tuple(replace(stage, seconds=None) for stage in STAGES)
    assert {box["share"] for box in boxes(drawing(stages=untimed)).values()} == {None}
    assert payload(drawing(stages=()))["stages"] == []
    assert [name for name, box in boxes(drawing(steps=())).items() if box["picture"]] == ["picture"]


def test_no_markup_in_the_text():
    hostile = "<img src=x onerror=alert(1)>"
    text = stages_payload(drawing(stages=(Stage(hostile, (1,), note=hostile),), tokens=(hostile,), model=hostile))
    assert "<" not in text and json.loads(text)["stages"][0]["note"] == hostile
