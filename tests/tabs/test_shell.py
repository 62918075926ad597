"""The frame of the page: whatever fails in a handler reaches the visitor as one sentence."""

import asyncio

import gradio as gr
import pytest
from gradio.state_holder import SessionState
from gradio_client import Client
from gradio_client.exceptions import AppError

from mmexplorer.errors import Refusal
from mmexplorer.tabs import server, shell
from mmexplorer.tabs.status import WENT_WRONG


def fail(how: str):
    raise Refusal("Not <b>that</b>.") if how == "refusal" else KeyError("a secret")


@pytest.fixture(scope="module")
def client():
    with shell.Frame(analytics_enabled=False) as page:
        how, said = gr.Textbox(), gr.Textbox()
        how.submit(fail, how, said, api_name="fail")
    server.launch(page, "127.0.0.1", None)
    yield Client(page.local_url, verbose=False)
    page.close(verbose=False)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [("refusal", "Not &lt;b&gt;that&lt;/b&gt;."), ("fault", WENT_WRONG)],
)
def test_failures_are_told_in_one_sentence(client, how, sentence):
    with pytest.raises(AppError) as caught:
        client.predict(how, api_name="/fail")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "values",
    [
        ("a", "kept", 3, [1, 2]),
        (gr.skip(), gr.skip(), gr.skip(), gr.skip()),
        ("a", gr.skip(), gr.skip(), gr.skip()),
        (gr.skip(), gr.skip(), gr.skip(), [1, 2]),
        (gr.skip(), "kept", gr.skip(), gr.skip()),
        (gr.Textbox(value="b", visible=False), gr.skip(), 3, gr.skip()),
    ],
)
def test_results_are_those_of_gradio_and_what_is_skipped_is_not_built_anew(values):
    def processed(kind):
        with kind(analytics_enabled=False) as page:
            outputs = [gr.Textbox(), gr.State("old"), gr.Number(), gr.JSON()]
            gr.Button().click(lambda: None, None, outputs)
        session = SessionState(page)
        sent = asyncio.run(page.postprocess_data(page.fns[0], list(values), session))
        built = [session.blocks_config.blocks[block._id] is not block for block in outputs]
        return sent, session[outputs[1]._id], built

    (sent, state, built), (expected, expected_state, _) = processed(shell.Frame), processed(gr.Blocks)
    assert (sent, state) == (expected, expected_state)
    skipped = [value == gr.skip() for value in values]
    assert not any(anew for anew, left_out in zip(built, skipped, strict=True) if left_out)
