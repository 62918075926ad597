"""What NVIDIA's driver says about the graphics cards, without loading torch, which takes a second.

It knows nothing of models, and nothing of other makers' cards.
"""

import os
import subprocess

ANSWER_SECONDS = 5
_QUESTION = ("--query-gpu=memory.free,memory.total", "--format=csv,noheader,nounits")


def cards() -> tuple[tuple[int, int], ...]:
    """Free and total bytes of each card that CUDA_VISIBLE_DEVICES leaves visible; empty without a driver."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", *_QUESTION], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True
        )
        rows = [tuple(int(part) * 2**20 for part in line.split(",")) for line in answer.stdout.splitlines()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(rows)
    # Names such as "GPU-8a3f" or "MIG-..." are not looked up: then all cards count, and torch says more once loaded.
    numbers = [part.strip() for part in visible.split(",") if part.strip()]
    if any(not number.lstrip("-").isdecimal() for number in numbers):
        return tuple(rows)
    return tuple(rows[int(number)] for number in numbers if 0 <= int(number) < len(rows))
