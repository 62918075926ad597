"""A drawing's PNG gives its settings back, and no other file does; the other kinds hold what they say."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmexplorer.drawings import Drawing, PromptWord, Stage, Step, WordMaps
from mmexplorer.errors import Refusal
from mmexplorer.figures import drawing_file
from mmexplorer.figures.drawing_file import drawing_facts, drawing_png, maps_npz, previews_gif, read_settings
from mmexplorer.results import Grounding

SETTINGS = {
    "prompt": "a “red” círcle <b>\n赤い",
    "negative_prompt": "",
    "seed": 7,
    "steps": 2,
    "guidance": 4.5,
    "scheduler": "euler a",
    "width": 8,
    "height": 8,
    "model": "toy-diffusion",
    "revision": None,
}


@pytest.fixture
def drawing():
    rng = np.random.default_rng(0)

    def noise(size=(8, 8)):
        return Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8))

    latent = np.zeros((4, 2, 2), np.float16)
    steps = tuple(Step(n, 1000.0 / n, 1.0 / n, latent, latent, None, 0.5) for n in (1, 2))
    maps = WordMaps(("red", "circle"), ("up 2 x 2",), (rng.random((2, 2, 2, 2)).astype(np.float16),), (1,))
    image = noise()
    grounding = Grounding(
        image, maps.words, np.ones((2, 2, 2, 2), np.float32), ("up 2 x 2", "all layers"), np.ones((2, 2)), (0, 0, 8, 8)
    )
    return Drawing(
        image, (noise((2, 2)), noise((2, 2))), grounding, SETTINGS, steps, maps, model="toy-diffusion",
        words=(PromptWord("red", (1,)),), stages=(Stage("tokens", (4,)),), remarks=("Something was cut.",), seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path, drawing):
    """A function that writes a PNG with a text in the chunk."""

    def save(text, name="picture.png", keyword=drawing_file.PROGRAM):
        info = PngInfo()
        info.add_text(keyword, text)
        drawing.image.save(tmp_path / name, pnginfo=info)
        return tmp_path / name

    return save


def changed(**changes) -> str:
    return json.dumps({"program": "mmexplorer", **SETTINGS, **changes})


def test_a_png_gives_pixels_and_settings_back(tmp_path, drawing):
    file = tmp_path / "a.png"
    file.write_bytes(drawing_png(drawing))
    assert np.array_equal(np.asarray(Image.open(file)), np.asarray(drawing.image))
    assert read_settings(file) == SETTINGS


def test_pictures_from_elsewhere_are_refused_in_one_sentence(tmp_path, drawing, saved):
    drawing.image.save(tmp_path / "plain.png")
    drawing.image.save(tmp_path / "photo.jpg")
    (tmp_path / "text.png").write_bytes(b"no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    cut = drawing_png(drawing)
    (tmp_path / "cut.png").write_bytes(cut[:40])
    files = [tmp_path / name for name in ("plain.png", "photo.jpg", "text.png", "empty.png", "cut.png", "missing.png")]
    files += [
        saved(text, f"{i}.png")
        for i, text in enumerate(
            ["", "{", "[]", "null", "7", '{"program": "other"}', '{"program": "mmexplorer"}', "[" * 100_000]
        )
    ]
    files += [saved(changed(program="ComfyUI"), "other.png"), saved(changed(), "keyword.png", keyword="parameters")]
    files.append(saved(changed().replace("4.5", "NaN"), "nan.png"))
    for file in files:
        with pytest.raises(Refusal) as caught:
            read_settings(file)
        assert str(caught.value) == (
            f"{file.name} holds no settings of a picture that was drawn here; use a PNG as this page saves it."
        )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": "a" * 20_001}, "prompt"),
        ({"negative_prompt": None}, "negative prompt"),
        ({"seed": 1.5}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**53}, "seed"),
        ({"steps": True}, "steps"),
        ({"guidance": "4"}, "guidance"),
        ({"guidance": 10**400}, "guidance"),
        ({"scheduler": None}, "scheduler"),
        ({"width": None}, "width"),
        ({"model": 3}, "model"),
        ({"revision": 3}, "revision"),
    ],
)
def test_settings_that_nobody_could_have_typed_are_refused(saved, change, what):
    with pytest.raises(Refusal) as caught:
        read_settings(saved(changed(**change)))
    assert str(caught.value) == f"picture.png says something impossible about its {what}."


def test_half_a_surrogate_pair_can_be_sent_on(saved):
    assert read_settings(saved(changed(prompt="a \ud800 b")))["prompt"] == "a ? b"


def test_a_large_picture_is_not_decoded_for_its_settings(tmp_path, drawing, monkeypatch):
    file = tmp_path / "a.png"
    file.write_bytes(drawing_png(drawing))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert read_settings(file)["seed"] == 7


def test_a_gif_has_every_preview_and_ends_with_the_picture(drawing):
    gif = Image.open(io.BytesIO(previews_gif(drawing)))
    assert (gif.n_frames, gif.size) == (3, (256, 256))
    for number, picture in enumerate((*drawing.previews, drawing.image)):
        gif.seek(number)
        expected = picture.resize((256, 256), Image.Resampling.NEAREST)
        difference = np.abs(np.asarray(gif.convert("RGB"), int) - np.asarray(expected, int))
        assert difference.max() <= 8, number  # at most 256 colours each


def test_facts_are_plain_and_whole(drawing):
    facts = json.loads(json.dumps(drawing_facts(drawing), allow_nan=False))
    assert facts["settings"] == SETTINGS and facts["program"] == "mmexplorer"
    assert facts["steps"][1] == {"number": 2, "timestep": 500.0, "noise_level": 0.5, "seconds": 0.5}
    assert facts["words"] == [{"text": "red", "tokens": [1]}]
    assert facts["stages"] == [{"name": "tokens", "shape": [4], "parameters": 0, "seconds": None, "note": ""}]
    assert facts["remarks"] == ["Something was cut."] and (facts["ended"], facts["seconds"]) == ("end", 1.0)


def test_the_archive_has_the_maps_of_every_step(drawing):
    archive = np.load(io.BytesIO(maps_npz(drawing)), allow_pickle=False)
    assert np.array_equal(archive["step_maps_0"], drawing.word_maps.maps[0])
    assert archive["maps"].shape == (2, 2, 2, 2) and archive["words"].tolist() == ["red", "circle"]
    assert archive["noise_level"].tolist() == [1.0, 0.5] and archive["timestep"].tolist() == [1000.0, 500.0]
