"""Starts mmexplorer: reads the flags, sets what libraries read from the environment on import, and serves the page."""

import argparse
import os
import signal


def given(*names: str) -> str | None:
    """The first of these environment variables that is set."""
    return next((os.environ[name].strip() for name in names if os.environ.get(name, "").strip()), None)


def switched(*names: str) -> bool:
    """Whether one of these environment variables says yes."""
    return any((given(name) or "").lower() in {"1", "true", "yes", "on"} for name in names)


def port(text: str) -> int:
    """A port number; argparse tells the visitor what is wrong with another text."""
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a port; ports are numbers from 1 to 65535")
    return int(text)


def arguments() -> argparse.ArgumentParser:
    """The flags, with the environment's values as defaults."""
    on_space = os.environ.get("SYSTEM") == "spaces"
    everywhere, first = ("0.0.0.0", "7860") if on_space else ("127.0.0.1", None)
    parser = argparse.ArgumentParser(
        description="See inside multimodal models, in the browser.",
        epilog="Each flag has an environment variable: MMEXPLORER_PORT=8000, MMEXPLORER_OFFLINE=1, ...",
        allow_abbrev=False,
    )
    host = given("MMEXPLORER_HOST", "GRADIO_SERVER_NAME") or everywhere
    parser.add_argument("--host", default=host, help="address to listen on; 0.0.0.0 is all (default: %(default)s)")
    number = given("MMEXPLORER_PORT", "GRADIO_SERVER_PORT") or first
    parser.add_argument("--port", type=port, default=number, help="port (default: the first free one from 7860)")
    share = switched("MMEXPLORER_SHARE")
    parser.add_argument("--share", action="store_true", default=share, help="add a public link by Gradio's servers")
    offline = switched("MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE")
    parser.add_argument("--offline", action="store_true", default=offline, help="use only models that are on this disk")
    budget = given("MMEXPLORER_MEMORY_BUDGET")
    parser.add_argument("--memory-budget", metavar="SIZE", default=budget, help="memory for models, such as 6GB")
    preload = given("MMEXPLORER_PRELOAD")
    parser.add_argument(
        "--preload", metavar="KEYS", default=preload, help="models to load at start, such as toy-clip,toy-llava"
    )
    show = switched("MMEXPLORER_OPEN")
    parser.add_argument("--open", action="store_true", default=show, help="open the page in the browser")
    return parser


def end(*_) -> None:
    """Ends the program wherever it is; the server cleans up on the way."""
    raise SystemExit(0)


def main() -> None:
    """Runs until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    parser = arguments()
    options = parser.parse_args()
    if options.offline and options.share:
        parser.error("--share needs the network, which --offline forbids.")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # so that cuda:1 is the card that nvidia-smi calls 1
    if options.offline:
        os.environ |= {"MMEXPLORER_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    if options.memory_budget:
        os.environ["MMEXPLORER_MEMORY_BUDGET"] = options.memory_budget
    # Gradio parses these on import and would stumble over what a flag overrules.
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        os.environ.pop(name, None)
    # Gradio asks its own server whether it is up, which no proxy may answer.
    own = ",".join(filter(None, (given("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1", options.host)))
    os.environ |= {"NO_PROXY": own, "no_proxy": own}

    from mmexplorer import preloading, runtime
    from mmexplorer.errors import Refusal

    runtime.share_heaps()
    try:
        runtime.memory_budget()
    except Refusal as refusal:
        parser.error(f"argument --memory-budget: {refusal}")
    try:
        preload = preloading.named(options.preload)
    except Refusal as refusal:
        parser.error(f"argument --preload: {refusal}")

    from mmexplorer.tabs import server

    try:
        server.serve(options.host, options.port, share=options.share, inbrowser=options.open, preload=preload)
    except Refusal as refusal:
        raise SystemExit(f"mmexplorer: {refusal}") from None


if __name__ == "__main__":
    main()
