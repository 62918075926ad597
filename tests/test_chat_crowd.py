"""Several visitors ask the chat at once, and one leaves mid-answer: the others get their own answers, by one load."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio_client import Client, handle_file

import mmexplorer
from mmexplorer import residency
from mmexplorer.explore.truth import draw_scene
from mmexplorer.tabs import chat_api, server, shell

KEY, VISITORS = "toy-llava", 6
QUESTIONS = ("describe the picture", "how many shapes are there?", "what is this?")


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
    with shell.Frame(analytics_enabled=False) as page:
        chat_api.add()
    server.launch(page, "127.0.0.1", None)
    yield page.local_url.rstrip("/")
    page.close(verbose=False)


@pytest.fixture
def slow_steps():
    """The model takes its time for each token; how many it has computed."""
    steps = []
    with residency.use(KEY) as llava:
        hook = llava.model.lm_head.register_forward_hook(lambda *_: (time.sleep(0.02), steps.append(1))[0])
    yield steps
    hook.remove()


def test_visitors_at_once_get_their_own_answers_by_one_load(loads):
    together = threading.Barrier(VISITORS)

    def ask(visitor: int):
        together.wait(30)
        return mmexplorer.answer(draw_scene(visitor)[0], QUESTIONS[visitor % 3], seed=visitor, temperature=visitor % 2)

    with ThreadPoolExecutor(VISITORS) as pool:
        replies = list(pool.map(ask, range(VISITORS)))
    assert loads == [KEY] and not any(model.in_use for model in residency.loaded())
    for visitor, reply in enumerate(replies):
        alone = mmexplorer.answer(draw_scene(visitor)[0], QUESTIONS[visitor % 3], seed=visitor, temperature=visitor % 2)
        assert reply.ids == alone.ids and reply.attention.words == alone.attention.words
    assert len({reply.ids for reply in replies}) > 2


def test_a_visitor_who_leaves_ends_the_computation_and_the_next_is_answered(address, slow_steps, tmp_path):
    api, most = f"{address}/gradio_api", 800
    config = httpx.get(f"{address}/config", timeout=60).json()
    chat = next(d["id"] for d in config["dependencies"] if d["api_name"] == "chat")
    data = [[], "describe the picture", KEY, most, 0, 1, 0, {str(i): 20 for i in range(most)}]
    asked = {"data": data, "fn_index": chat, "session_hash": "leaver"}
    httpx.post(f"{api}/queue/join", json=asked, timeout=60).raise_for_status()
    with httpx.stream("GET", f"{api}/queue/data?session_hash=leaver", timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: ") and json.loads(line[6:])["msg"] == "process_generating" and slow_steps:
                break  # an answer of sixteen seconds has begun
    scene = tmp_path / "scene.png"
    draw_scene(1)[0].save(scene)
    answer = Client(address, verbose=False).predict([handle_file(scene)], "what is this?", api_name="/chat")
    assert len(slow_steps) < most / 2
    assert [token["id"] for token in answer["tokens"]] == list(mmexplorer.answer(scene, "what is this?").ids)
