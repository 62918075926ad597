"""The app with answers that only end at their most tokens, so that streaming can be measured: a script for `served`.

The environment variable BENCH_LLAVA names a size of random_llava.SIZES, whose model then answers for every LLaVA.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load(preset, folder: Path, placement):
    """The checkpoint as `mmexplorer` loads it, or a random one, but that its end token can never come."""
    from bench.random_llava import random_llava
    from mmexplorer.models import llava

    size = os.environ.get("BENCH_LLAVA")
    chat = random_llava(size, placement.device, "sdpa") if size else llava.load(preset, folder, placement)
    chat.never_ids, chat.end_ids = chat.never_ids | chat.end_ids, frozenset()
    return chat


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from mmexplorer import residency

    residency.FAMILIES["llava"] = "bench.endless_llava:load"
    from app import main

    main()
