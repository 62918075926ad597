"""Events that no page of ours sends are refused in a sentence."""

import gradio as gr
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.tabs.event_numbers import number_of


@pytest.mark.parametrize("data", [None, {}, {"index": None}, {"index": "1"}, {"index": 1.0}, {"index": True},
                                  {"index": [1]}, {"index": -1}, {"index": 3}, {"index": 10**30}])  # fmt: skip
def test_what_is_no_number_of_the_page(data):
    with pytest.raises(Refusal, match="not on the page any more"):
        number_of(gr.EventData(None, data), "index", 3)


def test_the_numbers_of_the_page():
    assert [number_of(gr.EventData(None, {"index": index}), "index", 3) for index in range(3)] == [0, 1, 2]
