"""How far, how fast, how long: the words of the status line while something long goes on."""

import pytest

from mmexplorer.pace import Pace


def pace_at(*steps, doing="Embedding", unit="pictures") -> str:
    """What a Pace says after (second, done, total, free) steps; the clock stands where the last step was."""
    now = 0.0
    pace = Pace(doing, unit, clock=lambda: now)
    for second, *counts in steps:
        now = second
        pace.note(*counts)
    return pace.text()


def test_before_anything_is_known_it_says_what_is_done():
    assert Pace("Embedding", "pictures").text() == "Embedding."


def test_rate_and_remaining_time_come_with_the_first_second():
    assert pace_at((0, 0, 2400), (0.5, 30, 2400)) == "Embedding: 30 of 2,400 pictures."
    assert pace_at((0, 0, 2400), (10, 400, 2400)) == "Embedding: 400 of 2,400 pictures, 40 a second, 50 s left."


def test_what_came_from_the_cache_says_nothing_about_the_rate():
    said = pace_at((0, 0, 1100), (10, 1000, 1100, 900))
    assert said == "Embedding: 1,000 of 1,100 pictures, 10 a second, 10 s left."


@pytest.mark.parametrize(
    ("done", "left"), [(100, "9 min left"), (1, "16.6 h left"), (999, "1 s left"), (1000, "Embedding: 1,000 of 1,000")]
)
def test_the_time_left_is_in_the_unit_people_would_use(done, left):
    assert left in pace_at((0, 0, 1000), (60, done, 1000))


def test_a_share_is_a_percentage():
    now = 0.0
    pace = Pace("UMAP", clock=lambda: now)
    pace.share(0.0)
    now = 2.0
    pace.share(0.25)
    assert pace.text() == "UMAP: 25 %, 6 s left."
