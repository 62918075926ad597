"""The fold with scores, without a page: what it says, what it escapes, and what it asks for first."""

from types import SimpleNamespace

import pytest
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.explore.drawing_scores import ClipScore, DrawingScores, ExactGrade
from mmexplorer.tabs import draw_scores
from mmexplorer.tabs.shelf import Shelved

ANNA = SimpleNamespace(session_hash="anna")
PROMPT, TWIN = ClipScore("a <b>red</b> circle", 0.3, 0.75), ClipScore("a blue circle", 0.29, 0.725)
GRADE = ExactGrade(
    (("a circle", True), ("the circle is red", False)), False, ("a red circle",), ("a small blue circle",)
)


def scores(**changes):
    given = {"clip": "toy-clip", "prompt": PROMPT, "twin": TWIN, "twin_kind": "other colour", "grade": GRADE}
    return DrawingScores(**{**given, "remarks": ("A remark.",), **changes})


def test_scores_are_told_in_words_and_bars():
    markup = draw_scores.markup(scores())
    assert "hardly tells the prompt from its twin" in markup
    for said in ("a &lt;b&gt;red", "twin, other colour", "0.75", "0.300", "1 of 2 statements", "✗ no", "A remark."):
        assert said in markup
    assert "Seen in the picture: a small blue circle." in markup and "<b>red" not in markup


@pytest.mark.parametrize(
    ("twin", "said"),
    [
        (ClipScore("x", 0.1, 0.25), "fits better than its twin, by 0.50"),
        (ClipScore("x", 0.4, 1.0), "the twin fits better, by 0.25"),
        (None, "gives this picture and its prompt 0.75 of at most 2.5"),
    ],
)
def test_the_verdict_is_that_of_the_numbers(twin, said):
    assert said in draw_scores.markup(scores(twin=twin))


def test_without_a_grade_and_with_nothing_found():
    nothing = ClipScore("x", -0.1, 0.0)
    markup = draw_scores.markup(scores(prompt=nothing, twin=nothing, grade=None))
    assert "neither the prompt nor its twin" in markup and "statement" not in markup
    whole = draw_scores.markup(scores(grade=ExactGrade((("a circle", True),), True, ("a circle",), ("a circle",))))
    assert "1 of 1 statements of the prompt are true of the picture, and nothing else is in it." in whole


def test_a_picture_is_scored_by_the_real_toy():
    drawing = Drawing(Image.new("RGB", (64, 64), "white"), (), None, {"prompt": "a red circle"}, (), model="toy-clip")
    *_, (status, markup) = draw_scores.score("", Shelved(drawing), ANNA)
    assert "Scored by" in status and "Toy CLIP, full coverage" in markup and "an orange circle" in markup
    *_, (status, _) = draw_scores.score("toy-llava", Shelved(drawing), ANNA)
    assert "does not embed" in status


def test_first_there_must_be_a_picture():
    [(status, _)] = draw_scores.score("", None, ANNA)
    assert "There is no picture yet" in status
    assert "Score the picture above" in draw_scores.forget(ANNA)[1]
