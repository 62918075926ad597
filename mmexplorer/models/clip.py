"""CLIP and SigLIP: pictures and texts become unit vectors whose cosine says how well they fit.

Knows the two families' few differences (how a picture is pooled, how texts are padded, softmax or sigmoid) so that
nothing above needs to. It does not know labels, templates or heatmaps. Callers hold the device's lock.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.models import clip_bulk, clip_loading
from mmexplorer.models.checkpoints import said_as_refusal
from mmexplorer.models.clip_pictures import prepare, resized_size
from mmexplorer.models.damage import refuse_damaged
from mmexplorer.placement import Placement
from mmexplorer.presets import Preset

IMAGE_CACHE, TEXT_CACHE = 4_096, 20_000  # embeddings kept, at most 20 MB and 80 MB with 1,024 dimensions
IMAGE_BATCH, TEXT_BATCH = 32, 256


def load(preset: Preset, path: str | Path, placement: Placement) -> "ClipModel":
    """The checkpoint in folder `path`, laid out so; Refusal if it is damaged, incomplete or of another family."""
    with said_as_refusal(preset.label):
        return ClipModel(*clip_loading.read(preset, path, placement), preset.label)


class _Recent(OrderedDict):
    """The most recently used entries, at most `limit`."""

    def __init__(self, limit: int):
        super().__init__()
        self.limit = limit

    def find(self, key):
        if key in self:
            self.move_to_end(key)
        return self.get(key)

    def keep(self, key, value) -> None:
        self[key] = value
        if len(self) > self.limit:
            self.popitem(last=False)


@dataclass(frozen=True)
class _Encoding:
    """One tokenized text: ids as the model reads them (unpadded), the words that have no token, whether it was cut."""

    ids: tuple[int, ...]
    unknown_words: tuple[str, ...]
    truncated: bool


@dataclass(frozen=True)
class VisionPass:
    """One differentiable pass of one picture through the vision tower, as torch tensors.

    embedding (d,) is the unit vector; hidden_states hold each block's input (1, tokens, width) and attentions its
    weights (1, heads, tokens, tokens). pooling (1, heads, 1, tokens) are the weights of SigLIP's attention pooling,
    None where the class token is the summary. The patches are the tokens from first_patch on, row by row.
    """

    embedding: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...]
    attentions: tuple[torch.Tensor, ...]
    pooling: torch.Tensor | None
    first_patch: int


class ClipModel:
    """A CLIP or SigLIP checkpoint as an embedder.

    logit_scale multiplies cosines and logit_bias is added before the activation ("softmax" over the labels for CLIP,
    "sigmoid" each for SigLIP); patches is the grid (rows, columns). image_forward_count and text_forward_count say how
    many pictures and texts went through a tower rather than came from the cache.
    """

    def __init__(self, model: torch.nn.Module, processor, label: str):
        self.model, self.label = model, label
        self.tokenizer, self.image_processor = processor.tokenizer, processor.image_processor
        config = model.config
        self.is_siglip = config.model_type == "siglip"
        self.activation = "sigmoid" if self.is_siglip else "softmax"
        self.logit_scale = float(model.logit_scale.detach().float().exp())
        self.logit_bias = float(model.logit_bias.detach().float()) if self.is_siglip else 0.0
        if not (np.isfinite(self.logit_scale) and np.isfinite(self.logit_bias)):
            raise Refusal(f"{label} has a logit scale or bias that is not a finite number; its weights are damaged.")
        side = config.vision_config.image_size // config.vision_config.patch_size
        self.patches = (side, side)
        self.context = config.text_config.max_position_embeddings
        if len(self.tokenizer) > config.text_config.vocab_size:
            raise Refusal(f"{label} has a tokenizer with more words than the model knows; they do not belong together.")
        if self.pixel_values([Image.new("RGB", (8, 8))]).shape[2:] != (config.vision_config.image_size,) * 2:
            raise Refusal(f"{label} has an image processor that makes pictures of a size the model does not take.")
        self.memory_bytes = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
        # The byte-level tokenizer of CLIP knows every word, and names its end token as the unknown one.
        unknown = self.tokenizer.unk_token_id
        self._unknown_token = None if unknown == self.tokenizer.eos_token_id else unknown
        self.image_forward_count = self.text_forward_count = 0
        self._images, self._texts, self._encodings = _Recent(IMAGE_CACHE), _Recent(TEXT_CACHE), _Recent(TEXT_CACHE)

    # Embeddings

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit embeddings (n, d) float32 of at least one RGB picture, cached by the pictures' content."""
        return _cached([_content(image) for image in images], images, self._images, self._encode_images)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit embeddings (m, d) float32 of at least one text, cached; texts beyond the context are cut."""
        return _cached(texts, texts, self._texts, self._encode_texts)

    def pixel_values(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """The pictures as the vision tower takes them: (n, 3, height, width), normalised, on the model's device."""
        pixels = self.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        return pixels.to(self.model.device, self.model.dtype)

    def image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Unit embeddings (n, d) float32 of prepared pictures, without cache or gradient."""
        with torch.inference_mode():
            self.image_forward_count += len(pixel_values)
            return self._unit(self.model.get_image_features(pixel_values=pixel_values).pooler_output)

    def preparation(self) -> Callable[[Image.Image], np.ndarray]:
        """What turns one RGB picture into (3, height, width) for `embed_prepared`, in any thread, without the model."""
        return partial(prepare, self.image_processor)

    def embed_prepared(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Unit embeddings (n, d) float32 of pictures prepared in bulk; none is kept in the cache."""
        self.image_forward_count += len(pixels)
        return clip_bulk.image_features(self.model, pixels)

    def _encode_images(self, images: list[Image.Image]) -> Iterator[np.ndarray]:
        for start in range(0, len(images), IMAGE_BATCH):
            yield from self.image_features(self.pixel_values(images[start : start + IMAGE_BATCH])).cpu().numpy()

    def _encode_texts(self, texts: list[str]) -> list[np.ndarray]:
        ids = [encoding.ids for encoding in self._tokenize(texts)]
        by_length = sorted(range(len(texts)), key=lambda i: len(ids[i]))  # neighbours need little padding
        rows: list = [None] * len(texts)
        for start in range(0, len(texts), TEXT_BATCH):
            chosen = by_length[start : start + TEXT_BATCH]
            batch = self.tokenizer.pad(
                {"input_ids": [list(ids[i]) for i in chosen]},
                padding="max_length" if self.is_siglip else "longest",  # SigLIP reads its last, padded, position
                max_length=self.context if self.is_siglip else None,
                return_attention_mask="attention_mask" in self.tokenizer.model_input_names,
                return_tensors="pt",
            ).to(self.model.device)
            with torch.inference_mode():
                features = self._unit(self.model.get_text_features(**batch).pooler_output).cpu().numpy()
            self.text_forward_count += len(chosen)
            for i, row in zip(chosen, features, strict=True):
                rows[i] = row
        return rows

    def _unit(self, features: torch.Tensor) -> torch.Tensor:
        features = F.normalize(features.float(), dim=-1)
        refuse_damaged(features, self.label)
        return features

    # Words

    def tokens(self, text: str) -> tuple[str, ...]:
        """The text's tokens as the model reads them, special ones included and padding left out."""
        return tuple(self.tokenizer.convert_ids_to_tokens(list(self._tokenize([text])[0].ids)))

    def unknown_words(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The words, each once and as typed, for which the tokenizer has no token."""
        return tuple(dict.fromkeys(word for encoding in self._tokenize(texts) for word in encoding.unknown_words))

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        """For each text whether it is longer than the model's context, so that its end is not read."""
        return tuple(encoding.truncated for encoding in self._tokenize(texts))

    def _tokenize(self, texts: Sequence[str]) -> list[_Encoding]:
        found = {text: self._encodings.find(text) for text in texts}
        missing = [text for text, encoding in found.items() if encoding is None]
        if missing:
            for text, ids in zip(missing, self.tokenizer(missing, verbose=False)["input_ids"], strict=True):
                read = ids
                if len(ids) > self.context:
                    read = self.tokenizer(text, truncation=True, max_length=self.context)["input_ids"]
                unknown_words = self._words_without_token(text, ids)
                found[text] = _Encoding(tuple(read), unknown_words, truncated=len(read) < len(ids))
                self._encodings.keep(text, found[text])
        return [found[text] for text in texts]

    def _words_without_token(self, text: str, ids: list[int]) -> tuple[str, ...]:
        unknown = self._unknown_token
        if unknown is None or unknown not in ids:
            return ()
        if not self.tokenizer.is_fast:
            return tuple(word for word in text.split() if unknown in self.tokenizer(word)["input_ids"])
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        pairs = zip(encoding["input_ids"], encoding["offset_mapping"], strict=True)
        return tuple(text[start:stop] for token, (start, stop) in pairs if token == unknown)

    # What the vision tower sees and does

    def seen(self, image: Image.Image) -> tuple[Image.Image, tuple[float, float, float, float]]:
        """The picture as the model gets it, before normalising, and the box of the original it covers.

        The box is (left, top, right, bottom) in the original's pixels; CLIP's centre crop makes it smaller than the
        picture.
        """
        processor = self.image_processor
        fed = processor(images=[image], do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        seen = Image.fromarray(np.clip(np.moveaxis(fed, 0, -1), 0, 255).astype(np.uint8))
        width, height = image.size
        if not processor.do_center_crop:
            return seen, (0.0, 0.0, float(width), float(height))
        resized_width, resized_height = resized_size(processor, image.size)
        left, top = (resized_width - seen.width) // 2, (resized_height - seen.height) // 2
        across, down = width / resized_width, height / resized_height
        return seen, (left * across, top * down, (left + seen.width) * across, (top + seen.height) * down)

    def look_inside(self, image: Image.Image) -> VisionPass:
        """One pass of one picture that keeps attention weights and hidden states, differentiable with respect to them.

        Fused attention never forms the weights, so this pass alone runs the plain implementation.
        """
        vision = self.model.vision_model
        with torch.enable_grad(), _eager(vision):
            pixels = self.pixel_values([image]).requires_grad_()
            output = vision(pixels, output_attentions=True, output_hidden_states=True)
            if self.is_siglip:
                features, pooling = _attention_pool(vision.head, output.last_hidden_state)
            else:
                features, pooling = self.model.visual_projection(output.pooler_output), None
            return VisionPass(
                embedding=self._unit(features)[0],
                hidden_states=tuple(output.hidden_states[:-1]),
                attentions=tuple(output.attentions),
                pooling=pooling,
                first_patch=0 if self.is_siglip else 1,
            )

    def patch_embeddings(self, image: Image.Image) -> torch.Tensor:
        """Unit embeddings (rows * columns, d) of the patches in the space of the texts.

        Each patch goes alone through the step that pools the picture (CLIP's last block, SigLIP's pooling head): it
        attends to nothing but itself and so speaks only for itself. MaskCLIP, Zhou et al. 2022, arXiv 2112.01071.
        """
        vision = self.model.vision_model
        with torch.inference_mode():
            output = vision(self.pixel_values([image]), output_hidden_states=True)
            if self.is_siglip:
                return self._unit(vision.head(output.last_hidden_state[0][:, None]))
            alone = vision.encoder.layers[-1](output.hidden_states[-2][0, 1:, None], None)[:, 0]
            return self._unit(self.model.visual_projection(vision.post_layernorm(alone)))


def _cached(keys: Sequence, items: Sequence, cache: _Recent, encode) -> np.ndarray:
    """Rows for the items, encoding each distinct key that the cache does not hold once."""
    rows = {key: cache.find(key) for key in keys}
    missing = {key: item for key, item in zip(keys, items, strict=True) if rows[key] is None}
    if missing:
        for key, row in zip(missing, encode(list(missing.values())), strict=True):
            rows[key] = row
            cache.keep(key, row)
    return np.stack([rows[key] for key in keys])


def _content(image: Image.Image) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16, key=repr((image.mode, image.size)).encode()).digest()


@contextmanager
def _eager(module) -> Iterator[None]:
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)


def _attention_pool(head: torch.nn.Module, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SigLIP's pooled picture (1, d) with its weights (1, heads, 1, tokens), which torch's module only averages."""
    attention = head.attention

    def split(states: torch.Tensor, part: int) -> torch.Tensor:
        weight, bias = attention.in_proj_weight.chunk(3)[part], attention.in_proj_bias.chunk(3)[part]
        return F.linear(states, weight, bias).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)

    query, key, value = split(head.probe, 0), split(hidden, 1), split(hidden, 2)
    weights = (query @ key.transpose(-1, -2) * attention.head_dim**-0.5).softmax(dim=-1)
    pooled = attention.out_proj((weights @ value).transpose(1, 2).flatten(2))
    return (pooled + head.mlp(head.layernorm(pooled)))[:, 0], weights
