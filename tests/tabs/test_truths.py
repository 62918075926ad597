"""A session's memory of drawn pictures: bounded, and by pixels and shape."""

from PIL import Image

from mmexplorer.explore import truth
from mmexplorer.tabs import truths as known_here


def test_the_oldest_truths_are_forgotten():
    _, known = truth.draw_scene(seed=1)
    truths = {}
    pictures = [Image.new("RGB", (1, 1), (i, 0, 0)) for i in range(known_here.MAX_TRUTHS + 2)]
    for picture in pictures:
        truths = known_here.remembered(truths, picture, known)
    assert [known_here.truth_of(picture, truths) is not None for picture in pictures] == [False] * 2 + [True] * 64


def test_pictures_of_other_shapes_with_the_same_bytes_are_told_apart():
    tall, wide = Image.new("RGB", (2, 8)), Image.new("RGB", (8, 2))
    assert known_here.key_of(tall) != known_here.key_of(wide)
