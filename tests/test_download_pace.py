"""How far, how fast, how long: the words of the status line while a checkpoint comes."""

import pytest

from mmexplorer.download_pace import DownloadPace

MB = 10**6


def said(*steps) -> str:
    """What a DownloadPace says after (second, done, total) steps; the clock stands where the last step was."""
    now = 0.0
    pace = DownloadPace(clock=lambda: now)
    for second, *counts in steps:
        now = second
        pace.note(*counts)
    return pace.text()


def test_before_the_size_is_known():
    assert DownloadPace().text() == said((0, 0, 0)) == "asking the Hub what there is to download"


def test_rate_and_remaining_time_come_with_the_first_second():
    assert said((0, 0, 605 * MB), (0.5, 6 * MB, 605 * MB)) == "downloading 6 of 605 MB"
    assert said((0, 0, 605 * MB), (5, 210 * MB, 605 * MB)) == "downloading 210 of 605 MB, 42 MB a second, 9 s left"


def test_what_was_there_says_nothing_about_the_rate():
    steps = (0, 200 * MB, 605 * MB), (5, 260 * MB, 605 * MB)
    assert said(*steps) == "downloading 260 of 605 MB, 12 MB a second, 29 s left"


def test_the_rate_is_that_of_the_last_seconds():
    quick = [(second, second * 10 * MB, 900 * MB) for second in range(21)]
    slow = [(20 + second, (200 + second) * MB, 900 * MB) for second in range(1, 12)]
    assert said(*quick, *slow) == "downloading 211 of 900 MB, 1 MB a second, 11 min left"


def test_the_clock_begins_when_the_size_is_known():
    steps = (0, 0, 0), (8, 0, 0), (8, 0, 100 * MB), (10, 20 * MB, 100 * MB)
    assert said(*steps) == "downloading 20 of 100 MB, 10 MB a second, 8 s left"


def test_silence_is_named():
    steps = (0, 0, 100 * MB), (2, 50 * MB, 100 * MB), (4, 50 * MB, 100 * MB)
    assert said(*steps) == "downloading 50 of 100 MB, 12 MB a second, 4 s left"
    assert said(*steps, (7, 50 * MB, 100 * MB)) == "downloading 50 of 100 MB, nothing has come for 5 s"
    still = [(7 + second, 50 * MB, 100 * MB) for second in range(60)]
    assert said(*steps, *still) == "downloading 50 of 100 MB, nothing has come for 64 s"


def test_a_file_that_begins_anew_begins_the_rate_anew():
    steps = (0, 0, 100 * MB), (5, 50 * MB, 100 * MB), (6, 0, 100 * MB)
    assert said(*steps) == "downloading 0 of 100 MB"
    assert said(*steps, (8, 10 * MB, 100 * MB)) == "downloading 10 of 100 MB, 5 MB a second, 18 s left"


@pytest.mark.parametrize(
    ("done", "total", "words"),
    [
        (210 * MB, 14_200 * MB, "downloading 0.2 of 14.2 GB"),
        (9_960 * MB, 14_200 * MB, "downloading 10.0 of 14.2 GB"),
        (1_500, 66_000, "downloading 2 of 66 kB"),
        (605 * MB, 605 * MB, "checking the 605 MB that arrived"),
    ],
)
def test_both_numbers_are_in_the_unit_of_the_whole(done, total, words):
    assert said((0, done, total)) == words
