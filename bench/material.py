"""The labels and pictures that are measured with: of the toy world, all different, the same in every run."""

from itertools import count, islice, product
from pathlib import Path

from PIL import Image

from mmexplorer.explore.truth import draw_scene
from mmexplorer.toyworld.vocabulary import COLOURS, SHAPES

RELATIONS = ("left of", "right of", "above", "below")

_seeds = count()


def labels(number: int) -> list[str]:
    """That many different labels, of two words up to six."""
    things = [f"{colour} {shape}" for colour, shape in product(COLOURS, SHAPES)]
    pairs = (f"{a} {how} {b}" for a, how, b in product(things, RELATIONS, reversed(things)) if a != b)
    return list(islice((*things, *pairs), number))


def new_pictures(number: int) -> list[Image.Image]:
    """That many pictures of 256 x 256 pixels that this process has not handed out before."""
    return [draw_scene(next(_seeds))[0] for _ in range(number)]


def new_files(number: int, folder: Path) -> list[Path]:
    """The same as PNG files in a folder."""
    files = []
    for picture in new_pictures(number):
        files.append(folder / f"picture-{next(_seeds)}.png")
        picture.save(files[-1])
    return files


def new_photo(folder: Path) -> Path:
    """One more as a JPEG file of 12 megapixels, the size that a phone takes."""
    file = folder / f"photo-{next(_seeds)}.jpg"
    new_pictures(1)[0].resize((4000, 3000)).save(file, quality=90)
    return file
