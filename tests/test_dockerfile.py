"""The Dockerfile agrees with the repository and with itself; the image itself is built elsewhere."""

import fnmatch
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

import app

ROOT = Path(__file__).resolve().parent.parent


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and rest of each instruction, with continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


FOUND = instructions((ROOT / "Dockerfile").read_text())
LISTED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def said(name: str) -> list[str]:
    return [rest for instruction, rest in FOUND if instruction == name]


def sent(path: str) -> bool:
    """Whether a file of the repository is sent to the engine: the last line of .dockerignore that matches decides."""
    kept = True
    for line in LISTED:
        pattern = line.removeprefix("!").removeprefix("**/")
        if any(fnmatch.fnmatch(part, pattern) for part in (path, *path.split("/"))):
            kept = line.startswith("!")
    return kept


def test_instructions_are_joined_and_comments_left_out():
    assert instructions("# a\nRUN one \\\n    && two\n\nUSER 1\n") == [("RUN", "one && two"), ("USER", "1")]


def test_what_is_copied_is_there_and_is_sent():
    sources = [source for rest in said("COPY") for source in rest.split()[:-1]]
    assert set(sources) == {"requirements.txt", "app.py", "assets", "mmexplorer"}
    for source in sources:
        assert (ROOT / source).exists()
        assert sent(source)


@pytest.mark.parametrize(
    ("path", "goes"),
    [
        ("mmexplorer/tabs/shell.py", True),
        ("mmexplorer/components/viewer.js", True),
        ("assets/models/toy-clip/model.safetensors", True),
        ("mmexplorer/__pycache__/hub.pyc", False),
        (".git/config", False),
        (".env", False),
        ("tests/test_app.py", False),
        ("runs/log", False),
    ],
)
def test_nothing_else_is_sent(path, goes):
    assert sent(path) is goes


def test_the_app_knows_its_flags_and_listens_where_the_image_says():
    command = json.loads(said("CMD")[-1])
    assert command[:2] == ["python", "app.py"]
    options = app.arguments().parse_args(command[2:])
    assert options.host == "0.0.0.0"
    assert said("EXPOSE") == [str(options.port)]
    assert f"http://127.0.0.1:{options.port}/" in said("HEALTHCHECK")[0]


def test_its_user_is_not_root_and_may_write_to_the_volume():
    users = said("USER")
    assert users == ["1000"]
    assert FOUND.index(("USER", "1000")) < FOUND.index(("CMD", said("CMD")[0]))
    (volume,) = json.loads(said("VOLUME")[0])
    made = " ".join(said("RUN"))
    assert f"mkdir {volume}" in made and f"chown 1000 {volume}" in made and "--uid 1000" in made
    variables = dict(one.split("=", 1) for rest in said("ENV") for one in shlex.split(rest))
    assert {variables["HF_HOME"], variables["MMEXPLORER_CACHE"]} == {f"{volume}/huggingface", f"{volume}/mmexplorer"}


def test_its_base_is_pinned_to_the_python_of_the_space():
    header = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert said("FROM") == [f"python:{header['python_version']}-slim-bookworm"]


def test_torch_is_named_once_in_the_requirements():
    requirements = (ROOT / "requirements.txt").read_text()
    assert r"grep '^torch[<>=]' requirements.txt" in said("RUN")[1]
    assert len(re.findall(r"^torch[<>=]", requirements, re.MULTILINE)) == 1


def test_it_holds_no_secrets():
    for name, rest in FOUND:
        if name in ("ENV", "ARG"):
            assert not re.search(r"TOKEN|SECRET|PASSWORD|KEY", rest)
