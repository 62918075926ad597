"""A Hub on 127.0.0.1 for tests: serves dictionaries of files as repositories, and fails on request.

It speaks the routes that huggingface_hub 2 uses, over plain HTTP: the listings of a repository, HEAD and GET of a file
with the headers and redirects of the Hub (a small file moves within the host, a large one to a store under another
name, which is not to see the token), and ranges. Xet is announced, as the Hub does, and not served.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huggingface_hub import constants

REPOSITORY = "someone/tiny"
REVISION = "0123456789abcdef0123456789abcdef01234567"
BLOCK = 1024


class StandIn:
    """What the server serves and how it misbehaves; tests change the attributes between requests.

    repositories is {id: {file name: content}}; `files` is the first of them. revisions is {id: commit}, REVISION where
    an id has none. asked lists (method, path, Range or ""), requests the first two; tokens has what came as
    Authorization to the Hub, store_tokens to the store.
    """

    def __init__(self, repositories: Mapping[str, dict[str, bytes]], revisions: Mapping[str, str] | None = None):
        self.repositories, self.revisions = dict(repositories), dict(revisions or {})
        self.asked: list[tuple[str, str, str]] = []
        self.tokens: list[str | None] = []
        self.store_tokens: list[str | None] = []
        self.url = ""
        self.released = threading.Event()
        self.behave()

    def behave(self) -> None:
        """No faults from here on."""
        # (status, X-Error-Code, more headers) for listings, for files, and for the store that holds large files.
        self.error: tuple | None = None
        self.file_error: tuple | None = None
        self.store_error: tuple | None = None
        self.store_errors = 10**9  # but only so often
        self.gate: str | None = None  # the token without which no file is given
        self.page: bytes | None = None  # served in place of everything, as a network that wants a sign-in does
        # Of weights, in answers to GET:
        self.bytes_per_second = 0
        self.cut = 0  # so many bytes less than announced in the listing
        self.corrupt = False  # a byte is another one
        self.drop_after: int | None = None  # the connection ends at this place of the file
        self.drops = 10**9  # but only so often
        self.vanish_after: int | None = None  # it ends there, and the file is gone from then on
        self.silent_after: int | None = None  # there it stays, and nothing comes until `released`
        self.ranges = "served"  # or "ignored" (200), or "refused" (416)
        self.before_block = lambda sent: None  # called before each kilobyte of weights
        self.before_listing = lambda: None
        self.announced: dict[str, bytes] = {}  # what listings say of a file that is served otherwise
        self.released.set()
        self.released = threading.Event()
        self.gone: set[str] = set()

    @property
    def files(self) -> dict[str, bytes]:
        return next(iter(self.repositories.values()))

    @files.setter
    def files(self, files: dict[str, bytes]) -> None:
        self.repositories[next(iter(self.repositories))] = files

    @property
    def requests(self) -> list[str]:
        return [f"{method} {path}" for method, path, _ in self.asked]

    def downloads(self) -> list[tuple[str, str]]:
        """(file name, Range or "") of each file that was asked for."""
        found = (re.fullmatch(r"/[^/]+/[^/]+/resolve/\w+/(.+)", path) for _, path, _ in self.asked)
        return [(match[1], asked[2]) for match, asked in zip(found, self.asked, strict=True) if match]


def is_large(name: str) -> bool:
    return name.endswith(".safetensors")


def checksum(name: str, body: bytes) -> str:
    """As the Hub announces it: SHA-256 of large files, and of small ones the SHA-1 of git."""
    return (
        hashlib.sha256(body).hexdigest()
        if is_large(name)
        else hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    )


def _sibling(name: str, body: bytes) -> dict:
    entry = {"rfilename": name, "size": len(body), "blobId": checksum("", body)}
    if is_large(name):
        entry["lfs"] = {"sha256": checksum(name, body), "size": len(body), "pointerSize": 130}
    return entry


def _tree_entry(name: str, body: bytes) -> dict:
    entry = {"type": "file", "path": name, "size": len(body), "oid": checksum("", body)}
    if is_large(name):
        digest = checksum(name, body)
        entry |= {"lfs": {"oid": digest, "size": len(body), "pointerSize": 130}, "xetHash": digest}
    return entry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandIn

    def log_message(self, *_):
        pass

    def _headers(self, status: int, size: int = 0, **headers: str):
        self.send_response(status)
        for name, value in {"Content-Length": str(size), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _fail(self, status: int, code: str = "", headers: Mapping[str, str] | None = None):
        self._headers(status, X_Error_Code=code, **(headers or {}))

    def _whole(self, body: bytes, kind: str):
        self._headers(200, len(body), Content_Type=kind)
        self.wfile.write(body)

    def _answer(self):
        hub, path = self.hub, self.path.partition("?")[0]
        hub.asked.append((self.command, path, self.headers.get("Range", "")))
        token = self.headers.get("Authorization")
        (hub.store_tokens if path.startswith("/store/") else hub.tokens).append(token)
        if hub.page is not None:
            return self._whole(hub.page, "text/html")
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/(\w+)", path):
            return self._list(*match.groups())
        if match := re.fullmatch(r"/store/([^/]+/[^/]+)/(.+)", path):
            if hub.store_error and hub.store_errors > 0:
                hub.store_errors -= 1
                return self._fail(*hub.store_error)
            return self._send(*match.groups())
        match = re.fullmatch(r"(/api/resolve-cache/models|)/([^/]+/[^/]+)(?:/resolve)?/(\w+)/(.+)", path)
        if match is None or match[4] not in hub.repositories.get(match[2], ()) or match[4] in hub.gone:
            return self._fail(404, "EntryNotFound")
        if hub.gate is not None and token != f"Bearer {hub.gate}":
            # As the Hub does: no token, or one that it does not know.
            said = "Invalid credentials in Authorization header"
            return self._fail(401, "", {"X_Error_Message": said}) if token else self._fail(401, "GatedRepo")
        if hub.file_error:
            return self._fail(*hub.file_error)
        if match[1]:
            return self._send(match[2], match[4])
        return self._redirect(*match.groups()[1:])

    def _list(self, repository: str, kind: str, revision: str):
        hub = self.hub
        hub.before_listing()
        if hub.error:
            return self._fail(*hub.error)
        if repository not in hub.repositories:
            return self._fail(401 if self.headers.get("Authorization") is None else 404, "RepoNotFound")
        commit = hub.revisions.get(repository, REVISION)
        if revision not in ("main", commit):
            return self._fail(404, "RevisionNotFound")
        entry = _sibling if kind == "revision" else _tree_entry
        listing = [entry(name, body) for name, body in (hub.repositories[repository] | hub.announced).items()]
        answer = {"id": repository, "sha": commit, "siblings": listing} if kind == "revision" else listing
        return self._whole(json.dumps(answer).encode(), "application/json")

    def _redirect(self, repository: str, revision: str, name: str):
        body = self.hub.repositories[repository][name]
        digest = checksum(name, body)
        headers = {"X_Repo_Commit": revision, "X_Linked_ETag": f'"{digest}"', "X_Linked_Size": str(len(body))}
        if not is_large(name):
            place = f"/api/resolve-cache/models/{repository}/{revision}/{name}"
            return self._headers(307, ETag=f'"{digest}"', Location=place, **headers)
        store = self.hub.url.replace("127.0.0.1", "localhost")
        xet = {"X_Xet_Hash": digest, "X_Xet_Refresh_Route": f"{self.hub.url}/xet-token"}
        return self._headers(302, Location=f"{store}/store/{repository}/{name}", **headers, **xet)

    def _send(self, repository: str, name: str):
        hub, body = self.hub, self.hub.repositories[repository][name]
        commit = hub.revisions.get(repository, REVISION)
        etag = {"ETag": f'"{checksum(name, body)}"', "Accept_Ranges": "bytes", "X_Repo_Commit": commit}
        whole = len(body)
        if is_large(name) and self.command == "GET":
            body = body[: whole - hub.cut]
            if hub.corrupt:
                body = body[:-1] + bytes([body[-1] ^ 1])
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(begin[1]) if begin and hub.ranges != "ignored" else None
        if begin is not None and (begin >= len(body) or hub.ranges == "refused"):
            return self._headers(416, Content_Range=f"bytes */{whole}")
        if begin is None:
            self._headers(200, len(body), **etag)
        else:
            span = f"bytes {begin}-{len(body) - 1}/{whole}"
            self._headers(206, len(body) - begin, Content_Range=span, **etag)
        if self.command == "GET":
            self._write(body, begin or 0, name)

    def _write(self, body: bytes, begin: int, name: str):
        hub = self.hub
        for start in range(begin, len(body), BLOCK):
            if is_large(name):
                hub.before_block(start)
                if hub.drop_after is not None and start >= hub.drop_after and hub.drops > 0:
                    hub.drops -= 1
                    raise ConnectionAbortedError
                if hub.vanish_after is not None and start >= hub.vanish_after:
                    hub.gone.add(name)
                    raise ConnectionAbortedError
                if hub.silent_after is not None and start >= hub.silent_after:
                    hub.released.wait(60)
                if hub.bytes_per_second:
                    time.sleep(BLOCK / hub.bytes_per_second)
            self.wfile.write(body[start : start + BLOCK])
            self.wfile.flush()

    do_GET = do_HEAD = _answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # visitors who leave, and connections dropped on request


@contextmanager
def serving(
    repositories: Mapping[str, dict[str, bytes]], revisions: Mapping[str, str] | None = None
) -> Iterator[StandIn]:
    """Serve the repositories until the block ends."""
    hub = StandIn(repositories, revisions)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def connect(monkeypatch, url: str, cache) -> None:
    """Make huggingface_hub, which reads its environment on import, ask that address and keep files in that folder."""
    for name in ("MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    values = {
        "ENDPOINT": url,
        "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_TELEMETRY": True,  # it asks for a list of AI agents, once a day
        "HF_TOKEN_PATH": str(cache / "no-token"),
    }
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
