"""A Hub on 127.0.0.1 for tests: serves folders as data set repositories, as far as `datasets` asks for them."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

REVISION = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: dict[str, Path]
    errors: dict[str, int]

    def log_message(self, *_):
        pass

    def _send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _json(self, value):
        self._send(json.dumps(value).encode(), headers={"Content-Type": "application/json"})

    def _answer(self):
        path = unquote(self.path.partition("?")[0])
        match = re.fullmatch(r"(/api)?/datasets/([^/]+/[^/]+)(?:/(revision|tree|resolve)/[^/]+)?/?(.*)", path)
        if match is None or match[2] not in self.repositories:
            status = self.errors.get(match[2], 404) if match else 404
            return self._send(b"{}", status, {"X-Error-Code": "RepoNotFound"} if status == 404 else {})
        name, kind, rest = match[2], match[3], match[4]
        target = self.repositories[name] / rest
        if kind == "resolve" and target.is_file():
            return self._file(target)
        if kind == "tree" and target.is_dir():
            return self._json(self._tree(self.repositories[name], target))
        if kind in (None, "revision") and not rest:
            return self._json({"id": name, "sha": REVISION, "siblings": [], "tags": [], "private": False})
        return self._send(b"{}", 404, {"X-Error-Code": "EntryNotFound"})

    def _tree(self, root: Path, folder: Path) -> list[dict]:
        found = folder.rglob("*") if "recursive=true" in self.path.lower() else folder.iterdir()
        entries = []
        for path in sorted(found):
            name = path.relative_to(root).as_posix()
            oid = hashlib.sha1(name.encode()).hexdigest()
            kind = {"type": "directory"} if path.is_dir() else {"type": "file", "size": path.stat().st_size}
            entries.append({"path": name, "oid": oid} | kind)
        return entries

    def _file(self, path: Path):
        body = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": REVISION}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(asked[1]), int(asked[2] or len(body) - 1)
            part = body[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
            return self._send(part, 206, headers)
        return self._send(body, headers=headers)

    do_GET = do_HEAD = _answer


@contextmanager
def serving(repositories: dict[str, Path], errors: dict[str, int]) -> Iterator[str]:
    """Serve folders under "owner/name", and answer for other names with an HTTP status; gives the address."""
    handler = type("Handler", (_Handler,), {"repositories": repositories, "errors": errors})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
