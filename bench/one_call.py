"""The program that `peers` starts afresh: one call of classify or of the pipeline, on all pictures of a folder."""

import sys
from pathlib import Path

from PIL import Image

from bench import material, peers

tool, folder = sys.argv[1:]
pictures = [Image.open(file).convert("RGB") for file in sorted(Path(folder).glob("*.png"))]
words = material.labels(peers.LABELS)
if tool == "classify":
    from mmexplorer import classify

    classify(pictures, words)
else:
    from mmexplorer.presets import preset

    peers.ask_pipeline(peers.load_pipeline(preset("toy-clip").path), pictures, words)
