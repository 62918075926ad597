"""The endpoints /classify and /ground_labels of the real app, asked by gradio_client from another process."""

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import mmexplorer
from mmexplorer.explore.experiments import ASSETS

APP = Path(__file__).resolve().parent.parent / "app.py"
PICTURES = [ASSETS / "images" / "zero_shot" / f"{name}.png" for name in ("dark-trio", "purple-circle", "noisy-pair")]
LABELS = ["a purple circle", "a pink star", "an orange ring", "a zebra"]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MMEXPLORER_", "GRADIO_"))}
    environment["OMP_NUM_THREADS"] = "1"
    process = subprocess.Popen(
        [sys.executable, str(APP), "--offline"],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = re.search(r"http://\S+", process.stdout.readline())[0]
        yield Client(address, verbose=False)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("templates", [["{}"], ["{}", "a drawing of {}"]])
def test_classify_says_what_the_package_says(client, templates):
    files = [handle_file(path) for path in PICTURES]
    answer = client.predict(files, LABELS, "toy-clip", templates, api_name="/classify")
    expected = mmexplorer.classify(PICTURES, LABELS, templates=templates)
    assert answer["labels"] == list(expected.labels)
    np.testing.assert_allclose(answer["cosines"], expected.cosines, atol=1e-6)
    np.testing.assert_allclose(answer["probabilities"], expected.probabilities, atol=1e-6)
    assert answer["logit_scale"] == pytest.approx(expected.logit_scale)
    assert answer["logit_bias"] == expected.logit_bias
    assert answer["activation"] == expected.activation
    assert answer["templates"] == templates
    assert answer["unknown_words"] == list(expected.unknown_words) == ["zebra"]
    assert answer["model"] == "toy-clip"


def test_ground_labels_says_what_the_package_says(client):
    answer = client.predict(handle_file(PICTURES[0]), LABELS, api_name="/ground_labels")
    expected = mmexplorer.ground_labels(PICTURES[0], LABELS)
    assert (answer["words"], answer["layers"]) == (list(expected.words), list(expected.layers))
    assert (answer["method"], answer["model"], answer["box"]) == (expected.method, "toy-clip", list(expected.box))
    np.testing.assert_allclose(answer["scores"], expected.scores, atol=1e-6)
    archive = np.load(io.BytesIO(base64.b64decode(answer["npz"])))
    np.testing.assert_allclose(archive["maps"], expected.maps, atol=1e-5)
    np.testing.assert_allclose(archive["image_share"], expected.image_share, atol=1e-5)


def test_model_templates_and_method_need_not_be_given_and_can_be(client):
    picture = handle_file(PICTURES[1])
    other = client.predict([picture], LABELS, "toy-clip-withheld", api_name="/classify")
    expected = mmexplorer.classify(PICTURES[1], LABELS, model="toy-clip-withheld")
    np.testing.assert_allclose(other["cosines"], expected.cosines, atol=1e-6)
    covered = client.predict(picture, ["a circle"], method="occlusion", api_name="/ground_labels")
    assert covered["method"] == "occlusion"


def test_only_the_api_is_public(client):
    info = client.view_api(return_format="dict")
    assert set(info["named_endpoints"]) == {
        "/chat", "/classify", "/draw", "/embed", "/ground_labels", "/project", "/search",
    }  # fmt: skip
    assert info["unnamed_endpoints"] == {}


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Files that are no pictures, by name."""
    folder = tmp_path_factory.mktemp("bad")
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    files = {
        "empty.png": b"",
        "text.png": b"not a picture",
        "cut.png": whole.getvalue()[:1500],
        "notes.txt": b"some notes",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    Image.new("1", (13_000, 13_000)).save(folder / "bomb.png")
    Image.new("RGB", (4000, 2)).save(folder / "strip.png")
    return folder


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty.png", "empty.png is an empty file; choose a picture such as a PNG or JPEG."),
        ("text.png", "text.png is not a picture that can be read; use PNG, JPEG, WebP, GIF, BMP or TIFF."),
        ("notes.txt", "notes.txt is not a picture that can be read; use PNG, JPEG, WebP, GIF, BMP or TIFF."),
        ("cut.png", "cut.png is damaged or incomplete and cannot be decoded; save or send it again."),
        ("bomb.png", "bomb.png has more than 25,000,000 pixels, the limit; scale it down first."),
        ("strip.png", "strip.png is 4000 x 2 pixels; crop it so that the longer side is at most 50 times the shorter."),
    ],
)
def test_files_that_are_no_pictures(client, bad, name, sentence):
    file = handle_file(bad / name)
    for answer in (
        lambda: client.predict([handle_file(PICTURES[0]), file], LABELS, api_name="/classify"),
        lambda: client.predict(file, LABELS, api_name="/ground_labels"),
    ):
        with pytest.raises(AppError) as caught:
            answer()
        assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": []}, "There is no picture yet; upload, paste or draw one first."),
        ({"images": 65}, "At most 64 pictures are scored at once, and there are 65."),
        ({"labels": []}, "There are no labels yet; type at least one, such as: a red circle."),
        ({"labels": ["", "  "]}, "There are no labels yet; type at least one, such as: a red circle."),
        ({"labels": None}, "labels must be a list of texts."),
        ({"labels": {"a": 1}}, "labels must be a list of texts."),
        ({"labels": [["a"]]}, "labels must be a list of texts."),
        ({"labels": [f"a {n}" for n in range(5000)]}, "At most 1,000 labels are scored at once, and there are 5,000."),
        ({"labels": ["x" * 10_000]}, r"The label 'x+'\.\.\. has 10,000 characters; at most 1,000 count."),
        ({"model": "toy-clap"}, r"There is no model called 'toy-clap'; try .+"),
        ({"model": "../../etc"}, r"There is no model called '../../etc'.*"),
        ({"templates": ["a photo"]}, r"The template 'a photo' must contain \{\} exactly once, where the label goes."),
        ({"templates": []}, r"There is no template; use \{\} for the bare label."),
        ({"templates": ["{} " + str(n) for n in range(101)]}, "101 templates with 4 labels are too much at once; .+"),
    ],
)
def test_questions_that_cannot_be_answered(client, change, sentence):
    given = {"images": 1, "labels": LABELS, "model": "toy-clip", "templates": ["{}"]} | change
    if isinstance(given["images"], int):
        given["images"] = [handle_file(PICTURES[0])] * given["images"]
    with pytest.raises(AppError) as caught:
        client.predict(**given, api_name="/classify")
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image": None}, "There is no picture yet; pass one as `image`."),
        ({"method": "tea-leaves"}, r"There is no method 'tea-leaves'; choose one of .+"),
        ({"labels": [f"a {n}" for n in range(65)]}, "Heatmaps are drawn for at most 64 labels at once, .+ 65."),
    ],
)
def test_heatmaps_that_cannot_be_drawn(client, change, sentence):
    given = {"image": handle_file(PICTURES[0]), "labels": LABELS} | change
    with pytest.raises(AppError) as caught:
        client.predict(**given, api_name="/ground_labels")
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


def test_files_of_the_server_cannot_be_asked_for(client):
    """A path that nobody uploaded is no picture, wherever it leads."""
    address = client.src.rstrip("/")
    endpoint = f"{address}/gradio_api/call/classify"
    for path in (str(APP), "/etc/passwd"):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        event = httpx.post(endpoint, json={"data": [[file], LABELS, "toy-clip", ["{}"]]}).json()["event_id"]
        said = httpx.get(f"{endpoint}/{event}", timeout=30).text
        assert "event: error" in said and "cosines" not in said and "root:" not in said


def test_labels_are_data_and_never_markup(client):
    hostile = "<img src=x onerror=alert(1)> ${1+1} {{value}}"
    answer = client.predict([handle_file(PICTURES[0])], [hostile, "a star"], api_name="/classify")
    assert answer["labels"] == [hostile, "a star"]
    with pytest.raises(AppError) as caught:
        client.predict([handle_file(PICTURES[0])], ["a"], "<b>toy</b>", api_name="/classify")
    assert "&lt;b&gt;toy&lt;/b&gt;" in str(caught.value)
