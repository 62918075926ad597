"""The map's payload: what the browser unpacks is what was packed, and nothing inconsistent gets that far."""

import base64
import gzip
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import mmexplorer.components
from mmexplorer.figures.embedding_map import map_highlight, map_payload
from mmexplorer.results import Projection

COORDINATES = np.array([[0, 0], [10, -4], [2.5, 4], [9, 3]], np.float32)
NAMES = ("a.png", "b.png", "c.png")
COLOURS = Path(mmexplorer.components.__file__).with_name("embedding_map_colours.js")


def unpacked(text: str) -> dict:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def array(packed: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), dtype=packed["type"])


def payload(**changes) -> dict:
    arguments = {
        "projection": Projection(COORDINATES, "umap", 7, {"neighbours": 15, "min_dist": 0.1}, "Done so."),
        "names": NAMES,
        "captions": ("one", None, "three"),
        "text_rows": [2],
    }
    return unpacked(map_payload(**arguments | changes))


def column(values, **changes) -> dict:
    return payload(columns={"it": values}, **changes)["columns"][0]


def test_coordinates_survive_to_a_65535th_of_the_extent():
    packed = payload()["coordinates"]
    steps = array(packed).reshape(4, 2)
    back = np.array(packed["low"]) + steps / 65535 * np.array(packed["extent"])
    assert np.abs(back - COORDINATES).max() < 10 / 65535
    assert steps.min(axis=0).tolist() == [0, 0] and steps.max(axis=0).tolist() == [65535, 65535]


def test_points_in_one_place_and_no_points_have_finite_coordinates():
    one = payload(projection=Projection(np.full((4, 3), 2, np.float32), "pca", 0))["coordinates"]
    assert one["low"] == [2, 2, 2] and one["extent"] == [1, 1, 1] and not array(one).any()
    none = unpacked(map_payload(Projection(np.zeros((0, 2), np.float32), "pca", 0), ()))
    assert none["pictures"] == 0 and none["coordinates"]["data"] == ""


def test_the_line_below_says_how_the_map_was_made():
    assert payload()["about"] == "UMAP, neighbours 15, min dist 0.1, seed 7. Done so."
    shares = Projection(COORDINATES, "pca", 0, {"variance_share_1": 0.123456})
    assert payload(projection=shares)["about"] == "PCA, variance share 1 0.123, seed 0."


def test_numbers_keep_their_bits_and_missing_ones_are_nan():
    packed = column([0.1, None, 3])
    assert packed["kind"] == "number"
    values = array(packed["values"])
    assert values[0] == np.float32(0.1) and math.isnan(values[1]) and values[2] == 3


@pytest.mark.parametrize(
    ("values", "categories", "codes"),
    [
        (["red", "blue", "red"], ["blue", "red"], [1, 0, 1]),
        ([True, False, True], ["False", "True"], [1, 0, 1]),
        (["red", None, 4], ["4", "no value", "red"], [2, 1, 0]),
        ([None, None, None], ["no value"], [0, 0, 0]),
    ],
)
def test_what_is_no_number_is_a_category(values, categories, codes):
    packed = column(values)
    assert packed["kind"] == "category" and packed["categories"] == categories
    assert array(packed["codes"]).tolist() == codes


def test_many_categories_get_wider_codes():
    count = 70_000
    words = [f"word {i:05}" for i in range(count)]
    text = map_payload(Projection(np.zeros((count, 2), np.float32), "pca", 0), words, columns={"it": words})
    packed = unpacked(text)["columns"][0]
    assert packed["codes"]["type"] == "uint32" and array(packed["codes"]).tolist() == list(range(count))


def test_colours_are_given_only_to_columns_of_which_every_category_has_one():
    colours = {"red": "#f00", "blue": "#00f"}
    assert column(["red", "blue", None], category_colours=colours)["colours"] == colours
    assert column(["red", "green", "blue"], category_colours=colours)["colours"] == {}


def test_clusters_are_named_and_counted():
    named = payload(clusters=[0, 1, 1, 0], cluster_names=["left", "right"])["clusters"]
    assert named["names"] == ["left", "right"] and array(named["codes"]).tolist() == [0, 1, 1, 0]
    assert payload(clusters=[0, 2, 1, 0])["clusters"]["names"] == ["cluster 1", "cluster 2", "cluster 3"]


def test_density_is_highest_where_most_points_are():
    random = np.random.default_rng(0)
    cloud = np.concatenate([random.normal((3, -2), 0.1, (300, 2)), random.normal((-5, 6), 0.1, (30, 2))])
    text = map_payload(Projection(cloud.astype(np.float32), "pca", 0), [str(i) for i in range(330)])
    grid, none = unpacked(text)["density"]
    values = array(grid).reshape(grid["cells"], grid["cells"])
    row, column = np.unravel_index(values.argmax(), values.shape)
    place = grid["start"][0] + column * grid["step"][0], grid["start"][1] + row * grid["step"][1]
    assert values.max() == 255 and place == pytest.approx((3, -2), abs=0.4)
    assert none is None, "there are no captions"


def test_three_dimensions_have_no_density():
    assert payload(projection=Projection(np.eye(4, 3, dtype=np.float32), "pca", 0))["density"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text_rows": []}, "3 points"),
        ({"text_rows": [3]}, "belong to a picture"),
        ({"captions": ["one"]}, "3 captions"),
        ({"columns": {"it": [1]}}, "The column it has 1"),
        ({"clusters": [0, 1]}, "4 cluster labels"),
        ({"clusters": [0, 1, 2, -1]}, "4 cluster labels"),
        ({"clusters": [0, 1, 1, 0], "cluster_names": ["left"]}, "2 clusters, got 1"),
        ({"projection": Projection(COORDINATES * np.float32(np.nan), "pca", 0)}, "finite"),
        ({"projection": Projection(np.zeros((4, 4), np.float32), "pca", 0)}, "2 or 3 dimensions"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        payload(**changes)


def test_equal_maps_are_equal_texts_and_equal_highlights_are_not():
    projection = Projection(COORDINATES, "pca", 0)
    assert map_payload(projection, NAMES, None, [0]) == map_payload(projection, NAMES, None, [0])
    first, second = map_highlight(1, np.array([2, 3]), np.float32([0.5, 1]), "red"), map_highlight(1, [2, 3])
    assert first != map_highlight(1, [2, 3], [0.5, 1], "red")
    said = json.loads(first)
    assert (said["selected"], said["lit"], said["query"], said["label"]) == (1, [2, 3], [0.5, 1.0], "red")
    assert json.loads(second)["query"] is None


def test_the_palette_can_be_told_apart_with_red_or_green_blindness_and_in_the_dark():
    """Distances are Euclidean in OKLab (Ottosson 2020); blindness is simulated after Machado et al. (2009)."""
    line = re.search(r"const PALETTE = \[(.*?)\]", COLOURS.read_text(encoding="utf-8"))[1]
    codes = [[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in re.findall(r"#(\w{6})", line)]
    colours = np.array(codes)
    assert len(colours) == 11
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    sights = {
        "usual": np.eye(3),
        "protanope": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranope": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    }
    to_cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.6299787],
    ]
    to_lab = [
        [0.21045426, 0.79361778, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    for sight, matrix in sights.items():
        lab = np.cbrt(np.clip(light @ np.transpose(matrix), 0, None) @ np.transpose(to_cones)) @ np.transpose(to_lab)
        distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + np.eye(len(lab))
        assert distances.min() > 0.07, sight
    luminance = light @ [0.2126, 0.7152, 0.0722]
    assert (1.05 / (luminance + 0.05)).min() > 1.7, "on white"
    assert ((luminance + 0.05) / 0.062).min() > 2.3, "on the dark page"
