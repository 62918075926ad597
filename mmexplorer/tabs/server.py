"""Serves the page: checks the address, starts Gradio without anything that leaves the machine, and ends it at once.

It does not know what is on the page.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

import gradio as gr
from gradio.tunneling import CURRENT_TUNNELS

from mmexplorer import preloading, runtime
from mmexplorer.components import shell as look
from mmexplorer.errors import Refusal
from mmexplorer.explore.experiments import ASSETS
from mmexplorer.tabs import shelf, shell
from mmexplorer.turns import MOST_OF_ALL

# Open connections and running answers get this long to finish when the app is told to end.
FAREWELL_SECONDS = 0.3
# Handlers that run at once, each in a thread: those of a full line, those of the API's endpoints, which are fewer, and
# as many again for clicks that need no device and so must not wait for those that do.
HANDLERS = 3 * MOST_OF_ALL


def launch(page: gr.Blocks, host: str, port: int | None, *, share: bool = False, inbrowser: bool = False) -> None:
    """Starts the page and comes back once it answers; OSError if the port is taken, without one if all ports are."""
    page.launch(
        server_name=f"[{host}]" if ":" in host else host,
        server_port=port,
        share=share,
        inbrowser=inbrowser,
        prevent_thread_lock=True,
        quiet=True,
        theme=look.theme(),
        css_paths=look.CSS,
        footer_links=["api"],
        run_history=False,
        max_file_size="200mb",  # a zip of pictures; single pictures are bounded by their pixels
        allowed_paths=[str(ASSETS / "images"), str(ASSETS / "collections")],  # wherever the app was started from
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        max_threads=HANDLERS,
        state_session_capacity=1_000,  # what a visitor has open takes memory until the session ends
    )


def serve(
    host: str, port: int | None, *, share: bool = False, inbrowser: bool = False, preload: Sequence[str] = ()
) -> None:
    """Serves the page until SystemExit, raised by a signal handler, and then ends the process with status 0.

    Without a port it takes the first free one from 7860. `preload` are the models that `preloading` is to load. Raises
    Refusal if the address cannot be listened on.
    """
    check_address(host, port)
    page = shell.build(local=not share and _is_loopback(host))
    try:
        if runtime.zero_gpu():
            preloading.load(preload)
        launch(page, host, port, share=share, inbrowser=inbrowser)
        print(f"mmexplorer is at {page.local_url.rstrip('/')} - Ctrl-C ends it", flush=True)
        if preload and not runtime.zero_gpu():
            preloading.load_in_background(preload)
        while True:
            time.sleep(3600)
    except OSError as error:  # somebody else was quicker, or every port is taken
        raise Refusal(f"The page cannot be served at {host}: {error}") from None
    except SystemExit:
        _close(page)


def check_address(host: str, port: int | None = None) -> None:
    """Refusal unless it is possible to listen at that host, and at that port if one is given."""
    try:
        family, _, _, _, (address, *_) = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise Refusal(f"There is no host {host[:60]!r}; use 127.0.0.1, or 0.0.0.0 to let other machines in.") from None
    with socket.socket(family) as probe:
        if os.name == "posix":  # elsewhere the option would let two programs share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port or 0))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Refusal(f"Port {port} is taken; choose another, or leave --port out to get a free one.") from None
            where = f"{host}, port {port}" if port else host
            raise Refusal(f"It is not possible to listen at {where}: {error.strerror}.") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
    except (OSError, ValueError):
        return host == "::1"


def _close(page: gr.Blocks) -> None:
    """Ends the server and the process, which a job in a thread would otherwise keep alive until it is done."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: os._exit(0))  # asked again, it does not wait
    with contextlib.suppress(Exception):
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it complains about every connection it ends
        if page.server is not None:
            page.server.config.timeout_graceful_shutdown = FAREWELL_SECONDS
        page.close(verbose=False)  # also deletes what visitors uploaded
        shelf.clear()
        for tunnel in CURRENT_TUNNELS:
            tunnel.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
