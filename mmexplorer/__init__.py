"""See inside multimodal models: the questions of the app as functions."""

# The subpackage first: importing it later would replace the function of the same name.
import mmexplorer.models  # noqa: F401  isort: skip
from mmexplorer.explore.catalogue import add_model, models
from mmexplorer.explore.chat import answer, chat
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.drawing import draw
from mmexplorer.explore.embedding import embed_images, embed_texts
from mmexplorer.explore.nearest import neighbours
from mmexplorer.explore.projection import project
from mmexplorer.explore.zero_shot import classify, ground_labels

__version__ = "0.1.0"
__all__ = [
    "Collection",
    "__version__",
    "add_model",
    "answer",
    "chat",
    "classify",
    "draw",
    "embed_images",
    "embed_texts",
    "ground_labels",
    "models",
    "neighbours",
    "project",
]
