"""Moves files from the Hub to this disk, several at a time, and goes on where an earlier transfer stopped.

huggingface_hub 2 begins a file anew whenever its download ended early: the beginning goes to a file of a random name
that is removed; and with Xet the bytes move outside Python, where nothing stops them. So they are moved here, by plain
HTTP, over the session, the addresses and the token that huggingface_hub provides.

What holds: a beginning stays as blobs/<checksum>.incomplete whether a transfer was stopped, broke off or the process
was killed; the next one asks for the rest by a Range request, and begins anew where a server ignores that (200) or
refuses it (416); a content gets its place only if it has the announced checksum, so a content in its place is whole. A
lock keeps two processes from writing the same file.

Knows nothing of sentences for visitors.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

from huggingface_hub import constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from mmexplorer import hub_files
from mmexplorer.errors import Refusal
from mmexplorer.hub_files import HubFile
from mmexplorer.presets import Preset

# A server that is silent for HF_HUB_DOWNLOAD_TIMEOUT (10 s), or a broken connection, is tried again; after so many
# tries in a row that brought no byte it is given up.
TRIES = 3
PAUSE_SECONDS = 1.0
BEAT_SECONDS = 0.25
AT_A_TIME = 4


class Stopped(Refusal):
    """The visitor stopped it."""


class BrokenOff(Exception):
    """A file kept ending before its announced size; the cause is what the network library said, if it did."""


class Corrupted(Exception):
    """A file arrived with its announced size and another content; what arrived of it is gone."""


def attended(
    works: Sequence[Callable[[threading.Event], object]],
    stop: threading.Event,
    beat: Callable[[], None] = lambda: None,
    seconds: float | None = None,
) -> list:
    """The results of each work(over), run in threads a few at a time while this one calls beat() now and then.

    The event `over` tells the works that nobody waits for them any more: `stop` was set, which raises Stopped, one of
    them failed, whose error is raised, or the seconds passed, which raises TimeoutError. It does not wait for works
    that hang in the network; they end by their own timeouts.
    """
    over = threading.Event()
    pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="hub")
    try:
        futures = [pool.submit(work, over) for work in works]
        pending = set(futures)
        begun = time.monotonic()
        while pending:
            done, pending = wait(pending, BEAT_SECONDS, FIRST_COMPLETED)
            for future in done:
                future.result()
            if stop.is_set():
                raise Stopped(
                    "The download was stopped; what has arrived is kept, and the next try goes on from there."
                )
            beat()
            if pending and seconds is not None and time.monotonic() - begun >= seconds:
                raise TimeoutError(f"No answer within {seconds} seconds.")
        return [future.result() for future in futures]
    finally:
        over.set()
        pool.shutdown(wait=False, cancel_futures=True)


def transfer(preset: Preset, file: HubFile, note: Callable[[int], None], over: threading.Event) -> None:
    """Bring the content of one file to its place, from where it stopped, and tell note(bytes on this disk).

    Raises Stopped soon after `over` is set, Corrupted and BrokenOff, HfHubHTTPError where the Hub says no, OSError for
    the disk, and what the network library raises where the network fails.
    """
    blob = hub_files.blob(preset, file)
    blob.parent.mkdir(parents=True, exist_ok=True)
    with _locked(hub_files.lock(preset, file), over):
        if not blob.exists():
            part = hub_files.partial(blob)
            if not part.exists() or part.stat().st_size < file.size:
                url = hf_hub_url(preset.source, file.name, revision=preset.revision)
                _complete(url, part, file.size, note, over)
            if not file.matches(part):
                part.unlink()
                raise Corrupted(file.name)
            part.replace(blob)
    note(file.size)


def _complete(url: str, part: Path, size: int, note: Callable[[int], None], over: threading.Event) -> None:
    """Append to a beginning until it has its size or more, over as many connections as it takes."""
    farthest, fruitless = hub_files.size_on_disk(part), 0
    while True:
        try:
            _append(url, part, size, note, over)
            if hub_files.size_on_disk(part) >= size:
                return
            raise BrokenOff(url)
        except Exception as error:
            if not _may_pass(error):
                raise
            reached = hub_files.size_on_disk(part)
            fruitless = 0 if reached > farthest else fruitless + 1
            farthest = max(farthest, reached)
            if fruitless == TRIES and farthest and not isinstance(error, (BrokenOff, HfHubHTTPError)):
                raise BrokenOff(url) from error
            if fruitless == TRIES:
                raise
            over.wait(PAUSE_SECONDS)
            _raise_if(over)


def _append(url: str, part: Path, size: int, note: Callable[[int], None], over: threading.Event) -> None:
    """Ask once for what is missing of a file, and write it as it comes."""
    # Compressed, the bytes of a range would be those of another content.
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    begin = hub_files.size_on_disk(part)
    for span in ([{"Range": f"bytes={begin}-"}] if begin else []) + [{}]:
        wait = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers | span, timeout=wait) as answer:
            if answer.status_code == 416 and span:
                continue
            hf_raise_for_status(answer)
            goes_on = span and answer.headers.get("Content-Range", "").startswith(f"bytes {begin}-")
            with part.open("ab" if goes_on else "wb", buffering=0) as out:
                note(out.tell())
                for block in answer.iter_bytes():
                    _raise_if(over)
                    out.write(block)
                    note(out.tell())
                    if out.tell() > size:
                        break
        return


def _may_pass(error: Exception) -> bool:
    """Whether asking again may help: the network or the server failed, not the disk, and nobody said no."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500
    return not isinstance(error, (OSError, Refusal, Corrupted))


def _raise_if(over: threading.Event) -> None:
    if over.is_set():
        raise Stopped("Nobody waits for it any more.")


@contextmanager
def _locked(path: Path, over: threading.Event) -> Iterator[None]:
    """Hold the lock of that path, for which another process or a transfer that is being given up may be waited."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        while True:
            _raise_if(over)
            try:
                held.enter_context(WeakFileLock(path, timeout=PAUSE_SECONDS))
                break
            except TimeoutError:
                continue
        yield
