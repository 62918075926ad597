"""Small pictures with captions as the payload of `components.picture_row`."""

from collections.abc import Sequence

from PIL import Image

from mmexplorer.figures.inline import payload_text, picture_uri

THUMBNAIL = 128


def picture_row_payload(pictures: Sequence[tuple[Image.Image, str, str]]) -> str:
    """JSON of (picture, what it shows in words, caption or ""); pictures are reduced to at most 128 pixels a side."""
    return payload_text(
        [
            {"picture": picture_uri(picture, THUMBNAIL), "alt": alt, "caption": caption}
            for picture, alt, caption in pictures
        ]
    )
