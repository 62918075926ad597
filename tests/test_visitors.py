"""More visitors than the device can serve, on the real page: a full line, one visitor's share of it, and quick clicks.

The device is held by the test, so nothing in the line moves but those who leave it.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from gradio_client.utils import apply_diff
from PIL import Image

from mmexplorer import residency
from mmexplorer.tabs import server, shell
from mmexplorer.turns import MOST_OF_ALL, MOST_OF_ONE

MODEL = "toy-clip"
SECONDS = 30  # that a test waits before it calls something stuck


class Page:
    """The page as scripts reach it: listeners by the id of their component and the name of the event."""

    def __init__(self, address: str, picture):
        self.address, self.api = address, f"{address}/gradio_api"
        self.http = httpx.Client(timeout=SECONDS, limits=httpx.Limits(max_connections=None))
        config = self.http.get(f"{address}/config").json()
        self.dependencies = config["dependencies"]
        self.parts = {c["props"]["elem_id"]: c["id"] for c in config["components"] if c["props"].get("elem_id")}
        self.values = {c["id"]: c["props"].get("value") for c in config["components"]}
        with picture.open("rb") as file:
            sent = self.http.post(f"{self.api}/upload", files={"files": (picture.name, file)}).json()
        self.picture = {"path": sent[0], "meta": {"_type": "gradio.FileData"}}
        self.values[self.parts["zs-picture"]] = self.picture

    def listener(self, part: str, event: str) -> dict:
        """The listener of an event that runs on the server."""
        target = [self.parts[part], event]
        return next(d for d in self.dependencies if target in d["targets"] and d["backend_fn"])

    def ask(self, part: str, event: str, session: str, **given) -> dict:
        """Puts an event into the queue and gives what cancels it; values by the ids of components, - written as _."""
        listener = self.listener(part, event)
        told = self.values | {self.parts[name.replace("_", "-")]: value for name, value in given.items()}
        asked = {"data": [told[part] for part in listener["inputs"]], "fn_index": listener["id"]}
        said = self.http.post(f"{self.api}/queue/join", json=asked | {"session_hash": session})
        said.raise_for_status()
        return {"session_hash": session, "fn_index": listener["id"], "event_id": said.json()["event_id"]}

    def leave(self, asked: dict) -> None:
        self.http.post(f"{self.api}/cancel", json=asked).raise_for_status()

    def updates(self, part: str, event: str, session: str):
        """Iterates over the values that an event in the queue gives its outputs, by their components' numbers."""
        outputs, values = self.listener(part, event)["outputs"], None
        with self.http.stream("GET", f"{self.api}/queue/data?session_hash={session}") as stream:
            for line in stream.iter_lines():
                said = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {"msg": ""}
                if said["msg"] == "process_generating":
                    new = said["output"]["data"]
                    values = new if values is None else list(map(apply_diff, values, new))
                    yield dict(zip(outputs, values, strict=True))
                elif said["msg"] == "process_completed":
                    assert said["success"], said
                    if values is None:
                        yield dict(zip(outputs, said["output"]["data"], strict=True))
                    return

    def answer(self, part: str, event: str, session: str, **given) -> dict:
        """The last values of an event that is put into the queue."""
        self.ask(part, event, session, **given)
        return list(self.updates(part, event, session))[-1]

    def at_once(self, part: str, event: str, **given) -> list:
        """The values of an event that does not go through the queue."""
        listener = self.listener(part, event)
        assert listener["queue"] is False
        told = self.values | {self.parts[name.replace("_", "-")]: value for name, value in given.items()}
        asked = {"data": [told[part] for part in listener["inputs"]], "fn_index": listener["id"]}
        said = self.http.post(f"{self.api}/run/predict", json=asked | {"session_hash": "quick"})
        said.raise_for_status()
        return said.json()["data"]

    def classify(self, session: str) -> dict:
        return self.ask("zs-run", "click", session)

    def said(self, update: dict) -> str:
        """What a zero-shot update says in the status line."""
        status = update[self.parts["zs-status"]]
        return status if isinstance(status, str) else ""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    picture = tmp_path_factory.mktemp("picture") / "red.png"
    Image.new("RGB", (64, 64), "red").save(picture)
    frame = shell.build()
    server.launch(frame, "127.0.0.1", None)
    yield Page(frame.local_url.rstrip("/"), picture)
    frame.close(verbose=False)


@contextmanager
def busy(page, *sessions):
    """The device in use, and a classification for each session in line for it."""
    with residency.use(MODEL):
        asked = [page.classify(session) for session in sessions]
        try:
            in_line(len(sessions))
            yield asked
        finally:
            with ThreadPoolExecutor(len(asked)) as pool:
                list(pool.map(page.leave, asked))
            in_line(0)


def in_line(count: int) -> None:
    """Waits until so many stand in line."""
    deadline = time.monotonic() + SECONDS
    while (now := residency.status(MODEL).waiting) != count:
        assert time.monotonic() < deadline, f"{now} in line instead of {count}"
        time.sleep(0.02)


def test_a_full_line_refuses_the_next_and_stops_no_quick_click(page):
    page.answer("chat-scene", "click", "reader")
    talk = {"chat_strip": [{"image": page.picture}], "chat_question": "what is this?", "chat_most": 2}
    page.answer("chat-ask", "click", "reader", **talk)
    with busy(page, *(f"visitor {number}" for number in range(MOST_OF_ALL))):
        assert page.at_once("mm-memory", "tick", mm_memory="")[0].startswith('{"line": ')
        assert page.at_once("zs-label-set", "input", zs_label_set="Shapes")[0].startswith("a circle")
        # Through the queue, in the order of what they cost: a toy scene, another view of an answer, drawn settings.
        assert page.answer("zs-scene", "click", "reader")[page.parts["zs-labels"]]
        view = page.answer("chat-heads", "input", "reader", chat_heads="max")
        assert "Attention" in view[page.parts["chat-status"]] and view[page.parts["chat-viewer"]]
        assert page.answer("draw-card", "input", "reader", draw_card="") is not None
        assert page.http.get(page.address).status_code == 200
        page.classify("one too many")
        refused = list(page.updates("zs-run", "click", "one too many"))[-1]
        assert f"{MOST_OF_ALL} jobs of other visitors are in line already" in page.said(refused)
        assert residency.status(MODEL).waiting == MOST_OF_ALL


def test_one_visitor_gets_no_more_than_their_share_and_others_still_get_theirs(page):
    with busy(page, *["greedy"] * MOST_OF_ONE, "modest"):
        page.classify("greedy")
        refused = next(
            said for update in page.updates("zs-run", "click", "greedy") if "jobs" in (said := page.said(update))
        )
        assert f"{MOST_OF_ONE} of your jobs are running or in line already" in refused


def test_the_place_in_line_and_the_wait_are_in_the_status(page):
    with residency.use(MODEL):  # so that there is a turn to go by
        pass
    with busy(page, "first", "second"):
        said = map(page.said, page.updates("zs-run", "click", "second"))
        assert any("Computing; 2 others go first" in one for one in said)


def test_who_closes_the_page_leaves_the_line(page):
    with busy(page, "leaver", "patient"):
        for _ in page.updates("zs-run", "click", "leaver"):
            break  # and the connection is closed
        in_line(1)
