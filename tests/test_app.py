"""The app as a process: flags, addresses, what it imports and contacts, how it ends; and what its frame says."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
from mmexplorer.errors import Refusal
from mmexplorer.tabs import server, shell

ROOT = Path(__file__).resolve().parent.parent
STAND_IN = "tests/stand_in_app.py"
HEAVY = {"torch", "transformers", "diffusers", "umap", "plotly", "sklearn", "scipy", "numba"}
LOCAL = re.compile(r"127\.0\.0\.1|localhost|::1|/run/|/var/run/")
VARIABLES = ("MMEXPLORER_", "GRADIO_", "HF_HUB_OFFLINE", "SYSTEM")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """No flag of the outside world; processes find the repository's modules."""
    for name in list(os.environ):
        if name.startswith(VARIABLES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(*flags: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "app.py", *flags], cwd=ROOT, capture_output=True, text=True, timeout=60)


@contextmanager
def started(*flags: str):
    """The running process and its address."""
    process = subprocess.Popen(
        [sys.executable, STAND_IN, *flags],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = re.fullmatch(r"mmexplorer is at (http://\S+) - Ctrl-C ends it\n", process.stdout.readline())
        assert said, process.communicate(timeout=20)
        yield process, said[1]
    finally:
        process.kill()
        process.communicate()


def ask(process: subprocess.Popen) -> dict:
    """What the stand-in tells about its process."""
    process.stdin.write("tell\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Flags


def test_a_flag_wins_over_our_variable_which_wins_over_gradios(monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_PORT", "9001")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert app.arguments().parse_args([]).port == 9001
    assert app.arguments().parse_args([]).host == "0.0.0.0"
    monkeypatch.setenv("MMEXPLORER_PORT", "9002")
    monkeypatch.setenv("MMEXPLORER_HOST", "127.0.0.1")
    assert app.arguments().parse_args([]).port == 9002
    assert app.arguments().parse_args([]).host == "127.0.0.1"
    assert app.arguments().parse_args(["--port", "9003"]).port == 9003


def test_every_flag_has_a_variable(monkeypatch):
    plain = app.arguments().parse_args([])
    assert (plain.host, plain.port, plain.memory_budget) == ("127.0.0.1", None, None)
    assert not (plain.share or plain.offline or plain.open or plain.preload)
    for name, value in {"SHARE": "1", "OFFLINE": "yes", "OPEN": "true", "MEMORY_BUDGET": "2GB"}.items():
        monkeypatch.setenv(f"MMEXPLORER_{name}", value)
    monkeypatch.setenv("MMEXPLORER_PRELOAD", "toy-clip")
    options = app.arguments().parse_args([])
    assert options.share and options.offline and options.open and options.memory_budget == "2GB"
    assert options.preload == "toy-clip"


def test_a_space_is_open_to_others_at_a_fixed_port(monkeypatch):
    monkeypatch.setenv("SYSTEM", "spaces")
    options = app.arguments().parse_args([])
    assert (options.host, options.port) == ("0.0.0.0", 7860)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--port", "abc"], "'abc' is not a port; ports are numbers from 1 to 65535"),
        (["--port", "65536"], "'65536' is not a port"),
        (["--memory-budget", "lots"], "'lots' is not a size; write it like 6GB or 512MB."),
        (["--preload", "toy-clip,nothing"], "argument --preload: There is no model called 'nothing'; try "),
        (["--offline", "--share"], "--share needs the network, which --offline forbids."),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(flags, sentence):
    result = run(*flags)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


# Addresses


def test_a_port_that_is_taken_ends_the_app_with_one_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = run("--port", str(port))
    assert result.returncode == 1
    assert result.stderr == (
        f"mmexplorer: Port {port} is taken; choose another, or leave --port out to get a free one.\n"
    )


def test_without_a_port_the_next_free_one_is_taken():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else has it, which serves as well
            other.bind(("127.0.0.1", 7860))
            other.listen()
        with started("--stand-in") as (_, address):
            assert int(address.rpartition(":")[2]) > 7860
            assert httpx.get(address).status_code == 200


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("no-such-host.invalid", None, "There is no host 'no-such-host.invalid'"),
        ("192.0.2.1", None, "It is not possible to listen at 192.0.2.1: "),  # set aside for documentation, RFC 5737
        ("192.0.2.1", 8000, "It is not possible to listen at 192.0.2.1, port 8000: "),
    ],
)
def test_a_host_that_is_not_this_machine_is_refused(host, port, sentence):
    with pytest.raises(Refusal, match=re.escape(sentence)):
        server.check_address(host, port)


# A running process


def visit(address: str) -> dict:
    """Loads the page as a browser does, its load events included; the page's configuration."""
    assert httpx.get(address).status_code == 200
    config = httpx.get(f"{address}/config").json()
    values = {component["id"]: component["props"].get("value") for component in config["components"]}
    answers = []
    for load in config["dependencies"]:
        if any(event == "load" for _, event in load["targets"]):
            data = [values[component] for component in load["inputs"]]
            asked = {"data": data, "fn_index": load["id"], "session_hash": "visitor"}
            answers.append(httpx.post(f"{address}/gradio_api/run/predict", json=asked))
            assert answers[-1].status_code == 200, answers[-1].text
    assert any("No model in memory yet" in answer.text for answer in answers)
    return config


def test_starting_imports_nothing_heavy_and_contacts_nobody(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy must not be asked about our own server
    with started("--port", str(free_port())) as (process, address):
        monkeypatch.delenv("http_proxy")
        config = visit(address)
        told = ask(process)
    assert not HEAVY & set(told["modules"])
    assert [place for place in told["connected"] if not LOCAL.search(place)] == []
    assert told["hub_is_offline"] is False
    assert config["analytics_enabled"] is False
    public = {d["api_name"] for d in config["dependencies"] if d["api_visibility"] == "public"}
    assert public == {"chat", "classify", "draw", "ground_labels", "embed", "project", "search"}


def test_models_named_at_the_start_are_loaded_while_nobody_asks():
    with started("--stand-in", "--preload", "toy-clip", "--port", str(free_port())) as (process, _):
        deadline = time.monotonic() + 60
        while "mmexplorer.models.clip" not in ask(process)["modules"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_offline_reaches_the_libraries():
    with started("--offline", "--port", str(free_port())) as (process, _):
        assert ask(process)["hub_is_offline"] is True


def test_uploads_are_bounded():
    with started("--stand-in") as (_, address):
        for size, status in ((1_000_000, 200), (210_000_000, 413)):
            sent = httpx.post(f"{address}/gradio_api/upload", files={"files": ("a.png", b"0" * size)}, timeout=30)
            assert sent.status_code == status


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_a_visitor_waits_for_a_job(signum, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with started("--stand-in") as (process, address):
        config = httpx.get(f"{address}/config").json()
        job = next(d for d in config["dependencies"] if any(event == "click" for _, event in d["targets"]))
        api = f"{address}/gradio_api"
        with httpx.stream("GET", f"{api}/heartbeat/visitor", timeout=30) as heartbeat:
            asked = {"data": [""], "fn_index": job["id"], "session_hash": "visitor"}
            httpx.post(f"{api}/queue/join", json=asked)
            threading.Thread(target=listen, args=(f"{api}/queue/data?session_hash=visitor",), daemon=True).start()
            assert process.stdout.readline() == "working\n"
            assert heartbeat.status_code == 200 and len(list(tmp_path.glob("mmexplorer-visits-*/*"))) == 1
            process.send_signal(signum)
            assert process.wait(timeout=5) == 0  # the job would last a minute
        assert process.stdout.read() == process.stderr.read() == "" and list(tmp_path.glob("mmexplorer-*")) == []


def listen(address: str) -> None:
    """Reads a stream of events to its end, however that comes."""
    with suppress(httpx.HTTPError), httpx.stream("GET", address, timeout=30) as stream:
        for _ in stream.iter_lines():
            pass


# The frame


@pytest.fixture(scope="module")
def client():
    """A client of a frame with endpoints that refuse, fail, and take a picture."""

    def refuse():
        raise Refusal("There is no <b>such</b> thing.")

    def refuse_later():
        yield "a start"
        raise Refusal("It went wrong later.")

    def fail():
        raise ZeroDivisionError("secret")

    with shell.Frame(analytics_enabled=False) as frame:
        picture, text = gr.Image(type="pil"), gr.Textbox()
        for work in (refuse, refuse_later, fail):
            gr.Button().click(work, None, text, api_name=work.__name__)
        gr.Button().click(lambda picture: str(picture.size), picture, text, api_name="size")
    server.launch(frame, "127.0.0.1", None)
    yield Client(frame.local_url, verbose=False)
    frame.close(verbose=False)


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        ("/refuse", "There is no &lt;b&gt;such&lt;/b&gt; thing."),  # a toast is HTML
        ("/refuse_later", "It went wrong later."),
    ],
)
def test_a_refusal_reaches_the_visitor_as_its_sentence(client, capfd, endpoint, sentence):
    with pytest.raises(AppError) as caught:
        client.predict(api_name=endpoint)
    assert str(caught.value) == sentence
    assert "Traceback" not in capfd.readouterr().err


def test_a_bug_tells_the_visitor_nothing_and_the_log_everything(client, capfd):
    with pytest.raises(AppError) as caught:
        client.predict(api_name="/fail")
    assert "secret" not in str(caught.value)
    assert "ZeroDivisionError: secret" in capfd.readouterr().err


def test_pictures_that_gradio_cannot_decode_are_refused_in_a_sentence(client, tmp_path, capfd):
    whole, text, cut, bomb = (tmp_path / f"{name}.png" for name in ("whole", "text", "cut", "bomb"))
    Image.effect_noise((64, 48), 50).save(whole)
    text.write_text("not a picture")
    cut.write_bytes(whole.read_bytes()[:1000])
    Image.new("1", (13_000, 13_000)).save(bomb)
    assert client.predict(handle_file(whole), api_name="/size") == "(64, 48)"
    for path in (text, cut, bomb):
        with pytest.raises(AppError) as caught:
            client.predict(handle_file(path), api_name="/size")
        assert str(caught.value) == shell.UNREADABLE
    assert "Traceback" not in capfd.readouterr().err
    assert client.predict(handle_file(whole), api_name="/size") == "(64, 48)"
