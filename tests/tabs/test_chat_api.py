"""The endpoint /chat, asked by gradio_client: streams what the package says, and refuses in a sentence."""

import base64
import io

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import mmexplorer
from mmexplorer.explore.truth import draw_scene
from mmexplorer.tabs import chat_api, server, shell

QUESTION = "describe the picture"


@pytest.fixture(scope="module")
def client():
    with shell.Frame(analytics_enabled=False) as page:
        chat_api.add()
    server.launch(page, "127.0.0.1", None)
    yield Client(page.local_url, verbose=False)
    page.close(verbose=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    paths = [tmp_path_factory.mktemp("scenes") / f"{seed}.png" for seed in range(2)]
    for seed, path in enumerate(paths):
        draw_scene(seed)[0].save(path)
    return paths


def test_chat_streams_and_ends_with_what_the_package_says(client, files):
    *steps, last = client.submit([handle_file(files[0])], QUESTION, api_name="/chat")
    expected = mmexplorer.answer(files[0], QUESTION)
    assert all(set(step) == {"text"} and expected.text.startswith(step["text"]) for step in steps)
    assert last["text"] == expected.text != ""
    for token, own in zip(last["tokens"], expected.tokens, strict=True):
        assert (token["id"], token["text"]) == (own.id, own.text)
        assert token["probability"] == pytest.approx(own.probability, abs=1e-4)
        assert [a["id"] for a in token["alternatives"]] == [id for id, _, _ in own.alternatives]
    assert (last["ended"], last["model"], last["remarks"]) == (expected.ended, "toy-llava", [])
    assert (last["text_tokens"], last["image_tokens"]) == (expected.text_tokens, 64)
    assert last["words"] == [{"text": w.text, "role": w.role} for w in expected.attention.words]
    archive = np.load(io.BytesIO(base64.b64decode(last["npz"])))
    np.testing.assert_allclose(archive["maps"], expected.grounding.maps, atol=1e-4)
    assert archive["words"].tolist() == list(expected.grounding.words)


def test_turns_name_their_pictures_by_number(client, files):
    images = [handle_file(path) for path in files]
    turns = [["user", QUESTION, [1]], ["assistant", "a red circle"], ["user", "how many shapes are there?", [0, 1]]]
    answer = client.predict(images, turns, api_name="/chat")
    *_, last = mmexplorer.chat(
        [("user", QUESTION, files[1]), ("assistant", "a red circle"), ("user", turns[2][1], files)]
    )
    assert [t["id"] for t in answer["tokens"]] == list(last.reply.ids) and answer["image_tokens"] == 3 * 64
    first = client.predict(images, [["user", QUESTION]], api_name="/chat")  # without numbers they are the first turn's
    assert first["image_tokens"] == 2 * 64


def test_settings_are_the_packages(client, files):
    expected = mmexplorer.answer(files[0], QUESTION, temperature=2, top_p=0.9, seed=3, max_new_tokens=6, forced={1: 20})
    settings = {"temperature": 2, "top_p": 0.9, "seed": 3, "max_new_tokens": 6, "forced": {"1": 20}}
    answer = client.predict([handle_file(files[0])], QUESTION, **settings, api_name="/chat")
    assert [token["id"] for token in answer["tokens"]] == list(expected.ids)
    assert answer["settings"] == settings


def test_no_picture_is_needed(client):
    answer = client.predict(None, "is there a <b>zorg</b>?", api_name="/chat")
    assert answer["tokens"] and answer["npz"] == "" and answer["words"] == []
    assert "zorg" in answer["remarks"][0]


TURNS = 'turns must be a question, or a list of turns such as ["user", "what is this?"].'
NUMBERS = "A turn names its pictures by their numbers in images, from 0, and there are 1."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"turns": None}, TURNS),
        ({"turns": {"user": "what?"}}, TURNS),
        ({"turns": ["what?"]}, TURNS),
        ({"turns": [[]]}, TURNS),
        ({"turns": [["user", "what?", [0], 1]]}, TURNS),
        ({"turns": [["user", "what?", [1]]]}, NUMBERS),
        ({"turns": [["user", "what?", [-1]]]}, NUMBERS),
        ({"turns": [["user", "what?", ["/etc/passwd"]]]}, NUMBERS),
        ({"turns": [["user", "what?", 0]]}, NUMBERS),
        ({"turns": [["user", {"a": 1}]]}, "The role and the text of a turn must be texts."),
        ({"turns": [[7, "what?"]]}, "The role and the text of a turn must be texts."),
        ({"turns": []}, "A conversation goes user, assistant, user and so on, and ends with the user."),
        ({"turns": "", "images": None}, "Type a question or add a picture first."),
        ({"model": "toy-clip"}, "Toy CLIP, full coverage does not chat; choose toy-llava"),
        ({"model": "../../etc"}, "There is no model called"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number from 1 to 1,024."),
        ({"max_new_tokens": 10**9}, "max_new_tokens must be a whole number from 1 to 1,024."),
        ({"max_new_tokens": None}, "max_new_tokens must be a whole number from 1 to 1,024."),
        ({"temperature": -1}, "temperature must be 0, for the likeliest token, or from 0.01 to 10."),
        ({"temperature": None}, "temperature must be a number."),
        ({"top_p": 0}, "top_p must be above 0 and at most 1."),
        ({"seed": -5}, "seed must be a whole number from 0 to 9,223,372,036,854,775,807."),
        ({"forced": [1]}, "forced must give a token id for each position, such as {2: 17}."),
        ({"forced": {"9" * 5_000: 1}}, "A forced position must be a whole number from 0 to 1,023."),
        ({"forced": {"x": 1}}, "A forced position must be a whole number from 0 to 1,023."),
        ({"forced": {"0": 10_000}}, "Token 10000 cannot stand in an answer."),
        ({"turns": "a " * 5_000}, "This conversation has 5,0"),
    ],
)
def test_what_cannot_be_answered(client, files, change, sentence):
    given = {"images": [handle_file(files[0])], "turns": QUESTION} | change
    with pytest.raises(AppError) as caught:
        client.predict(**given, api_name="/chat")
    assert str(caught.value).startswith(sentence)


def test_files_that_are_no_pictures(client, tmp_path):
    (tmp_path / "notes.txt").write_text("some notes")
    with pytest.raises(AppError) as caught:
        client.predict([handle_file(tmp_path / "notes.txt")], QUESTION, api_name="/chat")
    assert str(caught.value) == "notes.txt is not a picture that can be read; use PNG, JPEG, WebP, GIF, BMP or TIFF."
    with pytest.raises(AppError, match="at most 16 pictures, and this one has 17"):
        client.predict([handle_file(tmp_path / "notes.txt")] * 17, QUESTION, api_name="/chat")
