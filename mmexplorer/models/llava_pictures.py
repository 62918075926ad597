"""Pictures on their way into a LLaVA: the tensors that its vision tower takes, the views they show, and their layout.

Knows the families' image processors, which differ in how many views of a picture they make; knows no text.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.models.clip_pictures import resized_size
from mmexplorer.models.llava_layout import single_view, tiled_view
from mmexplorer.replies import ImageLayout


class PictureReader:
    """Reads pictures for one checkpoint; Refusal if its processor and its tower do not belong together."""

    def __init__(self, config, image_processor, label: str):
        vision = config.vision_config
        self.processor, self.family = image_processor, config.model_type
        self.side, self.patch = vision.image_size, vision.patch_size
        self.pinpoints = getattr(config, "image_grid_pinpoints", None)
        self.most_tiles = None
        if self.family == "llava_onevision":
            self.most_tiles = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
        if vision.model_type not in ("clip_vision_model", "siglip_vision_model"):
            raise Refusal(f"{label} sees by a {vision.model_type!r}, whose image tokens cannot be placed.")
        if (config.vision_feature_select_strategy == "default") != (vision.model_type == "clip_vision_model"):
            raise Refusal(f"{label} has image tokens that are no patches, or lacks its first patch.")
        if self.pinpoints != getattr(image_processor, "image_grid_pinpoints", None):
            raise Refusal(f"{label} has an image processor that tiles pictures otherwise than the model expects.")
        tensors, _ = self.read([Image.new("RGB", (self.side, self.side))])
        if tensors["pixel_values"].shape[-2:] != (self.side, self.side):
            raise Refusal(f"{label} has an image processor that makes pictures of a size the model does not take.")

    def layouts(self, sizes: Sequence[tuple[int, int]]) -> list[ImageLayout]:
        """Where the image tokens of pictures of these (width, height) lie, as if each picture began the prompt."""
        if self.family == "llava":
            return [self._single(size) for size in sizes]
        if self.family == "llava_onevision" and len(sizes) > 1:  # several pictures are not cut into tiles
            square = (self.side, self.side)
            return [single_view(size, square, self.side, self.patch, padded=True, newline=True) for size in sizes]
        return [tiled_view(size, self.pinpoints, self.side, self.patch, self.most_tiles) for size in sizes]

    def _single(self, size: tuple[int, int]) -> ImageLayout:
        padded = bool(getattr(self.processor, "do_pad", False))
        canvas = (max(size), max(size)) if padded else size
        return single_view(size, resized_size(self.processor, canvas), self.side, self.patch, padded=padded)

    def read(self, pictures: Sequence[Image.Image]) -> tuple[dict[str, torch.Tensor], list[tuple[Image.Image, ...]]]:
        """The model's tensors of RGB pictures, and for each picture the views that they hold."""
        if not pictures:
            return {}, []
        # Nested, as in a chat template: all of them belong to one conversation.
        nested = self.family == "llava_onevision"
        tensors = dict(self.processor([list(pictures)] if nested else list(pictures), return_tensors="pt"))
        tensors = {name: torch.as_tensor(value) for name, value in tensors.items()}
        views = tensors["pixel_values"].numpy()
        if self.family == "llava":
            return tensors, [(self._picture(view),) for view in views]
        counts = [1 + np.prod(layout.tiling or 0) for layout in self.layouts([p.size for p in pictures])]
        return tensors, [
            tuple(self._picture(view) for view in some[:count]) for some, count in zip(views, counts, strict=True)
        ]

    def _picture(self, view: np.ndarray) -> Image.Image:
        """What a prepared view (3, height, width) showed before it was normalised."""
        processor = self.processor
        if processor.do_normalize:
            view = view * np.reshape(processor.image_std, (3, 1, 1)) + np.reshape(processor.image_mean, (3, 1, 1))
        if processor.do_rescale:
            view = view / processor.rescale_factor
        return Image.fromarray(np.moveaxis(view, 0, -1).round().clip(0, 255).astype(np.uint8))
