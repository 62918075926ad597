"""Which files make up a checkpoint: those of a model of transformers, or of a pipeline of diffusers with its parts.

Only safetensors, configuration and tokenizer files. Knows folders, nothing of the Hub, and does not load anything.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

from safetensors import SafetensorError, safe_open

TOKENIZER = (
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
)
# A pipeline's parts that are loaded; its safety checker, which would blacken pictures, and other ones are not.
NETWORKS = ("text_encoder", "text_encoder_2", "text_encoder_3", "unet", "transformer", "vae")
TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
# Full names, so that copies of the weights in other precisions stay where they are.
WEIGHTS = tuple(
    f"{name}{end}"
    for name, end in product(("model", "diffusion_pytorch_model"), (".safetensors", "-?????-of-?????.safetensors"))
)
MODEL_WEIGHTS = tuple(name for name in WEIGHTS if name.startswith("model"))
INDICES = ("model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json")


@dataclass(frozen=True)
class Layout:
    """How a checkpoint lies on the disk.

    patterns are the files that are fetched, weights those of them that hold tensors; the file `index` says under `kind`
    what the checkpoint is.
    """

    patterns: tuple[str, ...]
    weights: tuple[str, ...]
    index: str
    kind: str

    def files_among(self, names: Iterable[str]) -> list[str]:
        """Those of a repository's files that are fetched."""
        return [name for name in names if any(fnmatch(name, pattern) for pattern in self.patterns)]

    def weights_among(self, names: Iterable[str]) -> list[str]:
        """Those of a repository's files that hold tensors."""
        return [name for name in names if any(fnmatch(name, pattern) for pattern in self.weights)]

    def found(self, folder: Path) -> bool:
        """Whether the folder holds the index and weights, whole or not."""
        return (folder / self.index).is_file() and bool(self.weight_files(folder))

    def damage(self, folder: Path) -> str:
        """What is wrong with the files of a checkpoint, empty if they are whole."""
        try:
            index = self._read_index(folder / self.index)
        except (OSError, ValueError):
            return f"{self.index} cannot be read"
        filled = {file.parent.name for file in self.weight_files(folder)}
        # What a pipeline does without is null or [null, null] there.
        missing = [name for name in NETWORKS if index.get(name) not in (None, [None, None]) and name not in filled]
        if missing or not filled:
            return f"{missing[0]} is missing" if missing else "model.safetensors is missing"
        try:
            shards = list(self._shards(folder))
        except (OSError, ValueError, AttributeError):
            return "the list of its weights cannot be read"
        if lost := next((name for name in shards if not (folder / name).is_file()), ""):
            return f"{lost} is missing"
        for file in self.weight_files(folder):
            try:
                with safe_open(file, framework="numpy"):  # reads the header and holds it against the file's length
                    pass
            except (SafetensorError, OSError):
                return f"{file.relative_to(folder)} is cut short or not a safetensors file"
        return ""

    def says(self, folder: Path) -> str:
        """What the checkpoint is, in its own words."""
        return self.kind_in(folder / self.index)

    def kind_in(self, index: Path) -> str:
        """The same of a file that is an index, whatever its name; OSError or ValueError where it cannot be read."""
        return str(self._read_index(index).get(self.kind))

    def _read_index(self, file: Path) -> dict:
        index = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(index, dict):
            raise ValueError(f"{self.index} holds no object.")
        return index

    def weight_files(self, folder: Path) -> list[Path]:
        """The files of a folder that hold tensors."""
        return [file for pattern in self.weights for file in sorted(folder.glob(pattern))]

    def _shards(self, folder: Path) -> Iterator[str]:
        """The names of weights that come in several files, as their index lists them."""
        for place in {Path(pattern).parent for pattern in self.weights}:
            for index in INDICES:
                whole = folder / place / index.removesuffix(".index.json")
                if whole.is_file() or not (folder / place / index).is_file():
                    continue
                listed = json.loads((folder / place / index).read_text(encoding="utf-8")).get("weight_map", {})
                yield from sorted({str(place / name) for name in listed.values()})


_MODEL = (
    "config.json",
    "generation_config.json",
    "chat_template.json",
    "chat_template.jinja",
    *MODEL_WEIGHTS,
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "processor_config.json",
    *TOKENIZER,
)
_NETWORKS = tuple("/".join(pair) for pair in product(NETWORKS, WEIGHTS))
_PIPELINE = (
    "model_index.json",
    "latent_rgb.json",  # beside models of this project: what its previews are made with
    "scheduler/scheduler_config.json",
    *("/".join(pair) for pair in product(NETWORKS, ("config.json", *INDICES))),
    *("/".join(pair) for pair in product(TOKENIZERS, TOKENIZER)),
    *_NETWORKS,
)

MODEL = Layout(_MODEL, MODEL_WEIGHTS, "config.json", "model_type")
PIPELINE = Layout(_PIPELINE, _NETWORKS, "model_index.json", "_class_name")
LAYOUTS = {"diffusion": PIPELINE}
INDEX_FILES = tuple(form.index for form in (PIPELINE, MODEL))


def layout(family: str) -> Layout:
    """How checkpoints of a family of models lie on the disk."""
    return LAYOUTS.get(family, MODEL)
