"""What a CLIP or SigLIP image processor makes of one picture: the size it scales to, and the pixels the tower takes.

Knows neither model nor device, so that any thread may prepare pictures while a model is at work.
"""

import numpy as np
from PIL import Image
from transformers.image_processing_backends import PilBackend


def resized_size(processor, size: tuple[int, int]) -> tuple[int, int]:
    """The width and height that a picture of that width and height is scaled to, before any cropping."""
    if not processor.do_resize:
        return size
    if edge := processor.size.shortest_edge:
        width, height = size
        return int(edge * width / min(size)), int(edge * height / min(size))
    return processor.size.width, processor.size.height


def prepare(processor, image: Image.Image) -> np.ndarray:
    """One RGB picture as the vision tower takes it: (3, height, width) float32, normalised.

    The numbers are those of `ClipModel.pixel_values`. They come from numpy alone, because torch would start a team of
    threads for each thread that calls this.
    """
    if isinstance(processor, PilBackend) and processor.do_resize:
        # What the processor does first, done here before it copies every pixel of a photograph several times.
        image = image.resize(resized_size(processor, image.size), processor.resample)
    return processor(images=[image], return_tensors="np")["pixel_values"][0].astype(np.float32, copy=False)
