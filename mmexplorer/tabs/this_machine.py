"""Whether a visitor sits at the machine that serves the page."""

import gradio as gr


def from_this_machine(request: gr.Request) -> bool:
    """Whether a visitor sits at the machine that serves the page, and not behind a proxy on it."""
    passed_on = any(name.lower().startswith("x-forwarded") or name.lower() == "forwarded" for name in request.headers)
    return not passed_on and request.client is not None and request.client.host in ("127.0.0.1", "::1")
