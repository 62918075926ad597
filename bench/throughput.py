"""`mmexplorer.embed_images` beside sentence-transformers: the same weights, the same JPEG files, decoding included.

sentence-transformers opens the files itself and encodes them in batches of 32, as embed_images does. Memory is measured
in processes of their own, with a toy CLIP, whose own memory is small.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
from PIL import Image

from bench import material
from bench.random_clip import random_clip
from bench.report import Row, duration, size, spread
from bench.served import ROOT

PICTURES, LARGE = 500, 40
BATCH = 32
BUDGET, PARITY = 1.1, 1e-5
MEMORY_COUNTS, MEMORY_BUDGET = (500, 2_000), 16_000_000  # bytes that four times the pictures may take more


def measure(runs: int, folder: Path) -> list[Row]:
    """Throughput with small and large files, parity, the second run from the cache, and memory."""
    small, large = folder / "small", folder / "large"
    files = _photographs(small, PICTURES, (640, 480))
    with random_clip(folder / "weights") as key, mock.patch.dict(os.environ, MMEXPLORER_CACHE=str(folder / "cache")):
        rows = _throughput(key, folder / "weights", files, runs, "640 x 480")
        rows += _throughput(key, folder / "weights", _photographs(large, LARGE, (4000, 3000)), runs, "12 megapixels")
        rows.append(_second_time(key, files))
    return [*rows, _memory(small)]


def _photographs(folder: Path, number: int, pixels: tuple[int, int]) -> list[str]:
    """JPEG files with grain, all different: a drawn scene alone would decode faster than a photograph."""
    folder.mkdir()
    random = np.random.default_rng(0)
    scenes = material.new_pictures(10)
    grain = random.integers(-12, 13, (pixels[1], pixels[0], 1), dtype=np.int16)
    files = []
    for i in range(number):
        picture = np.asarray(scenes[i % len(scenes)].resize(pixels, Image.Resampling.BICUBIC), dtype=np.int16)
        rolled = np.roll(grain, int(random.integers(grain.size)))
        files.append(str(folder / f"{i:04}.jpg"))
        Image.fromarray(np.clip(picture + rolled, 0, 255).astype(np.uint8)).save(files[-1], quality=90)
    return files


def _throughput(key: str, weights: Path, files: list[str], runs: int, what: str) -> list[Row]:
    from sentence_transformers import SentenceTransformer

    from mmexplorer import residency
    from mmexplorer.explore.embedding import embed_images

    peer = SentenceTransformer(str(weights), device="cpu")

    def theirs() -> np.ndarray:
        return peer.encode(files, batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)

    def ours() -> np.ndarray:
        return embed_images(files, model=key)

    embed_images(files[:BATCH], model=key)
    peer.encode(files[:BATCH], batch_size=BATCH, show_progress_bar=False)
    times: tuple[list[float], list[float]] = ([], [])
    difference = 0.0
    for _ in range(runs):
        seconds, vectors = _timed(ours)
        times[0].append(seconds)
        seconds, expected = _timed(theirs)
        times[1].append(seconds)
        difference = max(difference, float(np.abs(vectors - expected).max()))
    residency.evict()
    ratio = median(times[1]) / median(times[0])
    rates = [f"{len(files) / median(seconds):.1f} a second, {spread(seconds)}" for seconds in times]
    return [
        Row(
            f"embed {len(files)} JPEG files of {what}, ViT-B/32 size",
            rates[0],
            f"{runs} + {runs}, in turn",
            f"sentence-transformers: {rates[1]}",
            f"{ratio:.2f}x faster",
            f"at least {BUDGET}x",
            ratio >= BUDGET,
        ),
        Row(
            f"largest difference of a number in these vectors, {what}",
            f"{difference:.1e}",
            f"{len(files)} pictures",
            budget=f"at most {PARITY:.0e}",
            met=difference <= PARITY,
        ),
    ]


def _second_time(key: str, files: list[str]) -> Row:
    from mmexplorer import residency
    from mmexplorer.explore.embedding import embed_locations

    locations = [f"file:{path}" for path in files]
    first, _ = _timed(lambda: embed_locations(locations, model=key))
    residency.evict()  # from the cache, no model is needed
    again = [_timed(lambda: embed_locations(locations, model=key))[0] for _ in range(5)]
    assert not residency.loaded()
    return Row(f"the same {len(files)} files once more", spread(again), "5", f"the first time: {duration(first)}")


def _memory(folder: Path) -> Row:
    growth = [_growth_in_a_process(folder, count) for count in MEMORY_COUNTS]
    more = growth[1] - growth[0]
    return Row(
        f"peak memory while embedding {MEMORY_COUNTS[1]:,} files, beyond that of a first batch",
        size(growth[1]),
        "1 + 1",
        f"{MEMORY_COUNTS[0]:,} files: {size(growth[0])}",
        budget=f"at most {size(MEMORY_BUDGET)} more",
        met=more <= MEMORY_BUDGET,
    )


def _growth_in_a_process(folder: Path, count: int) -> int:
    command = [sys.executable, "-m", "bench.throughput", str(folder), str(count)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return int(said.split()[-1])


def _growth(folder: Path, count: int) -> int:
    """Bytes by which embedding `count` pictures raises this process's peak over that of a first batch."""
    from mmexplorer.explore.embedding import embed_images

    files = sorted(folder.glob("*.jpg"))
    embed_images(files[: 4 * BATCH])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    embed_images([files[i % len(files)] for i in range(count)])
    unit = 1 if sys.platform == "darwin" else 1024
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit


def _timed(work: Callable):
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    print(_growth(Path(sys.argv[1]), int(sys.argv[2])))
