"""A visitor who presses what is on the page by plain HTTP, as a browser does: through the queue, with what follows.

Keeps the values of the page's components, sends them with each press, and runs the listeners that are chained to it.
It does not run JavaScript, so nothing that happens in the browser alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
from gradio_client.utils import apply_diff

PATIENCE_SECONDS = 300


class Failed(Exception):
    """A press was not answered as it should be."""


class Visitor:
    """One visitor of the page at an address, who has it open from the beginning to `close`."""

    def __init__(self, address: str, name: str):
        self._api, self._name = f"{address}/gradio_api", name
        self._http = httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False)
        if self._http.get(address).status_code != 200:
            raise Failed("The page did not come.")
        config = self._http.get(f"{address}/config").json()
        self.values = {part["id"]: part["props"].get("value") for part in config["components"]}
        self._parts = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        self._states = {part["id"] for part in config["components"] if part["type"] == "state"}
        self._listeners = [listener for listener in config["dependencies"] if listener["backend_fn"]]
        for listener in self._listeners:
            if any(event == "load" for _, event in listener["targets"]):
                self._run(listener, None, None)

    def close(self) -> None:
        self._http.close()

    def __getitem__(self, part: str):
        """The value that the page shows of a component."""
        return self.values[self._parts[part]]

    def __setitem__(self, part: str, value) -> None:
        self.values[self._parts[part]] = value

    def upload(self, file: Path) -> dict:
        """A file on the server, as components hold it."""
        with file.open("rb") as opened:
            sent = self._http.post(f"{self._api}/upload", files={"files": (file.name, opened)}).json()
        return {"path": sent[0], "orig_name": file.name, "meta": {"_type": "gradio.FileData"}}

    def press(self, part: str, event: str, told: dict | None = None) -> None:
        """What an event of a component sets off, all of it; told is what the event says. Failed if any of it fails."""
        target = [self._parts[part], event]
        begun = [listener for listener in self._listeners if target in listener["targets"]]
        if not begun:
            raise Failed(f"{part} has no listener for {event}.")
        for listener in begun:
            self._run(listener, target[0], told)

    def see(self, part: str) -> None:
        """What is set off when the mark above a component first comes into view."""
        [listener] = (
            each
            for each in self._listeners
            if self._parts[part] in each["outputs"] and any(event == "seen" for _, event in each["targets"])
        )
        self._run(listener, listener["targets"][0][0], None)

    def _run(self, listener: dict, trigger: int | None, told: dict | None) -> None:
        given = [None if part in self._states else self.values.get(part) for part in listener["inputs"]]
        asked = {
            "data": given, "fn_index": listener["id"], "session_hash": self._name, "event_data": told,
            "trigger_id": trigger,
        }  # fmt: skip
        for answer in self._queued(asked) if listener["queue"] is not False else self._at_once(asked):
            for part, value in zip(listener["outputs"], answer, strict=False):
                self._show(part, value)
        for follower in self._listeners:
            if follower["trigger_after"] == listener["id"]:
                self._run(follower, trigger, None)

    def _at_once(self, asked: dict) -> Iterator[list]:
        answer = self._http.post(f"{self._api}/run/predict", json=asked)
        if answer.status_code != 200:
            raise Failed(answer.text[:300])
        yield answer.json()["data"]

    def _queued(self, asked: dict) -> Iterator[list]:
        joined = self._http.post(f"{self._api}/queue/join", json=asked)
        if joined.status_code != 200:
            raise Failed(joined.text[:300])
        streamed = None
        with self._http.stream("GET", f"{self._api}/queue/data", params={"session_hash": self._name}) as stream:
            for line in stream.iter_lines():
                said = json.loads(line[6:]) if line.startswith("data: ") else {"msg": ""}
                if said["msg"] == "process_generating":
                    data = said["output"]["data"]
                    streamed = data if streamed is None else list(map(apply_diff, streamed, data))
                    yield streamed
                elif said["msg"] == "process_completed":
                    if not said["success"]:
                        raise Failed(str(said["output"])[:300])
                    if streamed is None:
                        yield said["output"]["data"]
                    return
        raise Failed("The stream ended before the answer was complete.")

    def _show(self, part: int, value) -> None:
        if not (isinstance(value, dict) and value.get("__type__") == "update"):
            self.values[part] = value
        elif "value" in value:
            self.values[part] = value["value"]
