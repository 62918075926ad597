"""Lists the pictures of a data set of the Hugging Face Hub, and keeps them as files in a folder of the cache.

What was listed once is not fetched again. How rows are streamed is the business of `dataset_rows`.
"""

import errno
import json
import os
import re
import shutil
import socket
import threading
from dataclasses import asdict
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mmexplorer import runtime
from mmexplorer.errors import Refusal
from mmexplorer.explore.dataset_rows import DatasetRows, open_rows
from mmexplorer.explore.embedding_cache import cache_folder
from mmexplorer.explore.picture_listing import Listing, Skipped, left_out, listed, table_of
from mmexplorer.explore.picture_locations import MAX_BYTES
from mmexplorer.hub import ANSWER_SECONDS, Stopped

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DATASET_BYTES = 8_000_000_000  # kept of one split
DISK_RESERVE = 1_000_000_000
OPEN, CLOSED = "datasets", "datasets-closed"  # folders of the cache: of data sets that everybody may see, and others


def list_dataset(source: str, *, local: bool, stop: threading.Event, limit: int) -> Listing:
    """The first `limit` rows of "owner/name" or "owner/name:split", their pictures kept in the cache folder.

    With `local` a data set may be one that only the owner of the token saved on this machine may see. Raises Refusal
    for a data set that cannot be found, reached or shown, Stopped once `stop` is set.
    """
    match = re.fullmatch(r"(\w[\w.-]*/\w[\w.-]*)(?::(\w[\w.-]*))?", source.strip(), re.ASCII)
    if match is None:
        raise Refusal(f"{source[:60]!r} is no data set; write its name as owner/name or owner/name:split.")
    repository, split = match[1], match[2] or ""
    folder, tail = repository.replace("/", "--"), f"{split or 'any split'}/first-{limit}.json"
    if runtime.offline():
        kinds = (OPEN, CLOSED) if local else (OPEN,)
        listings = [file for kind in kinds for file in (cache_folder() / kind / folder).glob(f"*/{tail}")]
        listings.sort(key=os.path.getmtime, reverse=True)
        if opened := next(filter(None, map(_opened, listings)), None):
            return opened
        raise Refusal(f"{repository} is not on this disk and the app is offline; upload pictures instead.")
    token = None if local and not runtime.on_space() else False  # None is the saved one, if any; False is none
    path, revision, closed = _resolve(repository, token)
    listing = cache_folder() / (CLOSED if closed else OPEN) / folder / revision / tail
    if opened := _opened(listing):
        return opened
    try:
        rows = open_rows(path, repository=repository, revision=revision, split=split, token=token)
        return _keep(rows, listing, limit, stop)
    except Refusal:
        raise
    except Exception as error:  # whatever a format, a codec, the network or the disk fails with
        raise _refusal(repository, split, error) from error


def _resolve(repository: str, token: bool | None) -> tuple[str, str, bool]:
    """What `datasets` is to load, the present revision, and whether not everybody may see it.

    One request, for `datasets` asks a silent Hub for 30 seconds.
    """
    from huggingface_hub import HfApi

    try:
        answer = HfApi(token=token).dataset_info(repository, timeout=ANSWER_SECONDS)
    except Exception as error:  # HfHubHTTPError, httpx errors, OSError, ValueError
        raise _refusal(repository, "", error) from error
    # Without the prefix a folder of that name would be opened.
    return f"hf://datasets/{repository}", answer.sha, bool(answer.private or answer.gated)


def _keep(rows: DatasetRows, listing: Path, limit: int, stop: threading.Event) -> Listing:
    """Writes the pictures, then the table, and at last the listing, whose presence says that all of it is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = listing.parent / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    names, files, skipped, size = [], [], [], 0
    columns = {column: [] for column in rows.schema.names}
    remarks = []
    for row, (name, data, values) in enumerate(rows):
        if stop.is_set():
            raise Stopped(f"Fetching {rows.repository} was stopped.")
        if row == limit or size > MAX_DATASET_BYTES:
            remarks.append(f"Only the first {row:,}{f' of {rows.total:,}' if rows.total else ''} rows are listed.")
            break
        name = name or f"row {row + 1}"
        if data is None or len(data) > MAX_BYTES:
            reason = "holds no picture" if data is None else f"has more than {MAX_BYTES // 1_000_000} MB"
            skipped.append(Skipped(name, reason))
            continue
        files.append(_write(pictures / f"{row:06d}{PurePosixPath(name).suffix.lower()}", data))
        names.append(name)
        size += len(data)
        for column, cells in columns.items():
            cells.append(values[column])
    if not files:
        raise Refusal(f"The split {rows.split} of {rows.repository} holds no pictures.")
    arrays = [pa.array(cells, rows.schema.field(column).type) for column, cells in columns.items()]
    table, cut = table_of(names, pa.table(arrays, rows.schema) if arrays else pa.table({}))
    remarks += [*cut, *left_out(rows.others)]
    if others := [name for name in rows.splits if name != rows.split]:
        remarks.append(f"This is the split {rows.split}; {rows.repository} also has {listed(others)}.")
    file = BytesIO()
    pq.write_table(table, file)
    _write(listing.with_suffix(".parquet"), file.getvalue())
    kept = {"name": rows.repository, "files": files, "skipped": [asdict(one) for one in skipped], "remarks": remarks}
    _write(listing, json.dumps(kept).encode())
    return _listing(listing, kept, table)


def _write(path: Path, data: bytes) -> str:
    """Writes a file whole or not at all, and leaves DISK_RESERVE free; its name."""
    if not path.is_file() or path.stat().st_size != len(data):
        if shutil.disk_usage(path.parent).free < DISK_RESERVE + len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        draft.write_bytes(data)
        os.replace(draft, path)
    return path.name


def _opened(listing: Path) -> Listing | None:
    """The listing that was kept; None where there is none or it is damaged, and the rows are to be fetched."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _listing(
            listing, json.loads(listing.read_text(encoding="utf-8")), pq.read_table(listing.with_suffix(".parquet"))
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _listing(listing: Path, kept: dict, table: "pa.Table") -> Listing:
    locations = tuple(f"file:{listing.parent.absolute() / 'pictures' / file}" for file in kept["files"])
    skipped = tuple(Skipped(**one) for one in kept["skipped"])
    return Listing(kept["name"], locations, table, skipped, tuple(kept["remarks"]))


def _refusal(repository: str, split: str, error: Exception) -> Refusal:
    """The sentence for a fault of the Hub, the network, the disk or the data set, found along the chain of causes."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for fault in chain:
        status = fault.response.status_code if isinstance(fault, HfHubHTTPError) else 0
        if isinstance(fault, GatedRepoError):
            page = f"{constants.ENDPOINT}/datasets/{repository}"
            return Refusal(f"{repository} is gated: accept its terms at {page}, and sign in with `hf auth login`.")
        if status in (401, 404):
            return Refusal(f"{repository} was not found on the Hub; it may be misspelt, private or removed.")
        if status:
            return Refusal(f"The Hub answered with error {status} when asked for {repository}; try again later.")
        if isinstance(fault, OSError) and fault.errno == errno.ENOSPC:
            return Refusal(f"There is no room on the disk to keep the pictures of {repository}.")
        if split and "split" in str(fault).lower():
            return Refusal(f"{repository} has no split {split}; leave it out to take the first.")
        # The HTTP library's own errors are known by name, since huggingface_hub may be built on httpx or httpx2.
        transport = any(kind.__name__ == "TransportError" for kind in type(fault).__mro__)
        if transport or isinstance(fault, ConnectionError | TimeoutError | socket.gaierror):
            return Refusal(f"The Hub could not be reached for {repository}; check the network and try again.")
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return Refusal(f"{repository} cannot be read as a data set of pictures ({reason}).")
