"""The shipped collection, opened once for all visitors: nobody changes it, and every copy would take 5 MB of memory.

It does not know who looks at it, nor how it is drawn.
"""

import threading

from mmexplorer.explore.collection import Collection
from mmexplorer.explore.embedding import Progress

TOY_WORLD = "toy-world"

_opened: dict[str, Collection] = {}  # by model


def toy_world(model: str, progress: Progress | None = None, stop: threading.Event | None = None) -> Collection:
    """The toy world by a model, with `progress` and `stop` as in `Collection.open`; not to be changed.

    Raises Refusal and Stopped as `Collection.open` does. What a stop cut short is nobody else's.
    """
    if model not in _opened:
        collection = Collection.open(TOY_WORLD, model=model, progress=progress, stop=stop)
        if not collection.complete:
            return collection
        _opened.setdefault(model, collection)
    return _opened[model]
