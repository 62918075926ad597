"""What a visitor drew on a canvas, as a picture."""

from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.pictures import open_picture


def picture_of(drawing: dict | None) -> Image.Image:
    """The picture of a gr.ImageEditor's value; Refusal if nothing was drawn."""
    composite = (drawing or {}).get("composite")
    if composite is None or not composite.convert("RGBA").getchannel("A").getextrema()[1]:
        raise Refusal("The canvas is empty; draw something first.")
    return open_picture(composite)
