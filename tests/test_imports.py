"""What may import what: the contracts in pyproject.toml hold, notice a breach, and light modules stay light."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "transformers", "diffusers", "accelerate", "umap", "plotly", "sklearn", "scipy", "numba", "gradio"}


def lint(folder: Path) -> subprocess.CompletedProcess:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run([sys.executable, "-c", code, "--no-cache"], cwd=folder, capture_output=True, text=True)


def test_the_contracts_hold():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("presets.py", "from mmexplorer import residency", "imports go one way"),
        ("figures/viewer.py", "from mmexplorer.explore import zero_shot", "imports go one way"),
        ("explore/catalogue.py", "import gradio", "gradio only in"),
        ("tabs/zero_shot.py", "import plotly", "plotly only in"),
        ("residency.py", "def late():\n    import torch", "torch and its libraries only in"),
        ("models/clip.py", "from mmexplorer.training import clip_data", "nothing in the app imports training"),
        ("training/clip.py", "from mmexplorer import tabs", "training knows nothing"),
        ("newcomer.py", "", "imports go one way"),
    ],
)
def test_a_breach_is_noticed(tmp_path, file, line, contract):
    shutil.copytree(ROOT / "mmexplorer", tmp_path / "mmexplorer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "mmexplorer" / file).open("a", encoding="utf-8") as text:
        text.write(f"\n{line}\n")
    result = lint(tmp_path)
    broken = [said for said in result.stdout.splitlines() if " BROKEN" in said]
    assert result.returncode != 0
    assert any(said.startswith(contract) for said in broken), result.stdout


@pytest.mark.parametrize(
    "module",
    [
        "mmexplorer",
        "mmexplorer.explore.collection",
        "mmexplorer.explore.layouts",
        "mmexplorer.explore.space",
        "mmexplorer.explore.zero_shot",
        "mmexplorer.figures.space_charts",
        "mmexplorer.hub",
        "mmexplorer.methods",
        "mmexplorer.pictures",
        "mmexplorer.residency",
        "mmexplorer.runtime",
        "mmexplorer.toyworld",
    ],
)
def test_light_modules_import_nothing_heavy(module):
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(json.loads(output))
