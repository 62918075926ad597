"""Models that are loaded before anybody asks for them, named when the app is started.

On ZeroGPU that is before the page is up, because only then can they be placed on the GPU to come; elsewhere a thread
does it once the page is up. Knows neither flags nor what a model is for.
"""

import logging
import threading
from collections.abc import Sequence

from mmexplorer import residency, runtime
from mmexplorer.errors import Refusal
from mmexplorer.presets import preset

# What the tabs begin with, unless other models are named.
ON_ZERO_GPU = ("toy-clip", "toy-llava", "toy-diffusion")


def named(text: str | None) -> tuple[str, ...]:
    """The keys in a text such as "toy-clip,clip-vit-base-patch32"; None means the default. Refusal for an unknown one.

    The default is nothing, or on ZeroGPU the models that the tabs begin with.
    """
    if text is None:
        return ON_ZERO_GPU if runtime.zero_gpu() else ()
    keys = (key.strip() for key in text.split(","))
    return tuple(dict.fromkeys(preset(key).key for key in keys if key))


def load(keys: Sequence[str]) -> None:
    """Loads the models one after another; what cannot be loaded is told in the log and does not stop the others."""
    for key in keys:
        try:
            with residency.use(key):
                pass
        except Refusal as refusal:
            logging.getLogger(__name__).warning("Not loaded at start: %s", refusal)


def load_in_background(keys: Sequence[str]) -> threading.Thread:
    """The thread that does it."""
    thread = threading.Thread(target=load, args=(keys,), name="preload", daemon=True)
    thread.start()
    return thread
