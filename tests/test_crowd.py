"""Twenty visitors at once on the real page and its real queue: all are answered, by one model that is loaded once."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from gradio_client.utils import apply_diff
from PIL import Image

import mmexplorer
from mmexplorer import residency
from mmexplorer.tabs import server, shell

VISITORS = 20
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "gray", "white")


@pytest.fixture
def loads(monkeypatch):
    """The keys of the models that are loaded from here on, beginning with none in memory."""
    residency.evict()
    keys, load = [], residency._default._load

    def counted(preset, folder, device):
        keys.append(preset.key)
        return load(preset, folder, device)

    monkeypatch.setattr(residency._default, "_load", counted)
    return keys


@pytest.fixture
def address():
    page = shell.build()
    server.launch(page, "127.0.0.1", None)
    yield page.local_url.rstrip("/")
    page.close(verbose=False)


def outputs(address: str, visitor: int, path, labels: list[str]) -> tuple[str, dict]:
    """The last status and the payload of the chart that a visitor gets from the tab's own Classify button."""
    config = httpx.get(f"{address}/config", timeout=60).json()
    parts = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
    click = next(d for d in config["dependencies"] if [parts["zs-run"], "click"] in d["targets"] and d["backend_fn"])
    api, session = f"{address}/gradio_api", f"visitor{visitor}"
    with path.open("rb") as file:
        sent = httpx.post(f"{api}/upload", files={"files": (path.name, file)}, timeout=60).json()
    given = {parts["zs-labels"]: "\n".join(labels), parts["zs-templates"]: "{}", parts["zs-models"]: ["toy-clip"]}
    given |= {parts["zs-picture"]: {"path": sent[0], "meta": {"_type": "gradio.FileData"}}}
    given |= {parts["zs-method"]: "relevance", parts["zs-contrast"]: True}
    data = [given.get(part) for part in click["inputs"]]
    httpx.post(
        f"{api}/queue/join", json={"data": data, "fn_index": click["id"], "session_hash": session}, timeout=60
    ).raise_for_status()
    chart, status, values = None, None, None
    with httpx.stream("GET", f"{api}/queue/data?session_hash={session}", timeout=120) as stream:
        for line in stream.iter_lines():
            said = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {"msg": ""}
            if said["msg"] == "process_generating":
                values = (
                    said["output"]["data"] if values is None else list(map(apply_diff, values, said["output"]["data"]))
                )
                update = dict(zip(click["outputs"], values, strict=True))
                if isinstance(update[parts["zs-status"]], str):
                    status = update[parts["zs-status"]]
                if isinstance(update[parts["zs-scores"]], str):
                    chart = update[parts["zs-scores"]]
            elif said["msg"] == "process_completed":
                assert said["success"], said
                return status, json.loads(chart)
    raise AssertionError("The stream ended before the answer was complete.")


def test_twenty_visitors_at_once_are_answered_by_one_load(address, loads, tmp_path):
    questions = []
    for visitor in range(VISITORS):
        path = tmp_path / f"{visitor}.png"
        Image.new("RGB", (64, 64), COLOURS[visitor % 10]).resize((64 + visitor, 64)).save(path)
        questions.append((path, [f"a {COLOURS[visitor % 10]} square", f"a circle with {visitor}", "a star"]))
    together = threading.Barrier(VISITORS)

    def visit(visitor: int):
        together.wait(60)
        return outputs(address, visitor, *questions[visitor])

    with ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(visit, range(VISITORS)))
    assert loads == ["toy-clip"]
    for (path, labels), (status, chart) in zip(questions, answers, strict=True):
        assert "1 picture, 3 labels" in status and "mmx-busy" not in status
        expected = mmexplorer.classify(path, labels)
        assert chart["labels"] == labels
        assert chart["pictures"][0]["name"] == path.name
        shown = np.frombuffer(base64.b64decode(chart["models"][0]["cosines"]["float32"]), "<f4")
        np.testing.assert_allclose(shown, expected.cosines[0], atol=1e-5)
    assert loads == ["toy-clip"]
