"""Which steps a range of them means, and maps as means over steps and layers."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer.drawings import Drawing, WordMaps
from mmexplorer.explore.drawing_views import ALL_STEPS, STEP_RANGES, ground, steps_of


def steps(count: int) -> dict[str, list[int]]:
    return {name: list(range(count))[steps_of(name, count)] for name in STEP_RANGES}


def test_thirds_follow_each_other_and_make_up_the_whole():
    assert steps(3) == {ALL_STEPS: [0, 1, 2], "first third": [0], "middle third": [1], "last third": [2]}
    found = steps(20)
    assert [found[name] for name in STEP_RANGES[1:]] == [
        [*range(6)],
        [*range(6, 13)],
        [*range(13, 20)],
    ]
    assert found[ALL_STEPS] == [*range(20)]


@pytest.mark.parametrize("count", range(1, 12))
def test_no_third_is_empty_and_none_goes_beyond_the_last_step(count):
    found = steps(count)
    assert all(found.values()) and {step for some in found.values() for step in some} == set(range(count))


def word_maps(steps):
    """Two layers, coarse and fine, the fine one counting for three attention layers."""
    coarse = np.arange(steps * 2 * 4, dtype=np.float16).reshape(steps, 2, 2, 2)
    fine = np.ones((steps, 2, 4, 4), np.float16) * np.arange(1, steps + 1).reshape(-1, 1, 1, 1)
    return WordMaps(("a", "b"), ("mid 2 x 2", "up 4 x 4"), (coarse, fine.astype(np.float16)), (1, 3))


def test_grounding_is_a_mean_over_steps_and_attention_layers():
    drawing = Drawing(Image.new("RGB", (8, 8)), (), None, {}, (), word_maps(3), model="m")
    grounding = ground(drawing)
    coarse, fine, together = grounding.maps
    assert grounding.layers == ("mid 2 x 2", "up 4 x 4", "all layers") and grounding.maps.shape == (3, 2, 4, 4)
    assert np.allclose(fine, 2.0) and np.allclose(together, (coarse + 3 * fine) / 4)
    # The mean over the steps of the first word is [[8, 9], [10, 11]], and a finer grid keeps its mean and its order.
    assert coarse[0].mean() == pytest.approx(9.5) and coarse[0, 0, 0] < coarse[0, 0, 3] < coarse[0, 3, 3]
    assert np.allclose(ground(drawing, slice(1, 2)).maps[1], 2.0)
    assert np.allclose(ground(drawing, slice(2, 3)).maps[1], 3.0)
    assert ground(replace(drawing, word_maps=None)) is None
