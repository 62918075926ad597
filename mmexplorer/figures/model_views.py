"""What a chat model gets of each picture, as the payload of `components.model_views`.

Turns layouts into sentences and percentages; knows no image processor, and nothing of how it is drawn.
"""

from collections.abc import Sequence

from PIL import Image

from mmexplorer.figures.inline import data_uri, payload_text, picture_uri
from mmexplorer.replies import ImageLayout

ORIGINAL_PIXELS = 512
# Views up to this side are sent exactly; every pixel of theirs is shown as a square.
EXACT_SIDE = 128


def views_payload(images: Sequence[Image.Image], layouts: Sequence[ImageLayout], *, model: str = "") -> str:
    """JSON for `components.model_views`: each picture with the box that the model gets, and its views as fed.

    Larger views are sent as WebP of high quality. A layout without `seen` has no views, only its picture.
    """
    pairs = zip(images, layouts, strict=True)
    return payload_text({"model": model, "pictures": [_picture(image, layout) for image, layout in pairs]})


def _picture(image: Image.Image, layout: ImageLayout) -> dict:
    width, height = layout.size
    left, top, right, bottom = layout.box
    seen = max(0.0, right - left) * max(0.0, bottom - top) / (width * height)
    return {
        "uri": picture_uri(image, ORIGINAL_PIXELS),
        "size": [width, height],
        "box": [left / width, top / height, right / width, bottom / height],
        "seen": round(seen, 4),
        "tokens": _tokens(layout),
        "base": _base(layout),
        "tiles": _tiles(layout) if layout.tiling else None,
    }


def _tokens(layout: ImageLayout) -> dict:
    """How many tokens of each kind there are, and where in the prompt they stand (first and last)."""
    counts = {kind: int((layout.kind == kind).sum()) for kind in ("base", "tile", "newline")}
    positions = layout.positions
    return {**counts, "first": int(positions.min()), "last": int(positions.max())}


def _base(layout: ImageLayout) -> dict | None:
    return _view(layout.seen[0], layout) if layout.seen else None


def _tiles(layout: ImageLayout) -> dict:
    """The tiles in reading order; grid is what is left of their patches as tokens."""
    rows, columns = layout.tiling
    return {
        "rows": rows,
        "columns": columns,
        "grid": list(layout.tile_grid or (0, 0)),
        "views": [_view(view, layout) for view in layout.seen[1:]],
    }


def _view(view: Image.Image, layout: ImageLayout) -> dict:
    exact = max(view.size) <= EXACT_SIDE
    return {
        "uri": picture_uri(view) if exact else data_uri(view.convert("RGB"), "webp", quality=90),
        "size": list(view.size),
        "exact": exact,
        "patches": list(layout.base_grid),  # every view goes through the tower alone, in as many patches as the first
    }
