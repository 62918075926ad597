"""The payload of the film strip: numbers as given, latents and guidance as worked out by hand, a budget kept."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from mmexplorer.drawings import DrawEvent, Drawing, Step
from mmexplorer.figures.film_strip import SMALL, THUMB, LiveStrip, film_strip_payload, latent_pictures


def noise(width, height, seed=0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def drawing(count, *, shape=(4, 2, 2), size=(8, 8), guidance=True, previews=None, **fields) -> Drawing:
    random = np.random.default_rng(0)
    steps = tuple(
        Step(
            number,
            1000 - number,
            1 - number / 100,
            random.standard_normal(shape).astype(np.float16),
            random.standard_normal(shape).astype(np.float16),
            random.standard_normal(shape).astype(np.float16) if guidance else None,
            0.25 * number,
        )
        for number in range(1, count + 1)
    )
    pictures = tuple(noise(*(previews or size), seed) for seed in range(count))
    return Drawing(noise(*size), pictures, None, fields.pop("settings", {"steps": count}), steps, **fields)


def payload(*args, **kwargs):
    return json.loads(film_strip_payload(*args, **kwargs))


def opened(uri) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_steps_keep_their_numbers_and_exact_small_pictures():
    made = drawing(3)
    found = payload(made)
    assert (found["live"], found["total"], found["size"], found["notes"]) == (False, 3, [8, 8], [])
    assert found["latent"] == {"shape": [4, 2, 2], "mapped": False}
    for frame, step, preview in zip(found["frames"], made.steps, made.previews, strict=True):
        numbers = (frame["number"], frame["timestep"], frame["noise_level"], frame["seconds"])
        assert numbers == (step.number, step.timestep, step.noise_level, step.seconds)
        assert np.array_equal(np.asarray(opened(frame["clean"])), np.asarray(preview))
        assert opened(frame["latent"]).size == (2, 2)


def test_a_linear_map_turns_latents_into_colours():
    latent = np.array([[[0.0, 1.0]], [[0.5, 2.0]]])  # two channels, one row, two columns
    to_rgb = np.array([[0.25, 0.0, -1.0], [0.0, 0.5, 0.0], [0.25, 0.25, 0.5]])
    [picture] = latent_pictures([latent], to_rgb)
    # (0, 0.5): 0.25, 0.25 + 0.25, 0.5; (1, 2): 0.25 + 0.25, 1 + 0.25 cut to 1, 0.5 - 1 cut to 0.
    assert np.asarray(picture).tolist() == [[[64, 128, 128], [128, 255, 0]]]
    made = drawing(1)
    assert payload(made, to_rgb=np.zeros((5, 3)))["latent"]["mapped"]
    assert np.asarray(opened(payload(made, to_rgb=np.zeros((5, 3)))["frames"][0]["latent"])).max() == 0


def test_without_a_map_the_first_three_channels_share_one_scale_over_all_steps():
    latents = [np.stack([np.full((1, 1), value)] * 4) for value in (-1.0, 1.0)]
    # Mean 0 and standard deviation 1: 2.5 deviations are half of the range.
    grey = [np.asarray(picture)[0, 0].tolist() for picture in latent_pictures(latents)]
    assert grey == [[round(255 * 0.3)] * 3, [round(255 * 0.7)] * 3]
    one = latent_pictures([np.ones((1, 2, 3))])[0]
    assert one.size == (3, 2) and np.asarray(one).tolist() == [[[128] * 3] * 3] * 2, "one channel, nothing varies"


def test_guidance_is_a_mean_of_sizes_on_one_scale():
    made = drawing(2)
    vectors = np.array([[[[1.0, -3.0]], [[-1.0, 1.0]]], [[[0.0, 0.0]], [[0.0, -2.0]]]])
    steps = tuple(
        Step(i + 1, 0, 0, vector, vector, vector, 0)  # two channels, one row, two columns
        for i, vector in enumerate(vectors)
    )
    found = payload(Drawing(made.image, made.previews, None, {}, steps))["guidance"]
    assert found["most"] == 2.0 and found["maps"]["shape"] == [2, 1, 2]
    assert list(base64.b64decode(found["maps"]["uint8"])) == [128, 255, 0, 128]
    assert payload(drawing(2, guidance=False))["guidance"] is None


def test_numbers_that_are_not_finite_do_no_harm():
    broken = np.full((4, 2, 2), np.nan, dtype=np.float16)
    steps = (Step(1, 0, 0, broken, broken, broken, 0),)
    found = payload(Drawing(noise(8, 8), (noise(8, 8),), None, {}, steps))
    assert found["guidance"]["most"] == 0 and set(base64.b64decode(found["guidance"]["maps"]["uint8"])) == {0}


def test_large_previews_are_reduced_and_small_ones_are_known():
    large = payload(drawing(2, size=(512, 256)))
    assert opened(large["frames"][0]["clean"]).size == (256, 128)
    assert (large["exact"], large["decoded"]) == (False, True)
    linear = payload(drawing(2, size=(512, 256), previews=(64, 32)))
    assert opened(linear["frames"][0]["clean"]).size == (64, 32)
    assert (linear["exact"], linear["decoded"]) == (True, False)


def test_a_stopped_drawing_says_how_far_it_came():
    stopped = payload(drawing(3, ended="stopped", settings={"steps": 20}))
    assert (stopped["total"], len(stopped["frames"])) == (20, 3)
    assert stopped["notes"] == ["Stopped after step 3 of 20."]
    # Schedulers of second order take more steps than asked for.
    assert payload(drawing(19, settings={"steps": 10}))["total"] == 19


def test_a_heavy_payload_gets_smaller_previews_first():
    made = drawing(10, size=(512, 512))
    whole, reduced = film_strip_payload(made), film_strip_payload(made, budget=150_000)
    assert len(whole) > 150_000 >= len(reduced)
    found = json.loads(reduced)
    assert len(found["frames"]) == 10 and max(opened(found["frames"][0]["clean"]).size) == SMALL
    assert found["notes"] == [f"Previews are reduced to {SMALL} pixels to keep this page light."]


def test_then_fewer_steps_evenly_with_the_first_and_the_last():
    made = drawing(50, shape=(4, 64, 64), size=(512, 512))
    text = film_strip_payload(made, budget=400_000)
    assert len(text) <= 420_000, "the budget, give or take one step"
    found = json.loads(text)
    numbers = [frame["number"] for frame in found["frames"]]
    assert numbers[0] == 1 and numbers[-1] == 50 and 5 < len(numbers) < 50
    assert np.ptp(np.diff(numbers)) <= 1, "even"
    assert found["notes"] == [
        f"Previews are reduced to {SMALL} pixels to keep this page light.",
        f"{len(numbers)} of 50 steps are kept here to keep this page light.",
    ]
    small = payload(drawing(50), budget=10_000)["notes"]
    assert len(small) == 1 and "steps are kept" in small[0], "these previews were small already"
    maps = np.frombuffer(base64.b64decode(found["guidance"]["maps"]["uint8"]), np.uint8)
    maps = maps.reshape(found["guidance"]["maps"]["shape"])
    vectors = np.stack([made.steps[number - 1].guidance for number in numbers]).astype(np.float32)
    most = found["guidance"]["most"]
    assert maps / 255 * most == pytest.approx(np.abs(vectors).mean(axis=1), abs=most / 500)


def test_a_drawing_without_steps():
    assert payload(drawing(0))["frames"] == []


def test_live_payloads_hold_all_previews_so_far_and_the_newest_large():
    strip = LiveStrip(512, 256, guided=True)
    first = json.loads(strip.payload(DrawEvent(0, 3)))
    assert (first["live"], first["number"], first["total"], first["frames"], first["newest"]) == (True, 0, 3, [], None)
    assert (first["size"], first["guided"], first["eta"]) == ([512, 256], True, None)
    pictures = [noise(512, 256, seed) for seed in range(2)]
    for number, picture in enumerate(pictures, 1):
        found = json.loads(strip.payload(DrawEvent(number, 3, picture, seconds=number, eta=2.0)))
        assert [frame["number"] for frame in found["frames"]] == list(range(1, number + 1))
        assert opened(found["frames"][-1]["clean"]).size == (THUMB, THUMB // 2)
        assert opened(found["newest"]).size == (256, 128) and found["eta"] == 2.0
    last = json.loads(strip.payload(DrawEvent(3, 3)))
    assert len(last["frames"]) == 2 and last["newest"] is None
