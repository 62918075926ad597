"""Rows become maps: by hand on small grids, in place on real layouts, and sinks that were planted."""

import numpy as np
import pytest
from PIL import Image

from mmexplorer.explore.chat_views import cells, default_range, descriptions, ground, ground_rows, sinks
from mmexplorer.models.llava_layout import single_view, tiled_view
from mmexplorer.replies import AttendedWord, Attention, ImageLayout

PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
SIZES = [(640, 480), (480, 640), (1280, 720), (333, 1001), (100, 90), (336, 336)]


def attention(mean, layouts, words, most=None, shares=None) -> Attention:
    """words are (text, role, rows)."""
    mean = np.asarray(mean, np.float16)
    layers, rows, _ = mean.shape
    return Attention(
        images=tuple(Image.new("RGB", layout.size) for layout in layouts),
        layouts=tuple(layouts),
        words=tuple(AttendedWord(text, role, tuple(rows), tuple(rows)) for text, role, rows in words),
        mean=mean,
        max=mean if most is None else np.asarray(most, np.float16),
        shares=np.full((layers, 2, rows, 4), 0.25, np.float32) if shares is None else shares,
    )


@pytest.fixture
def by_hand() -> Attention:
    """Three rows on 2 x 2 patches; the question's word has the first, the answer's word both others."""
    rows = [[0.1, 0.2, 0.3, 0.0], [0.0, 0.1, 0.1, 0.2], [0.2, 0.3, 0.5, 0.4]]
    shares = np.zeros((1, 2, 3, 4), np.float32)
    shares[0, 0, :, 1], shares[0, 1, :, 1] = [0.6, 0.4, 1.0], [0.2, 0.0, 0.6]
    words = [("circle", "question", [0]), ("red", "answer", [1, 2])]
    return attention([rows], [single_view((4, 4), (4, 4), 4, 2)], words, most=[np.array(rows) * 2], shares=shares)


def test_a_words_map_is_the_mean_over_its_rows_in_reading_order(by_hand):
    found = ground(by_hand)
    assert found.words == ("circle", "red") and found.layers == ("layer 1",) and found.box == (0, 0, 4, 4)
    np.testing.assert_allclose(found.maps[0], [[[0.1, 0.2], [0.3, 0.0]], [[0.1, 0.2], [0.3, 0.3]]], atol=1e-3)


def test_heads_can_be_the_maximum_and_the_share_stays_that_of_their_mean(by_hand):
    found = ground(by_hand, heads="max")
    np.testing.assert_allclose(found.maps[0, 1], [[0.2, 0.4], [0.6, 0.6]], atol=2e-3)
    np.testing.assert_allclose(found.image_share, [[0.4, 0.5]])


def test_minus_mean_keeps_what_a_word_has_more_of_than_all_rows(by_hand):
    found = ground(by_hand, view="minus mean")  # all rows' mean is 0.1, 0.2, 0.3, 0.2
    np.testing.assert_allclose(found.maps[0], [[[0, 0], [0, 0]], [[0, 0], [0, 0.1]]], atol=1e-3)


def test_relative_divides_by_the_neutral_rows_and_a_token_without_any_stays_finite(by_hand):
    found = ground(by_hand, view="relative", neutral=np.array([[0.1, 0.2, 0.1, 0.0]]))
    np.testing.assert_allclose(found.maps[0, 0], [[0.1 / 0.11, 0.2 / 0.21], [0.3 / 0.11, 0]], atol=1e-2)
    assert np.isfinite(ground(by_hand, view="relative", neutral=np.zeros((1, 4))).maps).all()


def test_views_and_parts_that_do_not_exist_are_errors(by_hand):
    with pytest.raises(ValueError, match="without neutral rows"):
        ground(by_hand, view="relative")
    with pytest.raises(ValueError, match="no view"):
        ground(by_hand, view="rollout")
    with pytest.raises(ValueError, match="no part"):
        ground(by_hand, part="top")


def test_rows_of_one_head_or_of_one_word_are_drawn_in_the_same_way(by_hand):
    head = ground_rows(by_hand, by_hand.mean, ["layer 5, head 3"])
    np.testing.assert_array_equal(head.maps, ground(by_hand).maps)
    np.testing.assert_allclose(head.image_share, [[0.6, 0.9]], atol=1e-3)
    gradient = ground_rows(by_hand, np.eye(4)[:2], ["layer 1", "layer 2"], word=1)
    assert gradient.words == ("red",) and gradient.maps.shape == (2, 1, 2, 2)
    assert gradient.maps[1, 0].tolist() == [[0, 1], [0, 0]] and np.isnan(gradient.image_share).all()


def test_every_picture_has_its_own_columns():
    layouts = [single_view((8, 4), (8, 4), 4, 2), single_view((6, 6), (6, 6), 6, 2)]
    rows = np.arange(13) / 16
    found = attention([[rows]], layouts, [("it", "answer", [0])])
    assert ground(found).maps[0, 0].tolist() == [[0, 1 / 16], [2 / 16, 3 / 16]]
    assert ground(found).box == (2, 0, 6, 4)  # the middle of the wide picture
    np.testing.assert_array_equal(ground(found, picture=1).maps[0, 0].ravel(), rows[4:])


def test_padding_around_a_padded_picture_is_left_out():
    layout = single_view((96, 48), (96, 96), 96, 24, padded=True)
    found = attention([[np.arange(16) / 16]], [layout], [("it", "answer", [0])])
    maps = ground(found).maps[0, 0]
    assert ground(found).box == (0, 0, 96, 48)
    np.testing.assert_array_equal(maps.ravel(), np.arange(4, 12) / 16)
    assert cells(layout).ravel().tolist() == list(range(4, 12))


def drawn(layout: ImageLayout, weights: np.ndarray, part: str) -> np.ndarray:
    """The map (h, w) of one word's weights (k,)."""
    seen = attention([[weights]], [layout], [("it", "answer", [0])])
    found = ground_rows(seen, weights[None], ["all"], word=0, part=part)
    assert found.box == (0, 0, *layout.size)
    assert found.maps.shape[2:] == (layout.base_grid if part == "base" else layout.tile_grid)
    return found.maps[0, 0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", ["base", "tiles", "both"])
@pytest.mark.parametrize("axis", [0, 1])
def test_cells_lie_where_they_say_whatever_the_tiling(size, part, axis):
    """Weight per area that grows evenly from 1 to 2 over the picture, in base view and tiles alike."""
    layout = tiled_view(size, PINPOINTS, 336, 14)
    edges = layout.boxes.astype(np.float64)
    areas = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1]) / (size[0] * size[1])
    maps = drawn(layout, areas * (1 + edges[:, [axis, axis + 2]].mean(axis=1) / size[axis]), part)
    shown = maps * maps.size / (2 if part == "both" else 1)
    expected = 1 + (np.indices(maps.shape)[1 - axis] + 0.5) / maps.shape[1 - axis]
    # What resampling may cost is half a patch of the base view; at the border the model leaves strips without tiles.
    np.testing.assert_allclose(shown[1:-1, 1:-1], expected[1:-1, 1:-1], atol=0.5 / 24)


@pytest.mark.parametrize("size", SIZES)
def test_no_weight_is_lost_or_made(size):
    layout = tiled_view(size, PINPOINTS, 336, 14)
    weights = np.random.default_rng(0).random(len(layout.positions)).astype(np.float32)
    total = {part: drawn(layout, weights, part).sum() for part in ("base", "tiles", "both")}
    assert total["base"] == pytest.approx(weights[layout.kind == "base"].sum(), rel=1e-4)
    assert total["tiles"] == pytest.approx(weights[layout.kind == "tile"].sum(), rel=1e-4)
    assert total["both"] == pytest.approx(total["base"] + total["tiles"], rel=1e-4)


def test_without_tiles_every_part_is_the_base_view(by_hand):
    for part in ("tiles", "both"):
        np.testing.assert_array_equal(ground(by_hand, part=part).maps, ground(by_hand).maps)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("part", ["base", "tiles"])
def test_each_cell_names_the_token_whose_box_holds_its_centre(size, part):
    layout = tiled_view(size, PINPOINTS, 336, 14)
    found = cells(layout, part)
    boxes, (rows, columns) = layout.boxes[found], found.shape
    x = (np.arange(columns) + 0.5) * size[0] / columns
    y = ((np.arange(rows) + 0.5) * size[1] / rows)[:, None]
    assert ((boxes[..., 0] <= x) & (x <= boxes[..., 2]) & (boxes[..., 1] <= y) & (y <= boxes[..., 3])).all()
    assert set(layout.kind[found].ravel()) == {"base" if part == "base" else "tile"}


def with_sinks(rows: int, planted: list[int]) -> Attention:
    """Two pictures of 64 patches; every word looks at a patch of its own, and all of them at the planted ones."""
    random = np.random.default_rng(0)
    weights = random.random((3, rows, 128))
    weights[:, np.arange(rows), 64 + np.arange(rows)] += 60
    weights[..., planted] += 30
    weights /= weights.sum(axis=-1, keepdims=True)
    layout = single_view((64, 64), (64, 64), 64, 8)
    return attention(weights, [layout, layout], [(str(i), "answer", [i]) for i in range(rows)])


def test_planted_sinks_are_found_and_nothing_else():
    assert np.flatnonzero(sinks(with_sinks(12, [5, 40, 127]))).tolist() == [5, 40, 127]
    assert not sinks(with_sinks(12, [])).any()


def test_what_all_words_of_a_short_answer_look_at_is_no_sink():
    assert not sinks(with_sinks(3, [5])).any()


def test_hidden_sinks_have_no_weight_and_all_else_keeps_its_own():
    seen = with_sinks(12, [5, 127])
    for picture, sink in ((0, 5), (1, 63)):
        shown, hidden = (
            ground(seen, picture=picture, hide_sinks=hide).maps.reshape(3, 12, 64) for hide in (False, True)
        )
        assert not hidden[..., sink].any() and shown[..., sink].all()
        np.testing.assert_array_equal(np.delete(hidden, sink, -1), np.delete(shown, sink, -1))


def test_question_and_answer_are_read_apart():
    words = [("which", "question"), ("red", "question"), ("circle", "answer"), ("red", "answer"), ("star", "answer")]
    seen = attention(
        np.ones((1, 5, 4)), [single_view((4, 4), (4, 4), 4, 2)], [(t, r, [i]) for i, (t, r) in enumerate(words)]
    )
    assert descriptions(seen) == {1: "red", 2: "circle", 3: "red star", 4: "red star"}


def test_the_default_range_lies_within_the_layers():
    assert default_range(32) == (12, 19)
    for layers in range(1, 41):
        for model in ("", "toy-llava"):
            first, last = default_range(layers, model)
            assert 0 <= first <= last < layers
