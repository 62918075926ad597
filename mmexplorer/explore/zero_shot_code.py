"""The Python that repeats a zero-shot classification with plain transformers, for exactly the settings on screen."""

from collections.abc import Sequence


def python_code(
    *,
    picture_names: Sequence[str],
    labels: Sequence[str],
    source: str,
    templates: Sequence[str],
    logit_scale: float,
    activation: str,
    logit_bias: float = 0.0,
    revision: str | None = None,
) -> str:
    """A program that leaves `cosines` and `probabilities` (pictures, labels) as torch tensors.

    source and revision are the folder or Hub id and commit of the checkpoint, activation is "softmax" or "sigmoid".
    The program opens the pictures by name from the working folder and, unlike the app, does not lay transparent
    pictures on white.
    """
    pinned = f", revision={revision!r}" if revision else ""
    bias = f" + {logit_bias!r}" if logit_bias else ""
    activated = "logits.softmax(dim=-1)" if activation == "softmax" else "logits.sigmoid()"
    return f"""\
import torch
from PIL import Image, ImageOps
from torch.nn.functional import normalize
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained({source!r}{pinned}, dtype=torch.float32)
processor = AutoProcessor.from_pretrained({source!r}{pinned})
pictures = [ImageOps.exif_transpose(Image.open(name)).convert("RGB") for name in {_list(picture_names)}]
labels = {_list(labels)}
templates = {_list(templates)}

options = dict(padding="max_length", truncation=True, max_length=model.config.text_config.max_position_embeddings)
with torch.inference_mode():
    inputs = processor.image_processor(pictures, return_tensors="pt")
    image_embeddings = normalize(model.get_image_features(**inputs).pooler_output, dim=-1)
    text_embeddings = 0
    for template in templates:
        prompts = [template.replace("{{}}", label) for label in labels]
        inputs = processor.tokenizer(prompts, return_tensors="pt", **options)
        text_embeddings += normalize(model.get_text_features(**inputs).pooler_output, dim=-1)
    cosines = image_embeddings @ normalize(text_embeddings, dim=-1).T
    logits = {logit_scale!r} * cosines{bias}
    probabilities = {activated}
print(probabilities)
"""


def _list(texts: Sequence[str]) -> str:
    """A list literal, on one line if it is short. repr() quotes and escapes whatever people type."""
    items = [repr(str(text)) for text in texts]
    line = f"[{', '.join(items)}]"
    return line if len(line) <= 80 else "[\n" + "".join(f"    {item},\n" for item in items) + "]"
