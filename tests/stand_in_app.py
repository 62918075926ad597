"""The app, for tests that start it as a process; with --stand-in it has one small tab instead of its own.

For every line on stdin it tells, in a line of JSON, what it imported, where it connected and whether the Hub is off.
"""

import json
import sys
import threading
import time
import types

connected: list[str] = []


def listen(event: str, arguments: tuple) -> None:
    if event == "socket.connect":
        connected.append(repr(arguments[1]))
    elif event == "socket.getaddrinfo":
        connected.append(repr(arguments[0]))


def answer() -> None:
    for _ in sys.stdin:
        constants = sys.modules["huggingface_hub.constants"]
        told = {"modules": sorted(sys.modules), "connected": connected, "hub_is_offline": constants.HF_HUB_OFFLINE}
        print(json.dumps(told), flush=True)


def build(page) -> None:
    import gradio as gr

    from mmexplorer.tabs.shelf import Shelved

    text, answer = gr.Textbox(label="Words"), gr.Textbox(label="Answer")

    def work(words: str) -> str:
        kept = Shelved("what the visitor made")
        print("working", flush=True)
        time.sleep(60)
        return words + kept.value

    gr.Button("Work").click(work, text, answer, api_visibility="private")


sys.addaudithook(listen)
threading.Thread(target=answer, daemon=True).start()
if "--stand-in" in sys.argv:
    sys.argv.remove("--stand-in")
    sys.modules["stand_in_tab"] = types.ModuleType("stand_in_tab")
    sys.modules["stand_in_tab"].build = build
    from mmexplorer import tabs

    tabs.TABS.clear()
    tabs.TABS["stand-in"] = ("Stand-in", "stand_in_tab")

import app  # noqa: E402

app.main()
