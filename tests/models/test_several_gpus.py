"""Models that are spread over devices answer as those in main memory, and never mix tensors of two devices.

The devices are imaginary, so that this is known without any; gradients of attention are not among what is asked.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("kind", ["llava", "diffusion"])
def test_spread_models_answer_the_same(kind, tmp_path):
    script = Path(__file__).with_name("on_imaginary_gpus.py")
    run = subprocess.run(
        [sys.executable, script, kind, tmp_path],
        env=os.environ | {"PYTHONPATH": str(script.parents[2])},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and run.stdout.endswith("the same\n"), run.stderr[-3000:]
