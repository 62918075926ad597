"""The endpoint /draw, asked by gradio_client: streams the steps, ends with what the package says, and refuses."""

import base64
import io

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

import mmexplorer
from mmexplorer.figures.drawing_file import read_settings
from mmexplorer.tabs import draw_api, server, shell

PROMPT = "a red circle"


@pytest.fixture(scope="module")
def client():
    with shell.Frame(analytics_enabled=False) as page:
        draw_api.add()
    server.launch(page, "127.0.0.1", None)
    yield Client(page.local_url, verbose=False)
    page.close(verbose=False)


def drawn(**settings):
    *_, last = mmexplorer.draw(PROMPT, **settings)
    return last.drawing


def test_draw_streams_and_ends_with_what_the_package_says(client, tmp_path):
    settings = {"steps": 4, "guidance": 3, "seed": 5, "negative_prompt": "blue", "scheduler": "euler"}
    *progress, last = client.submit(PROMPT, **settings, api_name="/draw")
    expected = drawn(**settings)
    assert progress and all(set(step) == {"number", "total", "seconds", "eta"} for step in progress)
    assert [step["number"] for step in progress] == sorted(step["number"] for step in progress)
    file = tmp_path / "a.png"
    file.write_bytes(base64.b64decode(last["png"]))
    assert np.array_equal(np.asarray(Image.open(file)), np.asarray(expected.image))
    assert read_settings(file) == last["settings"] == dict(expected.settings)
    assert [step["noise_level"] for step in last["steps"]] == [step.noise_level for step in expected.steps]
    assert [word["text"] for word in last["words"]] == ["a", "red", "circle"] and last["ended"] == "end"
    archive = np.load(io.BytesIO(base64.b64decode(last["npz"])))
    np.testing.assert_allclose(archive["maps"], expected.grounding.maps, atol=1e-3)
    assert archive["step_maps_0"].shape == expected.word_maps.maps[0].shape


def test_only_a_prompt_is_needed_and_maps_can_be_left_out(client):
    answer = client.predict(PROMPT, maps=False, steps=2, api_name="/draw")
    assert answer["npz"] == "" and answer["settings"]["model"] == "toy-diffusion"
    assert answer["settings"] == dict(drawn(maps=False, steps=2).settings)


def test_what_was_clamped_and_cut_is_said(client):
    answer = client.predict("a red circle " * 800, steps=0, width=10**6, api_name="/draw")
    remarks = " ".join(answer["remarks"])
    assert all(said in remarks for said in ("steps must be from", "width must be from", "were not read"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": " "}, "There is no prompt yet; type what to draw, such as: a red circle."),
        ({"prompt": "a" * 20_001}, "The prompt has 20,001 characters; at most 20,000 are taken."),
        ({"model": "toy-clip"}, "Toy CLIP, full coverage does not draw; choose toy-diffusion"),
        ({"model": "../../etc"}, "There is no model called"),
        ({"steps": 2.5}, "steps must be a whole number."),
        ({"width": 0.5}, "width must be a whole number."),
        ({"seed": -1}, "seed must be a whole number from 0 to"),
        ({"scheduler": "zzz"}, "'zzz' does not fit"),
    ],
)
def test_what_cannot_be_drawn(client, change, sentence):
    with pytest.raises(AppError) as caught:
        client.predict(**({"prompt": PROMPT} | change), api_name="/draw")
    assert str(caught.value).startswith(sentence)
