"""The printed program runs and says what classify() says."""

import ast
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

import mmexplorer
from mmexplorer.explore import zero_shot
from mmexplorer.explore.zero_shot_code import python_code
from mmexplorer.models.clip import load
from mmexplorer.placement import CPU
from mmexplorer.presets import preset

LONG = " ".join(["red"] * 80)  # more than either model reads
ODD = (LONG, "red circle", 'the "blue" one\'s', "back\\slash {x} {}", "zero\u200bwidth \u202e", "grün ☃", "'''\"\"\"")


@pytest.mark.parametrize("family", ["clip", "siglip"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("labels", [ODD, ("red circle", "blue square")], ids=["odd", "plain"])
@pytest.mark.parametrize("templates", [("{}",), ("{}", "a photo of a {}", "{y} 'the' {}")], ids=["bare", "ensemble"])
def test_the_program_says_what_classify_says(
    family, activation, labels, templates, clip_folder, siglip_folder, pictures, tmp_path, monkeypatch
):
    folder = clip_folder if family == "clip" else siglip_folder
    model = load(preset("toy-clip"), folder, CPU)
    monkeypatch.setattr(zero_shot, "residency", SimpleNamespace(use=lambda key: nullcontext(model)))
    names = ["one.png", "odd \"name'.png", "three.png"]
    for name, picture in zip(names, pictures[1:4], strict=True):
        picture.save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    result = mmexplorer.classify(names, labels, templates=templates).rescaled(12.5, activation)
    program = python_code(
        picture_names=names,
        labels=result.labels,
        source=str(folder),
        templates=result.templates,
        logit_scale=result.logit_scale,
        logit_bias=result.logit_bias,
        activation=result.activation,
    )
    namespace: dict = {}
    exec(compile(program, "program", "exec"), namespace)
    np.testing.assert_allclose(namespace["cosines"].numpy(), result.cosines, atol=1e-5)
    np.testing.assert_allclose(namespace["probabilities"].numpy(), result.probabilities, atol=1e-5)
    assert namespace["labels"] == list(labels)


def program(**change) -> str:
    settings = {
        "picture_names": ["a.png"],
        "labels": ["red"],
        "source": "org/model",
        "templates": ["{}"],
        "logit_scale": 100.0,
        "activation": "softmax",
    }
    return python_code(**(settings | change))


def test_a_revision_pins_both_downloads():
    assert program(revision="abc").count("revision='abc'") == 2
    assert "revision" not in program()


def test_nothing_typed_escapes_its_quotes():
    evil = "x'); import os; os.system('true'); ('"
    tree = ast.parse(program(labels=[evil], picture_names=[evil], templates=["{}" + evil], source=evil))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"torch"}


def test_short_settings_make_a_short_program_and_long_ones_stay_readable():
    assert len(program().splitlines()) <= 25
    many = program(labels=[f"label number {i}" for i in range(50)])
    assert max(len(line) for line in many.splitlines()) <= 120
