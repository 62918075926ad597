"""A Hub on 127.0.0.1 for tests: serves a dictionary of files as one repository, and fails on request."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPOSITORY = "someone/tiny"
REVISION = "0123456789abcdef0123456789abcdef01234567"


class StandIn:
    """What the server serves and how it misbehaves; tests change the attributes between requests.

    error is (status, X-Error-Code) for every request about metadata, file_error for those about files; cut serves
    that many bytes less than announced in the listing; before_block is called before each kilobyte of weights.
    """

    def __init__(self, files: dict[str, bytes]):
        self.files = files
        self.error: tuple[int, str] | None = None
        self.file_error: tuple[int, str] | None = None
        self.cut = 0
        self.before_block = lambda sent: None
        self.requests: list[str] = []
        self.url = ""


def _digest(name: str) -> str:
    # Of the name: a file of one commit never changes, so neither does its tag, whatever arrives under it.
    return hashlib.sha256(name.encode()).hexdigest()


def _tree_entry(name: str, size: int) -> dict:
    entry = {"type": "file", "path": name, "size": size, "oid": hashlib.sha1(name.encode()).hexdigest()}
    if name.endswith(".safetensors"):
        entry |= {"lfs": {"oid": _digest(name), "size": size, "pointerSize": 130}, "xetHash": _digest(name)}
    return entry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandIn

    def log_message(self, *_):
        pass

    def _fail(self, error: tuple[int, str]):
        self.send_response(error[0])
        self.send_header("X-Error-Code", error[1])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self):
        hub, path = self.hub, self.path.partition("?")[0]
        hub.requests.append(f"{self.command} {path}")
        if path.startswith(f"/api/models/{REPOSITORY}/"):
            if hub.error:
                return self._fail(hub.error)
            listing = [{"rfilename": name, "size": len(body)} for name, body in hub.files.items()]
            if "/revision/" in path:
                return self._json({"id": REPOSITORY, "sha": REVISION, "siblings": listing})
            return self._json([_tree_entry(name, len(body)) for name, body in hub.files.items()])
        if path.startswith("/store/"):
            return self._send(path.removeprefix("/store/"))
        match = re.fullmatch(rf"/{REPOSITORY}/resolve/{REVISION}/(.+)", path)
        if match is None or match[1] not in hub.files:
            return self._fail((404, "EntryNotFound"))
        if hub.file_error:
            return self._fail(hub.file_error)
        if match[1].endswith(".safetensors"):
            return self._point_at_store(match[1])
        return self._send(match[1])

    def _point_at_store(self, name: str):
        """As the Hub does for large files: a redirect that also offers the Xet protocol, which is not served here."""
        self.send_response(302)
        self.send_header("Location", f"{self.hub.url}/store/{name}")
        self.send_header("X-Linked-ETag", f'"{_digest(name)}"')
        self.send_header("X-Linked-Size", str(len(self.hub.files[name])))
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("X-Xet-Hash", _digest(name))
        self.send_header("X-Xet-Refresh-Route", f"{self.hub.url}/xet-token")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, name: str):
        body = self.hub.files[name]
        is_weights = name.endswith(".safetensors")
        size = len(body) - (self.hub.cut if is_weights and self.command == "GET" else 0)
        self.send_response(200)
        self.send_header("ETag", f'"{_digest(name)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "GET":
            for start in range(0, size, 1024):
                if is_weights:
                    self.hub.before_block(start)
                self.wfile.write(body[start : min(start + 1024, size)])
                self.wfile.flush()

    do_GET = do_HEAD = _answer


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[StandIn]:
    """Serve the files until the block ends."""
    hub = StandIn(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
