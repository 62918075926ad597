"""The default heatmap method points at the objects that labels name, on held-out scenes with known masks."""

import pytest

from mmexplorer import methods
from mmexplorer.training.grounding_report import measure

DEFAULT = (methods.DEFAULT, methods.CONTRAST)
NAME = methods.DEFAULT + (" with contrast" if methods.CONTRAST else "")


@pytest.mark.parametrize(("kind", "least"), [("single", 0.85), ("pair", 0.70)])
def test_default_method_points_at_the_object(kind, least):
    scores = measure(kind, 500, [DEFAULT])
    assert scores[NAME]["objects"] >= 500
    assert scores[NAME]["pointing"] >= least
    assert scores[NAME]["strict"] >= 0.6  # without the half patch of tolerance
    # Both baselines are far below, so the figure is not a property of where objects lie.
    assert max(scores["centre"]["pointing"], scores["random"]["pointing"]) < least - 0.2
    assert scores[NAME]["iou"] > 2 * max(scores["centre"]["iou"], scores["random"]["iou"])
