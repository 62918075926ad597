"""The header of README.md, by which a Space is configured: it agrees with what the project needs and has."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import app
from mmexplorer import preloading
from mmexplorer.presets import presets

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # that a Space's card may have


@pytest.fixture(scope="module")
def header() -> dict:
    return yaml.safe_load(README.split("---\n")[1])


def needed(package: str) -> SpecifierSet:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return next(one.specifier for one in map(Requirement, lines) if one.name == package)


def test_the_space_runs_the_gradio_that_the_requirements_ask_for(header):
    assert header["sdk"] == "gradio"
    assert header["sdk_version"] in needed("gradio")


def test_its_python_is_one_that_the_project_supports_and_zero_gpu_has(header):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert header["python_version"] in SpecifierSet(project["requires-python"])
    assert header["python_version"] in ("3.12.12", "3.10.13")


def test_what_the_header_names_is_there(header):
    assert (ROOT / header["app_file"]).is_file()
    assert header["license"] == "apache-2.0" and "Apache License" in (ROOT / "LICENSE").read_text()
    sources = {preset.source for preset in presets() if not preset.is_local}
    assert set(header["models"]) <= sources and len(header["models"]) == len(set(header["models"]))
    assert {header["colorFrom"], header["colorTo"]} <= COLOURS
    assert len(header["short_description"]) <= 60


def test_spaces_is_no_requirement():
    for file in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        assert not re.search(r"^\W*spaces\b", (ROOT / file).read_text(), re.MULTILINE), file


def test_every_setting_is_in_the_readme_and_every_one_there_exists():
    code = [ROOT / "app.py", *(ROOT / "mmexplorer").rglob("*.py")]
    name = re.compile(r"\bMMEXPLORER_[A-Z_]*[A-Z]\b")
    assert set(name.findall(README)) == {one for file in code for one in name.findall(file.read_text())}


def test_the_models_that_a_lent_gpu_begins_with_are_those_of_the_readme():
    assert f"`{','.join(preloading.ON_ZERO_GPU)}`" in README


def test_the_flags_in_the_readme_are_known(monkeypatch):
    monkeypatch.delenv("SYSTEM", raising=False)
    table = README[README.index("| Flag | Variable |") : README.index("`MMEXPLORER_DEVICE` chooses")]
    written = set(re.findall(r"`(--[a-z-]+)", table))
    known = {flag for action in app.arguments()._actions for flag in action.option_strings if flag.startswith("--")}
    assert written == known - {"--help"}
