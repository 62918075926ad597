"""The viewer's payload, its agreement with ground truth and the NumPy archive, against values worked out by hand."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures import viewer_fit
from mmexplorer.figures.viewer import ground_truth_score, grounding_npz, viewer_payload
from mmexplorer.results import Grounding


def grounding(maps, *, size=(8, 8), box=None, words=None, layers=None, **fields) -> Grounding:
    """A grounding over a grey picture, with the words and layers that the maps (L, W, h, w) call for."""
    maps = np.array(maps, dtype=np.float32)
    count = maps.shape[:2]
    return Grounding(
        image=Image.new("RGB", size, "grey"),
        words=words or tuple(f"word {i}" for i in range(count[1])),
        maps=maps,
        layers=layers or tuple(f"layer {i}" for i in range(count[0])),
        image_share=fields.pop("image_share", np.full(count, np.nan, dtype=np.float32)),
        box=box or (0, 0, *size),
        **fields,
    )


def one_hot(rows, columns, row, column) -> np.ndarray:
    result = np.zeros((rows, columns), dtype=np.float32)
    result[row, column] = 1
    return result


def decoded(payload) -> np.ndarray:
    """The maps as the browser sees them: bytes times the map's maximum."""
    shape = len(payload["layers"]), len(payload["words"]), payload["rows"], payload["columns"]
    codes = np.frombuffer(base64.b64decode(payload["maps"]), dtype=np.uint8).reshape(shape)
    return codes / 255 * np.array(payload["peaks"])[..., None, None]


def picture(payload) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(payload["picture"].split(",", 1)[1])))


def mask_from_outline(outline: str, size) -> np.ndarray:
    """Fill an outline again: inside means an odd number of vertical strokes to the left."""
    width, height = size
    crossings = np.zeros((height, width + 1), dtype=int)
    for x, top, bottom in re.findall(r"M(\d+) (\d+)V(\d+)", outline):
        crossings[int(top) : int(bottom), int(x)] += 1
    return crossings.cumsum(axis=1)[:, :-1] % 2 == 1


def test_quantised_maps_stay_within_the_documented_error():
    maps = np.random.default_rng(0).random((3, 4, 5, 7)) * np.array([1e-6, 1, 300, 0])[None, :, None, None]
    payload = json.loads(viewer_payload(grounding(maps)))
    error = np.abs(decoded(payload) - maps).max(axis=(2, 3))
    assert (error <= maps.max(axis=(2, 3)) * (1 / 510 + 1e-5)).all()
    assert (error[:, :3] > 0).all(), "an exact copy would mean that this test compares the maps with themselves"


def test_payload_carries_words_layers_scores_and_missing_shares():
    value = grounding(
        np.ones((2, 2, 2, 2)),
        image_share=np.array([[0.25, np.nan], [1.0, 0.5]]),
        scores=np.array([0.31, np.nan]),
        method="occlusion",
        model="toy-clip",
    )
    payload = json.loads(viewer_payload(value, quantity="attention"))
    assert payload["words"] == ["word 0", "word 1"]
    assert payload["layers"] == ["0", "1"], "the axis 'Layer' is written once, by the viewer"
    assert payload["shares"] == [[0.25, None], [1.0, 0.5]]
    assert payload["scores"] == [0.31, None]
    assert (payload["method"], payload["model"], payload["quantity"]) == ("occlusion", "toy-clip", "attention")
    assert payload["layer"] == 1, "the last layer is shown first"
    assert payload["truth"] == [None, None]
    assert payload["notes"] == []


def test_layer_names_keep_words_that_are_not_the_axis():
    value = grounding(np.ones((2, 1, 2, 2)), layers=("step 1", "stepwise mean"))
    assert json.loads(viewer_payload(value, axis="Step", layer=0))["layers"] == ["1", "stepwise mean"]


def test_small_pictures_arrive_exactly_and_large_ones_bounded():
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    small = replace(grounding(np.ones((1, 1, 2, 2)), size=(64, 48)), image=Image.fromarray(noise))
    payload = json.loads(viewer_payload(small))
    assert payload["pixelated"] and np.array_equal(np.asarray(picture(payload)), noise)
    payload = json.loads(viewer_payload(grounding(np.ones((1, 1, 2, 2)), size=(3000, 1500), box=(750, 0, 2250, 1500))))
    assert picture(payload).size == (768, 384)
    assert (payload["width"], payload["height"], payload["pixelated"]) == (3000, 1500, False)
    assert payload["box"] == [0.25, 0, 0.75, 1]
    assert payload["notes"] == ["Hatched: cropped away before the model saw the picture."]


def test_hostile_labels_survive_as_text_without_a_tag_in_the_string():
    label = "</script><img src=x onerror=alert(1)> ${alert(1)} {{value}} \"'`\\ \u2028 \x00"
    text = viewer_payload(grounding(np.ones((1, 1, 2, 2)), words=(label,)))
    assert "<" not in text
    assert json.loads(text)["words"] == [label]


def test_more_words_and_layers_than_fit_are_cut_and_said():
    maps = np.zeros((50, 70, 1, 1))
    maps[:, :, 0, 0] = np.arange(50)[:, None]
    payload = json.loads(viewer_payload(grounding(maps)))
    assert len(payload["words"]) == 64 and len(payload["layers"]) == 40
    assert payload["layers"][0] == "0" and payload["layers"][-1] == "49"
    assert [peaks[0] for peaks in payload["peaks"]] == [float(name) for name in payload["layers"]]
    assert payload["layer"] == 39
    assert payload["notes"] == ["Shown: the first 64 of 70 words.", "Shown: 40 of 50 layers or steps, evenly spaced."]


def test_unknown_words_are_named():
    value = grounding(np.ones((1, 1, 2, 2)), unknown_words=("zebra", "gnu"))
    assert json.loads(viewer_payload(value))["notes"] == ["Words this model does not know: zebra, gnu."]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_maps_that_cannot_be_drawn_are_refused(bad):
    with pytest.raises(ValueError, match="finite and non-negative"):
        viewer_payload(grounding([[[[0.5, bad]]]]))


def test_maps_that_do_not_fit_the_words_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        viewer_payload(grounding(np.ones((1, 2, 2, 2)), words=("only one",)))


def test_no_words_make_a_payload_that_can_be_read():
    payload = json.loads(viewer_payload(grounding(np.zeros((1, 0, 2, 2)))))
    assert payload["words"] == [] and payload["maps"] == ""


def test_pointing_game_asks_for_the_strongest_patch():
    value = grounding([[one_hot(2, 2, 1, 0)]])  # its centre is at x = 2, y = 6
    mask = np.zeros((8, 8), dtype=bool)
    mask[6, 2] = True
    assert ground_truth_score(value, 0, 0, mask, tolerance=0)[0] is True
    assert ground_truth_score(value, 0, 0, ~mask, tolerance=0)[0] is False


def test_pointing_game_lets_the_strongest_patch_touch_the_object():
    value = grounding([[one_hot(2, 2, 1, 0)]])  # the patch covers x 0 to 4 and y 4 to 8
    for row, column, hit in ((4, 0, True), (7, 3, True), (3, 0, False), (7, 4, False)):
        mask = np.zeros((8, 8), dtype=bool)
        mask[row, column] = True
        assert ground_truth_score(value, 0, 0, mask)[0] is hit


def test_pointing_game_uses_the_box_not_the_whole_image():
    value = grounding([[one_hot(2, 2, 0, 0)]], size=(16, 8), box=(8, 0, 16, 8))  # centre at x = 10, y = 2
    left, right = np.zeros((2, 8, 16), dtype=bool)
    left[:, :8] = True
    right[:, 8:12] = True
    assert ground_truth_score(value, 0, 0, right)[0] is True
    assert ground_truth_score(value, 0, 0, left) == (False, 0.0)


def test_iou_keeps_as_many_pixels_as_the_mask_has():
    # One column of patches per pixel: 4 > 3 > 2 > 1, so the two strongest columns are 0 and 1; the mask is 1 and 2.
    value = grounding([[[[4, 3, 2, 1]]]], size=(4, 1))
    mask = np.array([[False, True, True, False]])
    hit, iou = ground_truth_score(value, 0, 0, mask)
    assert hit is False
    assert iou == pytest.approx(1 / 3)
    assert ground_truth_score(value, 0, 0, np.array([[True, True, False, False]])) == (True, 1.0)


@pytest.mark.parametrize(("level", "expected"), [(0.0, 0.0), (0.7, 16 / 64)])
def test_a_map_without_contrast_misses_and_selects_nothing_or_everything(level, expected):
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:6, 2:6] = True
    hit, iou = ground_truth_score(grounding(np.full((1, 1, 2, 2), level)), 0, 0, mask)
    assert hit is False and iou == pytest.approx(expected)


def test_payload_scores_every_layer_of_words_that_have_a_mask():
    mask = np.zeros((8, 8), dtype=bool)
    mask[:4, :4] = True
    value = grounding([[one_hot(2, 2, 0, 0)] * 3, [one_hot(2, 2, 1, 1)] * 3], words=("a", "b", "c"))
    truth = json.loads(viewer_payload(value, {"b": mask, "c": np.zeros((8, 8), dtype=bool)}))["truth"]
    assert truth[0] is None and truth[2] is None, "no mask and an empty mask give nothing to draw"
    assert truth[1]["hits"] == [True, False]
    assert truth[1]["ious"] == [round(ground_truth_score(value, layer, 1, mask)[1], 4) for layer in (0, 1)]
    assert truth[1]["ious"][0] > truth[1]["ious"][1]


@pytest.mark.parametrize("seed", range(3))
def test_outline_encloses_exactly_the_mask(seed):
    mask = np.random.default_rng(seed).random((9, 13)) > 0.6
    value = grounding(np.ones((1, 1, 2, 2)), size=(13, 9), words=("w",))
    truth = json.loads(viewer_payload(value, {"w": mask}))["truth"][0]
    assert truth["size"] == [13, 9]
    assert np.array_equal(mask_from_outline(truth["outline"], truth["size"]), mask)


def test_outline_of_one_pixel_is_its_four_sides():
    mask = np.zeros((3, 3), dtype=bool)
    mask[1, 1] = True
    value = grounding(np.ones((1, 1, 2, 2)), size=(3, 3), words=("w",))
    outline = json.loads(viewer_payload(value, {"w": mask}))["truth"][0]["outline"]
    assert sorted(re.findall(r"M[^M]+", outline)) == ["M1 1H2", "M1 1V2", "M1 2H2", "M2 1V2"]


def test_large_masks_are_scored_at_a_bounded_size():
    mask = np.zeros((1000, 500), dtype=bool)
    mask[:500, :250] = True
    value = grounding([[one_hot(2, 2, 0, 0)]], size=(500, 1000), words=("w",))
    truth = json.loads(viewer_payload(value, {"w": mask}))["truth"][0]
    assert truth["size"] == [128, 256]
    drawn = mask_from_outline(truth["outline"], truth["size"])
    assert drawn[:128, :64].all() and drawn.sum() == 128 * 64
    assert truth["hits"] == [True]
    assert truth["ious"][0] == pytest.approx(ground_truth_score(value, 0, 0, mask)[1], abs=0.02)


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        viewer_payload(grounding(np.ones((1, 1, 2, 2)), words=("w",)), {"w": np.ones((4, 4), dtype=bool)})


def test_what_only_conversations_have_is_left_out_otherwise():
    payload = json.loads(viewer_payload(grounding(np.ones((2, 2, 2, 2)))))
    assert not {"roles", "range", "segments", "sinks", "word"} & set(payload)


def test_a_conversation_carries_roles_range_segments_sinks_and_notes():
    shares = np.random.default_rng(0).random((3, 2, 4)).astype(np.float32)
    payload = json.loads(
        viewer_payload(
            grounding(np.ones((3, 2, 2, 2))),
            roles=("question", "answer"),
            layer_range=(1, 2),
            segments=(("system", "image", "question", "answer"), shares),
            sinks=(3, 0),
            word=1,
            notes=("View: relative.",),
        )
    )
    assert (payload["roles"], payload["range"], payload["word"]) == (["question", "answer"], [1, 2], 1)
    assert payload["segments"]["names"] == ["system", "image", "question", "answer"]
    sent = np.frombuffer(base64.b64decode(payload["segments"]["float32"]), "<f4").reshape(3, 2, 4)
    assert np.array_equal(sent, shares)
    assert payload["sinks"] == [0, 3]
    sentence = "Ringed: 2 patches that draw attention whatever is said (attention sinks)."
    assert payload["notes"] == [sentence, "View: relative."]


def test_sinks_that_were_taken_out_are_said_to_be():
    value = grounding([[one_hot(2, 2, 0, 0)]])
    said = [json.loads(viewer_payload(value, sinks=(cell,)))["notes"][0] for cell in (0, 1)]
    assert said[0] == "Ringed: a patch that draws attention whatever is said (attention sinks)."
    assert said[1] == "Ringed: a patch that draws attention whatever is said (attention sinks), here set to zero."


def test_a_long_answer_keeps_as_many_words_as_asked_for_and_its_first_word_among_them():
    value = grounding(np.ones((1, 5, 1, 1)))
    shares = np.arange(5, dtype=np.float32).reshape(1, 5, 1)
    payload = json.loads(
        viewer_payload(value, max_words=3, roles=("question",) * 5, segments=(("image",), shares), word=4)
    )
    assert payload["words"] == ["word 0", "word 1", "word 2"]
    assert payload["roles"] == ["question"] * 3 and payload["word"] == 2
    assert np.frombuffer(base64.b64decode(payload["segments"]["float32"]), "<f4").tolist() == [0, 1, 2]
    assert payload["notes"] == ["Shown: the first 3 of 5 words."]


def test_range_segments_and_sinks_follow_maps_that_were_made_smaller(monkeypatch):
    monkeypatch.setattr(viewer_fit, "MAX_BYTES", viewer_fit.MIN_LAYERS * 4)
    maps = np.arange(23, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 4, 4), dtype=np.float32)
    shares = np.arange(23, dtype=np.float32).reshape(23, 1, 1)
    mask = np.zeros((8, 8), dtype=bool)
    mask[:2, :2] = True
    payload = json.loads(
        viewer_payload(
            grounding(maps), {0: mask}, layer_range=(8, 14), segments=(("image",), shares), sinks=(0, 1, 15), layer=8
        )
    )
    assert payload["layers"] == [str(layer) for layer in range(0, 23, 2)]
    assert payload["range"] == [4, 7] and payload["layer"] == 4
    assert (payload["rows"], payload["columns"], payload["sinks"]) == (2, 2, [0, 3])
    assert decoded(payload)[:, 0, 0, 0].tolist() == list(range(0, 23, 2))
    sent = np.frombuffer(base64.b64decode(payload["segments"]["float32"]), "<f4")
    assert sent.tolist() == list(range(0, 23, 2))
    assert len(payload["truth"][0]["ious"]) == 12
    assert any("2 by 2 of the 4 x 4 patches" in note for note in payload["notes"])


def test_a_mask_belongs_to_a_word_by_text_or_where_texts_repeat_by_index():
    one, other = np.zeros((2, 8, 8), dtype=bool)
    one[0, 0] = other[5:, 5:] = True
    value = grounding(np.ones((1, 3, 2, 2)), words=("red", "blue", "red"))
    truth = json.loads(viewer_payload(value, {"blue": other, 0: one}))["truth"]
    assert [entry and mask_from_outline(entry["outline"], (8, 8)).sum() for entry in truth] == [1, 9, None]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"roles": ("answer",)}, "1 roles do not fit 2 words"),
        ({"layer_range": (0, 2)}, "does not fit 2 layers"),
        ({"layer_range": (1, 0)}, "does not fit 2 layers"),
        ({"segments": (("image",), np.ones((2, 2, 2)))}, "do not fit layers, words and names"),
    ],
)
def test_what_does_not_fit_words_and_layers_is_refused(bad, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        viewer_payload(grounding(np.ones((2, 2, 2, 2))), **bad)


def test_archive_opens_without_pickle_and_holds_the_exact_maps():
    maps = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    value = grounding(maps, words=("a", "naïve", "猫"), scores=np.array([0.1, 0.2, 0.3]), method="m", model="toy-clip")
    with np.load(io.BytesIO(grounding_npz(value)), allow_pickle=False) as archive:
        assert np.array_equal(archive["maps"], maps)
        assert archive["words"].tolist() == ["a", "naïve", "猫"]
        assert archive["layers"].tolist() == ["layer 0", "layer 1"]
        assert archive["image_share"].shape == (2, 3) and np.isnan(archive["image_share"]).all()
        assert archive["box"].tolist() == [0, 0, 8, 8]
        assert (str(archive["method"]), str(archive["model"])) == ("m", "toy-clip")
        assert archive["scores"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    with np.load(io.BytesIO(grounding_npz(replace(value, scores=None)))) as archive:
        assert "scores" not in archive


def test_archive_takes_further_arrays_but_nothing_that_would_be_pickled():
    value = grounding(np.ones((1, 1, 2, 2)))
    with np.load(io.BytesIO(grounding_npz(value, roles=np.array(["answer"])))) as archive:
        assert archive["roles"].tolist() == ["answer"] and archive["words"].tolist() == ["word 0"]
    with pytest.raises(ValueError, match="pickle"):
        grounding_npz(value, roles=np.array([None]))
