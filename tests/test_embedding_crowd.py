"""Many visitors and ill will at the embedding tab, on the real page: nobody waits for ever, nothing is left behind."""

import gc
import io
import json
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio.utils import get_upload_folder
from gradio_client.utils import apply_diff
from PIL import Image

from mmexplorer import residency
from mmexplorer.explore.collection import Collection
from mmexplorer.tabs import embedding_space_api as api
from mmexplorer.tabs import embedding_space_session as session
from mmexplorer.tabs import server, shell

VISITORS = 20
PATIENCE = 30  # seconds for what takes less than one


@pytest.fixture(scope="module")
def address():
    page = shell.build(local=True)
    server.launch(page, "127.0.0.1", None)
    yield page.local_url.rstrip("/")
    page.close(verbose=False)


@pytest.fixture
def visitor(address):
    return lambda name: Visitor(address, name)


@pytest.fixture
def many(tmp_path, monkeypatch) -> Path:
    """A zip archive of pictures that take seconds to embed, and a cache that knows none of them."""
    monkeypatch.setenv("MMEXPLORER_CACHE", str(tmp_path / "cache"))
    path, random = tmp_path / "many.zip", np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1500):
            file = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((160, 160)).save(file, "BMP")
            archive.writestr(f"{number}.bmp", file.getvalue())
    return path


class Visitor:
    """Somebody at the page, who presses its buttons by HTTP."""

    def __init__(self, address: str, name: str):
        self.api, self.name = f"{address}/gradio_api", name
        config = httpx.get(f"{address}/config", timeout=60).json()
        self.parts = {c["id"]: c["props"].get("elem_id") for c in config["components"]}
        self.listeners = {d["api_name"]: d for d in config["dependencies"] if d["backend_fn"]}

    def ask(self, listener: str, given: list, event=None, leave_at=None) -> tuple[dict, list[str]]:
        """The last values of a listener by the elem_ids of its outputs, and all texts that the status line showed.

        leave_at(status) says whether to hang up.
        """
        one = self.listeners[listener]
        body = {"data": given, "fn_index": one["id"], "session_hash": self.name, "event_data": event}
        httpx.post(f"{self.api}/queue/join", json=body | {"trigger_id": one["targets"][0][0]}).raise_for_status()
        values, shown, said = None, {}, []
        with httpx.stream("GET", f"{self.api}/queue/data?session_hash={self.name}", timeout=120) as stream:
            for line in stream.iter_lines():
                news = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {"msg": ""}
                if news["msg"] == "process_generating":
                    data = news["output"]["data"]
                    values = data if values is None else list(map(apply_diff, values, data))
                    shown = dict(zip(map(self.parts.get, one["outputs"]), values, strict=True))
                    said += [shown["es-status"]] if isinstance(shown["es-status"], str) else []
                    if leave_at and leave_at(said[-1]):
                        return shown, said
                elif news["msg"] == "process_completed":
                    assert news["success"], news["output"]
                    return shown, said
        raise AssertionError("The stream ended before the answer was complete.")

    def press(self, listener: str, given: list, event=None) -> httpx.Response:
        """What a listener outside the queue answers."""
        one = self.listeners[listener]
        body = {"data": given, "fn_index": one["id"], "session_hash": self.name, "event_data": event}
        return httpx.post(f"{self.api}/run/predict", json=body | {"trigger_id": one["targets"][0][0]}, timeout=60)

    def upload(self, path: Path) -> dict:
        with path.open("rb") as file:
            sent = httpx.post(f"{self.api}/upload", files={"files": (path.name, file)}, timeout=60).json()
        return {"path": sent[0], "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}

    def open_files(self, *files: dict, leave_at=None) -> tuple[dict, list[str]]:
        self.press("lambda_8", [])  # the sub-tab of one's own pictures
        layout = ["pca", 2, False, 15, 0.1, "cosine", 0]
        return self.ask("open_chosen", [None, [*files], "", "toy-clip", *layout, None], leave_at=leave_at)

    def search(self, words: str) -> tuple[dict, list[str]]:
        return self.ask("look_up", [words, "", None, "pictures", 6, "", None])


def folders() -> set[Path]:
    return set(Path(get_upload_folder()).glob("collection-*"))


def eventually(happens) -> bool:
    end = time.monotonic() + PATIENCE
    while not happens():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
        gc.collect()  # errors that nobody asked for are part of cycles
    return True


def is_embedding(status: str) -> bool:
    return "Embedding: " in status and "Embedding: 0 of" not in status


def test_twenty_visitors_look_and_search_at_once_by_one_load_and_one_collection(visitor, monkeypatch):
    residency.evict()
    loads, opened, load, open_ = [], [], residency._default._load, Collection.open
    monkeypatch.setattr(
        residency._default, "_load", lambda preset, *rest: (loads.append(preset.key), load(preset, *rest))[1]
    )
    visitor("early").ask("first_look", ["toy-clip", None])
    monkeypatch.setattr(Collection, "open", lambda *given, **named: (opened.append(given), open_(*given, **named))[1])
    together, words = threading.Barrier(VISITORS), ("a red circle", "two stars", "the word box", "a blue ring")

    def visit(number: int) -> list[int]:
        one = visitor(f"crowd{number}")
        together.wait(PATIENCE)
        map_, said = one.ask("first_look", ["toy-clip", None])
        assert "2,400 pictures and 2,400 captions" in said[-1] and map_["es-map"]["value"]
        found, said = one.search(words[number % 4])
        assert "6 found" in said[-1]
        return [card["point"] for card in json.loads(found["es-gallery"])["cards"]]

    with ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(visit, range(VISITORS)))
    assert loads == ["toy-clip"]
    assert opened == []
    space = open_("toy-world")
    for number, answer in enumerate(answers):
        assert answer == space.search(words[number % 4], k=6).indices[0].tolist()


def test_a_visitor_who_leaves_stops_the_work_and_leaves_no_folder(visitor, many):
    before, one = folders(), visitor("leaving")
    _, said = one.open_files(one.upload(many), leave_at=is_embedding)
    assert "1,500 of 1,500" not in said[-1]
    assert len(folders() - before) == 1
    assert eventually(lambda: not session.JOBS.running("leaving") and folders() == before)
    _, said = visitor("staying").search("a red circle")
    assert "Nothing is open yet" in said[-1]


def test_stop_shows_what_is_done_and_another_try_goes_on_from_it(visitor, many):
    one, pressed = visitor("stopping"), []
    file = one.upload(many)

    def stop_once(status: str) -> bool:
        if is_embedding(status) and not pressed:
            pressed.append(one.press("stop_of", []).status_code)
        return False

    shown, said = one.open_files(file, leave_at=stop_once)
    assert pressed == [200]
    assert "Stopped before the end; Open goes on from here." in said[-1]
    assert shown["es-map"]["value"]
    done = int(said[-1].split(" picture")[0].rsplit(" ", 1)[1].replace(",", ""))
    assert 0 < done < 1500
    shown, said = one.open_files(file)
    assert "many: 1,500 pictures" in said[-1] and "Stopped" not in said[-1]


def test_what_cannot_be_opened_leaves_no_folder_and_what_follows_takes_the_place_of_what_was(visitor, tmp_path):
    before, one = folders(), visitor("trying")
    for name, content in (("empty.zip", b"PK\5\6" + bytes(18)), ("damaged.zip", b"PK"), ("text.png", b"words")):
        (tmp_path / name).write_bytes(content)
        _, said = one.open_files(one.upload(tmp_path / name))
        assert "mmx-note" in said[-1] and name.split(".")[0] in said[-1]
    assert eventually(lambda: folders() == before)
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    for _ in range(3):
        _, said = one.open_files(one.upload(tmp_path / "red.png"))
        assert "1 picture " in said[-1]
    assert eventually(lambda: len(folders() - before) == 1)


@pytest.mark.parametrize(
    ("listener", "given", "event"),
    [
        ("picked", ["pictures", 12, "", None], {"index": -1, "value": None}),
        ("picked", ["pictures", 12, "", None], {"index": 10**30, "value": None}),
        ("picked", ["pictures", 12, "", None], {"index": "here", "value": None}),
        ("picked", ["pictures", 12, "", None], None),
        ("picked", ["pictures", 10**9, "", None], {"index": 1, "value": None}),
        ("picked", ["evil", 12, "", None], {"index": 1, "value": None}),
        ("circled", ["", None], {"indices": [-1, 10**30]}),
        ("circled", ["", None], {"indices": "here"}),
        ("circled", ["", {"folder": "/etc"}], {"indices": list(range(100_000))}),
    ],
)
def test_nonsense_at_the_map_harms_nobody(visitor, listener, given, event):
    one = visitor("nonsense")
    one.ask("first_look", ["toy-clip", None])
    one.press(listener, given, event)
    _, said = one.search("a red circle")
    assert "6 found" in said[-1]


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", str(Path(__file__).resolve())])
def test_no_file_of_the_server_passes_for_an_upload(visitor, path):
    with pytest.raises(AssertionError, match="could not be read"):
        visitor("thief").open_files({"path": path, "meta": {"_type": "gradio.FileData"}})


ROWS = [[1, 2], [3, 4], [5, 1], [2, 2]]
SEARCH = ("", "", None, None, "toy-clip", 3, "pictures")


@pytest.mark.parametrize(
    ("endpoint", "given", "sentence"),
    [
        ("embed", (None, None, "toy-clip"), "There is nothing to embed"),
        ("embed", (None, "a cat", "toy-clip"), "texts must be a list of texts."),
        ("embed", (None, [1, None], "toy-clip"), "texts must be a list of texts."),
        ("embed", (None, ["a"] * (api.MAX_TEXTS + 1), "toy-clip"), "At most 256 pictures and 1,000 texts"),
        ("embed", (None, ["a"], "../../etc"), "There is no model called '../../etc'"),
        ("project", ([], "pca", 2, 0, 15, 0.1, "cosine"), "There are no vectors"),
        ("project", ("rows", "pca", 2, 0, 15, 0.1, "cosine"), "There are no vectors"),
        ("project", ([[1, 2], [3]], "pca", 2, 0, 15, 0.1, "cosine"), "all of the same length"),
        ("project", ([["a"]], "pca", 2, 0, 15, 0.1, "cosine"), "rows of numbers"),
        ("project", ([[1e300, 1]], "pca", 2, 0, 15, 0.1, "cosine"), "not finite"),
        ("project", ([[None, 1]], "pca", 2, 0, 15, 0.1, "cosine"), "not finite"),
        ("project", ([[0]] * (api.MAX_ROWS + 1), "pca", 2, 0, 15, 0.1, "cosine"), "At most 20,000 vectors"),
        ("project", (ROWS, "pca", None, 0, 15, 0.1, "cosine"), "dimensions must be a number."),
        ("project", (ROWS, "pca", 2, None, 15, 0.1, "cosine"), "seed must be a number."),
        ("project", (ROWS, "pca", 2, 0, None, 0.1, "cosine"), "neighbours must be a number."),
        ("project", (ROWS, "pca", 2, 0, 15, None, "cosine"), "min_dist must be a number."),
        ("project", (ROWS, "umap", 2, -1, 15, 0.1, "cosine"), "A seed is"),
        ("search", SEARCH, "Type some words"),
        ("search", (None, *SEARCH[1:]), "Type some words"),
        ("search", ("a", None, *SEARCH[2:5], None, "pictures"), "k must be a number."),
        ("search", ("a", *SEARCH[1:5], 0, "pictures"), "from 1 to 1,000"),
        ("search", ("a", *SEARCH[1:5], 10**9, "pictures"), "from 1 to 1,000"),
        ("search", ("a", *SEARCH[1:5], 3, "evil"), "'evil' cannot be searched"),
        ("search", ("a", *SEARCH[1:4], "nope", 3, "pictures"), "There is no model called 'nope'"),
    ],
)
def test_bad_input_to_an_endpoint_is_refused_in_one_sentence(address, capfd, endpoint, given, sentence):
    event, said = answer(address, endpoint, list(given))
    assert event == "error" and sentence in said["error"]
    assert "Traceback" not in capfd.readouterr().err


def test_more_pictures_than_an_endpoint_searches_are_refused(address, visitor, many):
    file = visitor("api").upload(many)
    event, said = answer(address, "search", ["a", "", None, [file], "toy-clip", 3, "pictures"])
    assert event == "error" and "At most 256 pictures" in said["error"]


def answer(address: str, endpoint: str, given: list) -> tuple[str, dict | list]:
    """The last event of an endpoint, "complete" or "error", and what it carries."""
    call = f"{address}/gradio_api/call/{endpoint}"
    number = httpx.post(call, json={"data": given}, timeout=60).json()["event_id"]
    *_, event, data = httpx.get(f"{call}/{number}", timeout=120).text.strip().splitlines()
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))
