"""The files of a conversation: everything in them again, as plain data, and nothing acting as markup."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures.conversation import attention_npz, conversation_json, conversation_markdown, conversation_zip
from mmexplorer.replies import AttendedWord, Attention, ImageLayout, Reply, TokenChoice

HOSTILE = "<img src=x onerror=alert(1)> **bold** [link](http://x) `code`\n# heading\n- item\n=====\n1. one &lt; |"


def layout(kinds, grid, tile_grid, start):
    k = len(kinds)
    boxes = np.arange(4 * k, dtype=np.float32).reshape(k, 4)
    return ImageLayout((8, 6), np.arange(start, start + k), boxes, np.array(kinds), grid, tile_grid, (0, 0, 8, 6))


@pytest.fixture
def attention():
    layouts = (
        layout(["base"] * 2, (1, 2), None, 3),
        layout(["base"] * 2 + ["tile", "newline"], (1, 2), (1, 1), 9),
    )
    rows, tokens = 4, 6
    return Attention(
        images=(Image.new("RGB", (8, 6), "red"), Image.new("RGB", (8, 6), "blue")),
        layouts=layouts,
        words=(AttendedWord("what", "question", (14,), (0,)), AttendedWord("square", "answer", (17, 18), (1, 2))),
        mean=np.arange(2 * rows * tokens, dtype=np.float16).reshape(2, rows, tokens),
        max=np.ones((2, rows, tokens), np.float16),
        shares=np.full((2, 3, rows, 4), 0.25, np.float32),
        model="toy-llava",
    )


@pytest.fixture
def exchanges(attention):
    a = TokenChoice(7, "a", 0.75, ((7, "a", 0.75), (8, "the", 0.25)))
    end = TokenChoice(2, "", 0.5, ((2, "</s>", 0.5), (7, "a", 0.25)))
    settings = {"temperature": 0.0, "seed": 3, "forced": {0: 7}}
    first = Reply(
        "a", (a, end), attention=attention, model="toy-llava", settings=settings, text_tokens=9, image_tokens=6
    )
    second = Reply(HOSTILE, (), ended="stopped", remarks=("<b>dax</b> is not known.",))
    return [("what is it?", list(attention.images), first), (HOSTILE, [], second)]


def test_json_holds_every_token_and_names_the_files(exchanges):
    first, second = json.loads(conversation_json(exchanges))["exchanges"]
    assert first["question"] == "what is it?"
    assert first["pictures"] == [
        {"file": "pictures/1-1.png", "width": 8, "height": 6},
        {"file": "pictures/1-2.png", "width": 8, "height": 6},
    ]
    answer = first["answer"]
    assert (answer["text"], answer["ended"], answer["maps"]) == ("a", "end", "maps/1.npz")
    assert answer["settings"] == {"temperature": 0.0, "seed": 3, "forced": {"0": 7}}
    assert (answer["text_tokens"], answer["image_tokens"]) == (9, 6)
    assert answer["tokens"][0] == {
        "id": 7,
        "text": "a",
        "probability": 0.75,
        "alternatives": [{"id": 7, "text": "a", "probability": 0.75}, {"id": 8, "text": "the", "probability": 0.25}],
    }
    assert second["question"] == second["answer"]["text"] == HOSTILE
    assert second["answer"]["maps"] is None and second["answer"]["tokens"] == []


def test_markdown_can_be_read_and_is_no_markup(exchanges):
    lines = conversation_markdown(exchanges).splitlines()
    assert "Picture 2, 8 × 6 pixels" in lines
    assert "Probabilities: `a` 75.0% · `</s>` 50.0%" in lines
    assert (
        "toy-llava, read 9 text tokens and 6 image tokens, wrote 2 tokens, ended by the model, "
        "temperature 0.0, seed 3, forced {0: 7}"
    ) in lines
    assert r"> \<img src=x onerror=alert(1)\> \*\*bold\*\* \[link\](http://x) \`code\`  " in lines
    assert r"> \# heading  " in lines and r"> \- item  " in lines
    assert r"> \=====  " in lines and r"> 1\. one \&lt; \|" in lines
    assert r"- \<b\>dax\</b\> is not known." in lines
    assert not any(line.startswith("!") for line in lines)


def test_a_token_of_backticks_stays_within_its_own():
    tokens = tuple(TokenChoice(i, text, 0.5, ()) for i, text in enumerate((" ``", "\n", " ", "")))
    text = conversation_markdown([("q", [], Reply("x", tokens))])
    assert "Probabilities: ``` `` ``` 50.0% · `↵` 50.0% · `␣` 50.0% · `token 3` 50.0%" in text


def test_zip_holds_pictures_and_maps(exchanges):
    with zipfile.ZipFile(io.BytesIO(conversation_zip(exchanges))) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "conversation.json",
            "conversation.md",
            "maps/1.npz",
            "pictures/1-1.png",
            "pictures/1-2.png",
        ]
        assert Image.open(archive.open("pictures/1-2.png")).getpixel((0, 0)) == (0, 0, 255)
        assert json.loads(archive.read("conversation.json")) == json.loads(conversation_json(exchanges))
        assert "![Picture 2](pictures/1-2.png) 8 × 6 pixels" in archive.read("conversation.md").decode("utf-8")
        assert np.load(archive.open("maps/1.npz"))["mean"].shape == (2, 4, 6)


def test_maps_open_without_pickle_and_say_what_is_what(attention):
    maps = np.load(io.BytesIO(attention_npz(attention)), allow_pickle=False)
    for name in ("mean", "max", "shares"):
        assert maps[name].dtype == getattr(attention, name).dtype
        np.testing.assert_array_equal(maps[name], getattr(attention, name))
    assert maps["words"].tolist() == ["what", "square"] and maps["word_roles"].tolist() == ["question", "answer"]
    assert maps["word_rows"].tolist() == [[0, 0], [1, 1], [1, 2]]
    assert maps["pictures"].tolist() == [0, 0, 1, 1, 1, 1] and maps["positions"].tolist() == [3, 4, 9, 10, 11, 12]
    assert maps["kinds"].tolist() == ["base", "base", "base", "base", "tile", "newline"]
    np.testing.assert_array_equal(maps["boxes"][2:], attention.layouts[1].boxes)
    assert maps["sizes"].tolist() == [[8, 6], [8, 6]]
    assert maps["base_grids"].tolist() == [[1, 2], [1, 2]] and maps["tile_grids"].tolist() == [[0, 0], [1, 1]]
    assert maps["share_names"].tolist() == ["system", "image", "question", "answer"]
    assert str(maps["model"]) == "toy-llava"


def test_an_empty_conversation():
    assert json.loads(conversation_json([])) == {"exchanges": []}
    assert conversation_markdown([]) == "# Conversation\n"
