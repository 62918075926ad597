"""The payload of the gallery: order and numbers as given, small pictures, counts cut and summed, refusal of misuse."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures.gallery import CARD_PIXELS, COUNTS_SHOWN, LEAD_PIXELS, MAX_CARDS, Card, Lead, gallery_payload


def payload(*args, **kwargs):
    return json.loads(gallery_payload(*args, **kwargs))


def opened(uri):
    kind, data = uri.split(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def noise(width, height):
    shape = (height, width, 3)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def test_cards_keep_order_and_numbers():
    cards = [
        Card(7, None, "a caption", "two red circles", klass="circle", score=np.float32(0.25), same=np.True_),
        Card(np.int64(3), None, "b", score=-0.5, same=False),
        Card(1, None, "c"),
    ]
    found = payload(cards, heading="3 neighbours", note="A note.", score_name="similarity", class_name="shape")
    assert found["cards"] == [
        {
            "point": 7, "picture": None, "title": "a caption", "caption": "two red circles", "class": "circle",
            "score": 0.25, "same": True,
        },
        {"point": 3, "picture": None, "title": "b", "caption": "", "class": "", "score": -0.5, "same": False},
        {"point": 1, "picture": None, "title": "c", "caption": "", "class": "", "score": None, "same": None},
    ]  # fmt: skip
    assert (found["heading"], found["note"], found["lead"], found["total"]) == ("3 neighbours", "A note.", None, None)
    assert found["class_name"] == "shape"
    assert found["score"] == {"name": "similarity", "digits": 3, "full": 1.0}


@pytest.mark.parametrize(
    ("scores", "digits", "full"),
    [
        ([41, np.int64(120)], 0, 120.0),
        ([0.2, 0.3], 3, 1.0),
        ([1, 0.5], 3, 1.0),
        ([None, None], 3, 1.0),
        ([None, 8], 0, 8.0),
    ],
)
def test_counts_are_whole_and_a_cosine_of_one_fills_the_bar(scores, digits, full):
    score = payload([Card(i, None, "", score=value) for i, value in enumerate(scores)])["score"]
    assert (score["digits"], score["full"]) == (digits, full)


def test_the_lead_is_sent_larger_than_the_cards():
    photo = noise(1000, 500)
    lead = Lead(np.int64(4), photo, "photo.jpg", "A dog.", (("split", "train"), ("size", "1000 x 500")))
    found = payload([Card(1, photo, "photo.jpg")], lead=lead)
    assert found["lead"]["point"] == 4
    assert (found["lead"]["title"], found["lead"]["text"]) == ("photo.jpg", "A dog.")
    assert found["lead"]["facts"] == [["split", "train"], ["size", "1000 x 500"]]
    assert opened(found["lead"]["picture"]).size == (LEAD_PIXELS, LEAD_PIXELS // 2)
    assert opened(found["cards"][0]["picture"]).size == (CARD_PIXELS, CARD_PIXELS // 2)
    assert photo.size == (1000, 500), "the caller's picture stays as it was"


def test_tiny_pictures_arrive_exactly():
    tiny = noise(64, 48)
    found = opened(payload([Card(0, tiny, "")])["cards"][0]["picture"])
    assert np.array_equal(np.asarray(found.convert("RGB")), np.asarray(tiny))


def test_transparent_margins_of_a_thumbnail_are_cut_off():
    cell = Image.new("RGBA", (96, 96))
    cell.paste(noise(60, 30).convert("RGBA"), (18, 33))
    assert opened(payload([Card(0, cell, "")])["cards"][0]["picture"]).size == (60, 30)


def test_sixty_photos_are_less_than_half_a_megabyte():
    y, x = np.mgrid[:400, :600]
    waves = 127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 5 + x / 40)
    photo = Image.fromarray(np.clip(waves + np.random.default_rng(0).normal(0, 6, waves.shape), 0, 255).astype("u1"))
    text = gallery_payload([Card(i, photo, f"photo {i}") for i in range(MAX_CARDS)])
    assert len(text) < 500_000


def test_the_most_frequent_classes_come_first_and_the_rest_is_summed():
    counts = [(f"class {i}", i) for i in range(1, COUNTS_SHOWN + 4)]
    found = payload([], counts=counts)
    assert found["counts"] == [[f"class {i}", i] for i in range(COUNTS_SHOWN + 3, 3, -1)]
    assert found["others"] == {"classes": 3, "count": 6}
    few = payload([], counts=[("a", 2), ("b", np.int64(5)), ("c", 2)])
    assert few["counts"] == [["b", 5], ["a", 2], ["c", 2]]
    assert few["others"] == {"classes": 0, "count": 0}


def test_no_markup_in_the_text():
    hostile = "<img src=x onerror=alert(1)> ${1} {{value}}"
    lead = Lead(0, None, hostile, hostile, ((hostile, hostile),))
    text = gallery_payload([Card(0, None, hostile, hostile, hostile)], heading=hostile, note=hostile, lead=lead)
    assert "<" not in text
    assert json.loads(text)["cards"][0]["caption"] == hostile


def test_too_many_cards_and_too_small_a_total_are_refused():
    cards = [Card(i, None, str(i)) for i in range(MAX_CARDS + 1)]
    assert payload(cards[:-1], total=812)["total"] == 812
    with pytest.raises(ValueError, match="at most 60"):
        gallery_payload(cards)
    with pytest.raises(ValueError, match="less than"):
        gallery_payload(cards[:5], total=4)
    with pytest.raises(ValueError):
        gallery_payload([Card(0, None, "", score=float("nan"))])
