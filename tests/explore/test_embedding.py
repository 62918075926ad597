"""Bulk embedding gives the model's own vectors, once per content, in order, and keeps what was done when stopped."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.explore import embedding
from mmexplorer.explore.embedding import embed_captions, embed_images, embed_locations, embed_texts
from mmexplorer.placement import CPU
from mmexplorer.presets import preset


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(embedding, "BATCH", 4)
    monkeypatch.setattr(embedding, "AHEAD", 8)


@pytest.fixture
def files(painted):
    """Ten pictures from black-red to bright red with some green, all of another direction."""
    return [painted(f"{i}.png", (250, 25 * i, 0)) for i in range(10)]


def located(paths):
    return [f"file:{path}" for path in paths]


def expected(count):
    rows = np.array([(250, 25 * i, 0) for i in range(count)], np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Lender:
    """A residency that lends one model."""

    def __init__(self, model):
        self.model = model

    @contextmanager
    def use(self, key, stop=None):
        yield self.model


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_the_vectors_are_those_of_the_model(family, request, pictures, tmp_path, cache_folder, monkeypatch):
    from mmexplorer.models.clip import load

    clip = load(preset("toy-clip"), request.getfixturevalue(f"{family}_folder"), CPU)
    monkeypatch.setattr(embedding, "residency", Lender(clip))
    paths = []
    for i, picture in enumerate(pictures):
        paths.append(tmp_path / f"{i}.png")
        picture.save(paths[-1])
    vectors = clip.embed_images(pictures)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01  # equal rows would prove nothing
    embedded = embed_locations(located(paths))
    np.testing.assert_allclose(embedded.vectors, vectors, atol=1e-5)
    assert embedded.vectors.dtype == np.float32 and embedded.rows.tolist() == list(range(6)) and embedded.complete
    np.testing.assert_allclose(embed_images(paths), vectors, atol=1e-5)
    np.testing.assert_allclose(embed_images(pictures), vectors, atol=1e-5)
    np.testing.assert_array_equal(embed_texts(["red", "blue square"]), clip.embed_texts(["red", "blue square"]))


def test_nothing_is_embedded_or_decoded_twice(colour_clip, files, monkeypatch):
    seen = []
    first = embed_locations(located(files), progress=lambda *done: seen.append(done))
    np.testing.assert_allclose(first.vectors, expected(10), atol=1e-6)
    assert colour_clip.batches == [4, 4, 2] and seen == [(4, 10, 0), (8, 10, 0), (10, 10, 0)]
    monkeypatch.setattr(embedding, "open_picture", None)
    colour_clip.lent.clear()
    again = embed_locations(located(files[::-1]), progress=lambda *done: seen.append(done))
    np.testing.assert_array_equal(again.vectors, first.vectors[::-1])
    assert colour_clip.lent == [] and seen[-1] == (10, 10, 10)


def test_previews_are_not_decoded_twice_either(colour_clip, files, monkeypatch):
    first, again = [], []
    embed_locations(located(files), on_picture=lambda row, picture: first.append(np.asarray(picture)))
    monkeypatch.setattr(embedding, "open_picture", None)
    embed_locations(located(files), on_picture=lambda row, picture: again.append(np.asarray(picture)))
    assert len(first) == len(again) == 10
    for one, other in zip(first, again, strict=True):
        assert one.shape == other.shape and np.abs(one.astype(int) - other).max() < 12


def test_another_model_has_vectors_of_its_own(colour_clip, files):
    first = embed_locations(located(files))
    other = embed_locations(located(files), model="toy-clip-withheld")
    np.testing.assert_allclose(other.vectors, np.roll(first.vectors, 1, axis=1))


def test_equal_files_go_through_the_model_once(colour_clip, painted):
    paths = [painted(name, (9, 200, 0)) for name in ("a.png", "b.png", "c.png")]
    result = embed_locations(located(paths))
    assert colour_clip.batches == [1] and result.rows.tolist() == [0, 1, 2]
    assert np.array_equal(result.vectors[0], result.vectors[1]) and np.array_equal(result.vectors[0], result.vectors[2])


def test_unreadable_pictures_are_named_and_left_out(colour_clip, files, tmp_path):
    broken, empty = tmp_path / "broken.png", tmp_path / "empty.jpg"
    broken.write_bytes(files[0].read_bytes()[:45])
    empty.touch()
    paths = [broken, files[1], tmp_path / "gone.png", files[2], empty]
    result = embed_locations(located(paths), names=["a/broken", "1", "a/gone", "2", "a/empty"])
    assert result.rows.tolist() == [1, 3] and result.complete
    np.testing.assert_allclose(result.vectors, expected(3)[1:], atol=1e-6)
    assert [(one.name, one.reason) for one in result.skipped] == [
        ("a/broken", "is damaged or incomplete and cannot be decoded; save or send it again."),
        ("a/gone", "is no longer there."),
        ("a/empty", "is an empty file; choose a picture such as a PNG or JPEG."),
    ]
    assert [one.name for one in embed_locations(located([broken])).skipped] == ["broken.png"]


def test_a_model_that_cannot_be_had_is_not_the_pictures_fault(colour_clip, files):
    colour_clip.missing = True
    with pytest.raises(Refusal, match="model is not on this disk"):
        embed_locations(located(files))
    with pytest.raises(Refusal, match="model is not on this disk"):
        embed_images(files)


def test_stopped_half_way_it_keeps_what_is_done_and_goes_on_from_there(colour_clip, files):
    stop = threading.Event()
    half = embed_locations(located(files), stop=stop, progress=lambda *_: stop.set())
    assert half.rows.tolist() == [0, 1, 2, 3] and not half.complete
    np.testing.assert_allclose(half.vectors, expected(4), atol=1e-6)
    whole = embed_locations(located(files))
    assert colour_clip.batches == [4, 4, 2] and whole.complete
    np.testing.assert_allclose(whole.vectors, expected(10), atol=1e-6)


def test_stopped_before_the_start_there_is_nothing(colour_clip, files):
    stop = threading.Event()
    stop.set()
    result = embed_locations(located(files), stop=stop)
    assert len(result.vectors) == len(result.rows) == 0 and not result.complete and colour_clip.lent == []


@pytest.mark.parametrize("known", [False, True])
def test_pictures_come_by_row_and_small_also_from_the_cache(colour_clip, painted, tmp_path, known):
    paths = [painted(f"{i}.png", (255, 20 * i, 0), (400, 100 + i)) for i in range(6)]
    paths.insert(2, tmp_path / "gone.png")
    if known:
        embed_locations(located(paths))
    seen = []
    embed_locations(located(paths), on_picture=lambda row, picture: seen.append((row, picture)))
    assert [row for row, _ in seen] == [0, 1, 3, 4, 5, 6]
    for i, (_, picture) in enumerate(seen):
        assert picture.size == (192, round(192 * (100 + i) / 400)) and picture.mode == "RGB"
        assert picture.getpixel((90, 20)) == (255, 20 * i, 0)
    assert sum(colour_clip.batches) == 6


def test_only_a_few_pictures_wait_for_the_model(colour_clip, painted, monkeypatch):
    read, waiting, real = [], [], embedding.read_location
    monkeypatch.setattr(embedding, "read_location", lambda location: read.append(location) or real(location))

    def note(done, *_):
        threading.Event().wait(0.05)  # time for the threads to run on as far as they may
        waiting.append(len(read) - done)

    embed_locations(located([painted(f"{i}.png", (200, i, 0)) for i in range(60)]), progress=note)
    assert len(read) == 60 and max(waiting) <= embedding.AHEAD


def test_no_pictures_are_refused(colour_clip):
    for nothing in (lambda: embed_locations([]), lambda: embed_images([]), lambda: embed_texts([])):
        with pytest.raises(Refusal, match=r"There (are|is) no"):
            nothing()


def test_one_picture_of_any_kind(colour_clip, files):
    picture = Image.open(files[2]).convert("RGB")
    for source in (files[2], str(files[2]), files[2].read_bytes(), picture, np.asarray(picture)):
        np.testing.assert_allclose(embed_images(source), expected(3)[2:], atol=1e-6)
        np.testing.assert_allclose(embed_images([source]), expected(3)[2:], atol=1e-6)
    assert colour_clip.batches == [1] * 10


def test_an_unreadable_picture_among_several_is_named(colour_clip, files, tmp_path):
    with pytest.raises(Refusal, match=r"gone\.png"):
        embed_images([files[0], tmp_path / "gone.png"])
    with pytest.raises(Refusal, match="Picture 2 is not a picture"):
        embed_images([files[0].read_bytes(), b"words"])


def test_texts_in_batches_come_back_in_order(colour_clip, monkeypatch):
    monkeypatch.setattr(embedding, "TEXT_BATCH", 2)
    vectors = embed_texts(["red", "green", "blue", "red blue", "red"])
    half = 0.5**0.5
    np.testing.assert_allclose(vectors, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [half, 0, half], [1, 0, 0]], atol=1e-6)
    assert len(colour_clip.lent) == 3
    np.testing.assert_allclose(embed_texts("green"), [[0, 1, 0]])
    assert embed_texts(["red \ud800"]).shape == (1, 3)  # half a surrogate pair
    with pytest.raises(Refusal, match="not of type int"):
        embed_texts(["red", 3])


def test_captions_are_cached_and_can_be_stopped(colour_clip, monkeypatch):
    monkeypatch.setattr(embedding, "TEXT_BATCH", 2)
    captions, stop, seen = ["red", "green", "red", "blue", "red"], threading.Event(), []
    half = embed_captions(captions, stop=stop, progress=lambda *_: stop.set())
    np.testing.assert_allclose(half, [[1, 0, 0], [0, 1, 0]])
    whole = embed_captions(captions, progress=lambda *done: seen.append(done))
    np.testing.assert_allclose(whole, np.eye(3)[[0, 1, 0, 2, 0]])
    assert colour_clip.texts == ["red", "green", "blue"]
    assert seen == [(2, 5, 2), (4, 5, 3), (5, 5, 4)]
