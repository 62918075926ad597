import numpy as np
import pytest
from PIL import Image

from mmexplorer.figures.causal import causal_html, hidden_picture, verdict


def test_the_verdict_compares_the_loss_with_that_of_random_patches():
    matters = verdict("red", -0.1, -2.1, np.array([-0.2, -0.4]))
    assert "loses 2.00 of log p; without random patches it loses 0.20" in matters and "mattered" in matters
    assert "1 of 2 random draws" in verdict("red", -0.1, -1.1, np.array([-0.2, -3.0]))
    assert "hardly needed them" in verdict("a", -0.001, -0.002, np.array([-0.001]))
    assert "-0.00" not in verdict("a", -0.001, -0.002, np.array([-0.001]))
    assert "gains 0.30 of log p" in verdict("a", -0.5, -0.2, np.array([-0.5]))


def test_words_and_answers_are_escaped_and_probabilities_shown():
    picture = Image.new("RGB", (4, 4))
    markup = causal_html(
        word="<b>", log_probability=np.log(0.5), without=np.log(0.25), random=np.log([0.5, 0.1]),
        answers=("<i>", "b", "c"), pictures=(picture, picture),
    )  # fmt: skip
    assert "<b>" not in markup and "<i>" not in markup and "&lt;b&gt;" in markup
    assert "50.0%" in markup and "25.0%" in markup and "30.0% (10.0% to 50.0%)" in markup


@pytest.mark.parametrize(("size", "scale"), [((40, 20), 1), ((512, 256), 0.5)])
def test_hidden_patches_are_grey_at_their_place(size, scale):
    box = np.array([[0, 0, size[0] / 4, size[1] / 2], [3, 3, 3, 3]])
    shown = np.asarray(hidden_picture(Image.new("RGB", size, "white"), box))
    assert shown.shape[:2] == (size[1] * scale, size[0] * scale)
    grey = (shown != 255).all(axis=-1)
    rows, columns = np.nonzero(grey)
    assert grey.sum() == size[0] * scale / 4 * size[1] * scale / 2
    assert rows.max() < size[1] * scale / 2 and columns.max() < size[0] * scale / 4
