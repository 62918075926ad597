"""Work lent to a fork: every verb answers as without, stops, refusals and quotas arrive, and nothing is forgotten."""

import ast
import dataclasses
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
# Not results: what a clock said, and names drawn by chance.
DIFFERS = {"seconds", "attention_seconds", "eta", "handle"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def script(code: str) -> dict:
    """What a process prints as JSON that runs as on ZeroGPU, with `code` after the definitions of this file's verbs."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "SPACES_ZERO_GPU": "1"}
    result = subprocess.run(
        [sys.executable, "-c", f"import json\nfrom lent_verbs import *\n{code}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def same(a, b, where: str = "") -> None:
    """That two answers are the same, up to the order in which batches add numbers up."""
    assert type(a) is type(b), where
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            if field.name not in DIFFERS:
                same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape, where
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=where)
        else:
            np.testing.assert_array_equal(a, b, where)
    elif isinstance(a, Image.Image):
        np.testing.assert_allclose(np.asarray(a, int), np.asarray(b, int), rtol=0, atol=1, err_msg=where)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4, nan_ok=True), where
    elif isinstance(a, Mapping):
        same(sorted(a), sorted(b), where)
        for key in a:
            same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            same(one, other, f"{where}[{i}]")
    else:
        assert a == b, where


@pytest.mark.slow
def test_every_verb_answers_alike_in_a_fork(tmp_path):
    running = []
    for name, variables in {"here": {}, "lent": {"SPACES_ZERO_GPU": "1"}}.items():
        environment = os.environ | variables | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment["MMEXPLORER_CACHE"] = str(tmp_path / f"{name}-cache")
        command = [sys.executable, "tests/public_verbs.py", str(tmp_path / name)]
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    here, lent = (pickle.loads((tmp_path / name).read_bytes()) for name in ("here", "lent"))
    assert here["answers"].keys() == lent["answers"].keys()
    for name, (forks, answer) in here["answers"].items():
        assert forks == 0, name
        same(pickle.loads(answer), pickle.loads(lent["answers"][name][1]), name)
    forks = {name: count for name, (count, _) in lent["answers"].items()}
    # No model computes for these, and those that they ask are in memory.
    assert {name for name, count in forks.items() if count == 0} == {"cut_labels", "forget", "learn"}
    # Four batches that agree in steps and in whether they are guided; the long drawing, its early pictures, the short.
    several = {"draw_grid": 4, "draw_early": 3}
    assert {name: count for name, count in forks.items() if count > 1} == several
    assert lent["loaded"] == ["toy-clip", "toy-diffusion", "toy-llava"], "what a fork loads is not in the main process"


def test_nested_work_forks_once_and_elsewhere():
    told = script("here, first = os.getpid(), outer('toy-clip'); print(json.dumps([here, *first, spaces.lent]))")
    here, outer, inner, from_generator, lent = told
    assert outer == inner == from_generator != here
    assert lent == [9]


def test_seconds_are_bounded_and_allow_for_loading():
    assert script("""
counted('toy-clip', 1); counted('toy-clip', 30.4); counted('toy-clip', 10_000)
forget_models(); counted('sd-turbo', 10)
print(json.dumps(spaces.lent))""") == [5, 30, 120, 10 + round(5_200_000_000 / 500_000_000)]


def test_what_computes_nothing_needs_no_fork_where_the_model_is_in_memory():
    code = "here = asked('toy-clip') == os.getpid(); forget_models(); there = asked('toy-clip') != os.getpid()"
    assert script(f"{code}\nprint(json.dumps([here, there, len(spaces.lent)]))") == [True, True, 1]


def test_a_refusal_arrives_as_it_is():
    assert script("""
said = []
for work in (lambda: refuse('toy-clip', 'Choose another.'), lambda: list(refuse_late('toy-clip'))):
    try:
        work()
    except Refusal as refusal:
        said.append([type(refusal).__name__, str(refusal)])
print(json.dumps(said))""") == [["Refusal", "Choose another."], ["Stopped", "Stopped late."]]


def test_what_zero_gpu_says_is_a_refusal_and_a_bug_stays_a_bug():
    assert script("""
said = []
for work in (lambda: end_process('toy-clip'), lambda: fail('toy-clip'), lambda: counted('toy-clip', 60)):
    spaces.quota = 50
    try:
        work()
    except Exception as error:
        said.append([type(error).__name__, str(error)])
print(json.dumps(said))""") == [
        ["Refusal", "The GPU was taken back before the work was done; 5 seconds of it were asked for, so ask for less "
         "at once."],
        ["RuntimeError", "KeyError"],
        ["Refusal", "ZeroGPU: You have exceeded your quota (60s requested vs. 50s left)."],
    ]  # fmt: skip


def test_a_stop_flag_reaches_the_fork():
    assert script("""
stop = threading.Event()
threading.Timer(0.3, stop.set).start()
ended = until_stopped('toy-clip', stop)
stop, events = threading.Event(), []
for event in endless('toy-clip', stop):
    events.append(event)
    if event == 2:
        stop.set()
print(json.dumps([ended, events[:3], events[-1]]))""") == ["stopped", [0, 1, 2], "stopped"]


def test_a_generator_returns_and_can_be_closed():
    assert script("""
def follow():
    returned = yield from finite('toy-clip')
    yield returned
events = endless('toy-clip', threading.Event())
first = next(events)
events.close()
print(json.dumps([list(follow()), first]))""") == [[0, 1, "returned"], 0]


def test_spaces_comes_before_torch_and_knows_at_once_what_will_ask():
    assert script("print(json.dumps([spaces.torch_was_first, spaces.decorated]))") == [False, ["_call", "_iterate"]]


def test_elsewhere_a_function_stays_as_it_is():
    from mmexplorer.lending import lent

    def work():
        """Nothing."""

    assert lent(5)(work) is work


def functions_that_use_a_model() -> dict[str, set[str]]:
    """Of every function in explore and tabs that says residency.use, the names of its decorators."""
    found = {}
    for path in sorted((*(ROOT / "mmexplorer/explore").glob("*.py"), *(ROOT / "mmexplorer/tabs").glob("*.py"))):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and "residency.use(" in ast.unparse(function):
                found[f"{path.stem}.{function.name}"] = {ast.unparse(one) for one in function.decorator_list}
    return found


def test_no_use_of_a_model_was_forgotten():
    found = functions_that_use_a_model()
    assert len(found) > 15
    alone = {name for name, decorators in found.items() if not any(one.startswith("lent(") for one in decorators)}
    # The first lets go of what only the model's own process keeps; the second is a part of lent functions.
    assert alone == {"chat.forget", "chat_probes._recalled"}
