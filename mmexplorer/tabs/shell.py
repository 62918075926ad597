"""The frame of the page: title, memory line, help and the tabs in it, and what a tab gets to know of all that.

It does not know what a tab does or which models there are.
"""

import html
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from importlib import import_module
from uuid import uuid4

import gradio as gr

from mmexplorer.components.shell import help_fold, title
from mmexplorer.errors import Refusal
from mmexplorer.pictures import MAX_PIXELS
from mmexplorer.tabs import TABS, memory_panel
from mmexplorer.tabs.sessions import forget_gone
from mmexplorer.tabs.status import WENT_WRONG
from mmexplorer.turns import MOST_OF_ALL, Caller, caller

UNREADABLE = (
    "What was sent could not be read; a picture must be a whole PNG, JPEG, WebP, GIF, BMP or TIFF file of at most "
    f"{MAX_PIXELS:,} pixels."
)
# Handlers wait in the line for the device, where they know their place, and not in Gradio's queue: so there are more of
# them, of each listener, than the line takes, and those that it refuses say so at once.
HANDLERS_AT_ONCE = MOST_OF_ALL + 16
QUEUE_SIZE = 256


@dataclass(frozen=True)
class Page:
    """What a tab may use of the page around it.

    `status` shows the memory, and refresh() is its value at present. `tabs` are the tabs themselves. A tab that takes
    pictures from others puts into `pictures_go_to`, under its key, the components to fill and a function that makes
    their values of a list of picture files. With `local` the page is served to this machine only, so that visitors may
    name files of its disk.
    """

    status: gr.HTML
    refresh: Callable[[], str]
    tabs: gr.Tabs
    local: bool = False
    pictures_go_to: dict[str, tuple[list, Callable[[list[str]], tuple]]] = field(default_factory=dict)


class Frame(gr.Blocks):
    """gr.Blocks that tells the visitor in one sentence about refusals, undecodable input and whatever else fails."""

    async def process_api(self, block_fn, *args, session_hash=None, event_id=None, **kwargs):
        """Every call of a handler, from the page and from the API."""
        # Endpoints of the API are bounded by their concurrency limits; a script may well ask for much at once.
        fn = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        of_page = session_hash and fn.api_visibility != "public"
        caller.set(Caller(session_hash, event_id or uuid4().hex) if of_page else None)
        try:
            return await super().process_api(fn, *args, session_hash=session_hash, event_id=event_id, **kwargs)
        except Refusal as refusal:
            raise gr.Error(html.escape(str(refusal), quote=False), print_exception=False) from refusal
        except gr.Error:
            raise
        except Exception as error:  # its traceback goes to the log
            raise gr.Error(WENT_WRONG) from error

    async def preprocess_data(self, *args, **kwargs):
        """What a visitor sent, as a handler's arguments; whatever fails here is due to what was sent."""
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise Refusal(UNREADABLE) from error

    async def postprocess_data(self, block_fn, predictions, state):
        """A handler's results as they are sent.

        Gradio builds the component of every output anew, also of those that are skipped, on the event loop; a status
        line that is told to many who wait would take a good part of a processor. Here what is skipped costs nothing.
        """
        outputs, skip = block_fn.outputs, gr.skip()
        if not isinstance(predictions, list | tuple) or len(predictions) != len(outputs) or block_fn.batch:
            return await super().postprocess_data(block_fn, predictions, state)
        skipped = [isinstance(value, dict) and value == skip for value in predictions]
        part = copy(block_fn)
        part.outputs = [block for block, left_out in zip(outputs, skipped, strict=True) if not left_out]
        values = [value for value, left_out in zip(predictions, skipped, strict=True) if not left_out]
        # Gradio takes the value of an only output as it is.
        told = await super().postprocess_data(part, values if len(values) != 1 else values[0], state) if values else []
        sent = iter(told)
        return [
            (None if block.stateful else skip) if left_out else next(sent)
            for block, left_out in zip(outputs, skipped, strict=True)
        ]


def build(*, local: bool = False) -> Frame:
    """The whole page, ready to launch; `local` as in `Page`."""
    with Frame(title="mmexplorer", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as frame:
        with gr.Row(elem_id="mm-head"):
            title()
            status, memory = memory_panel.build(local)
            help_fold()
        with gr.Tabs(elem_id="mm-tabs") as tabs:
            page = Page(status, memory, tabs, local)
            for key, (label, module) in TABS.items():
                with gr.Tab(label, id=key, elem_id=f"mm-tab-{key}"):
                    import_module(module).build(page)

        def arrive(request: gr.Request) -> tuple:
            forget_gone(frame.app.state_holder)
            return _tab_of(request), memory()

        async def leave(request: gr.Request) -> None:
            # Gradio does this too, when the stream of a visitor's updates breaks, but not if it was just being written.
            await frame._queue.clean_events(session_hash=request.session_hash)

        frame.load(arrive, None, [tabs, status], queue=False, show_progress="hidden", api_visibility="private")
        frame.unload(leave)
    return frame.queue(max_size=QUEUE_SIZE, default_concurrency_limit=HANDLERS_AT_ONCE)


def _tab_of(request: gr.Request):
    """The tab that ?tab= in the address names."""
    tab = request.query_params.get("tab")
    return gr.Tabs(selected=tab) if tab in TABS else gr.skip()
