"""A script that serves a page, as a process of its own with a plain environment."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.01
PATIENCE_SECONDS = 120

# No proxy may stand between the bench and the page.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def served(script: Path = ROOT / "app.py") -> Iterator[tuple[str, float]]:
    """Its address, and the seconds from starting it with --port to the first answer of status 200."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MMEXPLORER_", "GRADIO_"))}
    quiet = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), "--port", str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=plain | quiet, stdout=subprocess.DEVNULL)
    try:
        while not _answers(address):
            if process.poll() is not None or time.perf_counter() - started > PATIENCE_SECONDS:
                raise RuntimeError(f"{script.name} did not serve a page.")
            time.sleep(POLL_SECONDS)
        yield address, time.perf_counter() - started
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool:
    try:
        with _direct.open(address, timeout=PATIENCE_SECONDS) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
