"""What a session knows to be in the pictures that were drawn for it, found again by a picture's pixels."""

import hashlib

from PIL import Image

from mmexplorer.explore.truth import Truth

MAX_TRUTHS = 64  # drawn scenes whose masks a session remembers


def key_of(picture: Image.Image) -> str:
    """A key for a picture's pixels."""
    return hashlib.sha256(repr(picture.size).encode() + picture.convert("RGB").tobytes()).hexdigest()


def truth_of(picture: Image.Image, truths: dict) -> Truth | None:
    """What is known to be in a picture, if it was drawn here."""
    return truths.get(key_of(picture))


def remembered(truths: dict, picture: Image.Image, known: Truth | None) -> dict:
    """The session's truths with one more picture; the oldest are forgotten."""
    if known is None:
        return truths
    kept = dict(list(truths.items())[-(MAX_TRUTHS - 1) :])
    return {**kept, key_of(picture): known}
