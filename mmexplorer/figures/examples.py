"""Example pictures and titles as the payload of the row of examples."""

from collections.abc import Sequence

from PIL import Image

from mmexplorer.figures.inline import payload_text, picture_uri

THUMBNAIL = 96


def examples_payload(titles: Sequence[str], pictures: Sequence[Image.Image]) -> str:
    """JSON for `components.examples`: one thumbnail of at most 96 pixels and one title each."""
    return payload_text(
        [
            {"title": title, "picture": picture_uri(picture, THUMBNAIL)}
            for title, picture in zip(titles, pictures, strict=True)
        ]
    )
