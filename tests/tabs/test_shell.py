"""The frame of the page: whatever fails in a handler reaches the visitor as one sentence."""

import gradio as gr
import pytest
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
