"""How many bytes the embedding tab brings to a browser, and how many the map's payload has.

Bytes are those on the wire, as Chromium counts them, from an empty cache until nothing more comes. plotly.js, which
browsers keep, is told apart.
"""

import time
from collections.abc import Iterator

import numpy as np

from bench.chromium import blank_page
from bench.report import Row, size
from bench.served import served

POINTS = 10_000
QUIET_SECONDS, PATIENCE_SECONDS = 3, 90


def measure() -> Iterator[Row]:
    """Rows for the page with either tab in front, and for the payload of POINTS points."""
    with served() as (address, _):
        yield _page_row("page with the zero-shot tab in front", address)
        yield _page_row("page with the embedding tab in front", f"{address}/?tab=embedding-space")
    yield from _payload_rows()


def _page_row(measured: str, address: str) -> Row:
    received = _received(address)
    plotly = sum(count for url, count in received.items() if "plotly" in url)
    ours = sum(received.values()) - plotly
    found = f"{size(ours)}, and plotly.js {size(plotly)}" if plotly else f"{size(ours)}, no plotly.js"
    return Row(measured, found, f"1 load, {len(received)} requests")


def _received(address: str) -> dict[str, int]:
    """Bytes by address, headers included; those of streams that stay open are counted as they come."""
    urls: dict[str, str] = {}
    counts: dict[str, int] = {}
    with blank_page() as page:
        network = page.context.new_cdp_session(page)
        network.on(
            "Network.requestWillBeSent", lambda event: urls.update({event["requestId"]: event["request"]["url"]})
        )

        def add(event: dict) -> None:
            counts[event["requestId"]] = counts.get(event["requestId"], 0) + event["encodedDataLength"]

        network.on("Network.dataReceived", add)
        network.on("Network.loadingFinished", lambda event: counts.update({event["requestId"]: 0}) or add(event))
        network.send("Network.enable")
        page.goto(address)
        started = changed = time.monotonic()
        before = 0
        while time.monotonic() - changed < QUIET_SECONDS and time.monotonic() - started < PATIENCE_SECONDS:
            page.wait_for_timeout(200)
            if sum(counts.values()) > before:
                before, changed = sum(counts.values()), time.monotonic()
    received: dict[str, int] = {}
    for request, count in counts.items():
        url = urls.get(request, "")
        if url.startswith("http"):
            received[url] = received.get(url, 0) + count
    return received


def _payload_rows() -> Iterator[Row]:
    """Rows for pictures of the toy world with captions and annotations, and for pictures with nothing but names."""
    from mmexplorer.training.toy_collection import KINDS, listing, scenes

    total = sum(KINDS.values())
    table = listing(scenes({kind: round(count * POINTS / 2 / total) for kind, count in KINDS.items()})).table
    columns = {name: table[name].to_pylist() for name in table.column_names}
    names, captions = columns.pop("name"), columns.pop("caption")
    kinds = f"{len(table):,} pictures with captions and {len(columns)} columns"
    yield _payload_row(kinds, names, captions, columns)
    yield _payload_row(f"{POINTS:,} pictures with names", [f"picture-{i:05}.jpg" for i in range(POINTS)], None, {})


def _payload_row(kinds: str, names: list[str], captions: list[str] | None, columns: dict[str, list]) -> Row:
    from plotly import graph_objects

    from mmexplorer.figures.embedding_map import map_payload
    from mmexplorer.results import Projection

    rows = range(len(names)) if captions else range(0)
    points = [*range(len(names)), *rows]
    random = np.random.default_rng(0)
    middles = random.normal(scale=8, size=(40, 2))
    coordinates = (middles[random.integers(40, size=len(points))] + random.normal(size=(len(points), 2))).astype("f4")
    ours = len(map_payload(Projection(coordinates, "umap", 0), names, captions, rows, columns))
    known = [names, *([captions] if captions else []), *columns.values()]
    told = [[values[row] for values in known] for row in points]
    scatter = graph_objects.Scattergl(x=coordinates[:, 0], y=coordinates[:, 1], mode="markers", customdata=told)
    theirs = len(graph_objects.Figure(scatter, layout={"template": None}).to_json().encode())
    return Row(
        f"map's payload, {kinds}",
        size(ours),
        "1",
        f"go.Scattergl with the same customdata: {size(theirs)}",
        f"{ours / theirs:.2f}",
    )
