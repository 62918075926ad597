"""What would break on the Pythons that the project names, as far as another one can tell."""

import ast
import tomllib
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for part in ("mmexplorer", "tests", "bench") for path in (ROOT / part).rglob("*.py"))
FILES.append(ROOT / "app.py")
# Left the standard library with 3.12 and 3.13.
GONE = {
    "aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr", "imp",
    "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sunau",
    "telnetlib", "uu", "xdrlib",
}  # fmt: skip


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def test_no_module_is_imported_that_a_later_python_lacks():
    assert imported(ast.parse("import imp\nfrom distutils.util import strtobool")) & GONE == {"imp", "distutils"}
    assert {path.name: gone for path in FILES if (gone := imported(ast.parse(path.read_text())) & GONE)} == {}


def test_no_source_warns_when_it_is_compiled():
    """Such as of an escape that means nothing, about which 3.12 speaks up."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SyntaxError):
            compile(r"'\d'", "example", "exec")
        for path in FILES:
            compile(path.read_text(), str(path), "exec")


def test_the_oldest_supported_syntax_suffices():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
    for path in FILES:
        ast.parse(path.read_text(), feature_version=(3, 11))
