"""The status line of a job that waits: for a model, or for others who come first."""

import pytest

from mmexplorer import residency
from mmexplorer.presets import preset
from mmexplorer.residency_status import Status
from mmexplorer.tabs.status import loading, message

READY = Status("ready", "ready, 4 MB")


@pytest.fixture
def stand(monkeypatch):
    """A function that says where each model stands."""

    def stands(**status):
        monkeypatch.setattr(residency, "status", lambda key: status.get(key.replace("-", "_"), READY))

    return stands


def test_the_first_model_that_is_not_ready_is_named(stand):
    stand(toy_llava=Status("loading", "loading onto cpu", ahead=3, wait=5.0))
    models = [preset("toy-clip"), preset("toy-llava")]
    assert loading(models) == f"{models[1].label}: loading onto cpu"


@pytest.mark.parametrize(
    ("ahead", "wait", "said"),
    [
        (0, 12.0, "Computing."),
        (1, None, "Computing; another visitor goes first."),
        (1, 0.4, "Computing; another visitor goes first."),
        (2, 3.6, "Computing; 2 others go first, about 4 s."),
        (2, 12.4, "Computing; 2 others go first, about 10 s."),
        (12, 200.0, "Computing; 12 others go first, about 3 min."),
    ],
)
def test_the_place_in_line_and_the_wait_are_told(stand, ahead, wait, said):
    stand(toy_clip=Status("ready", "ready", ahead=ahead, wait=wait))
    assert loading([preset("toy-clip")]) == said


def test_an_address_at_the_hub_is_a_link_and_what_was_typed_is_text():
    line = message("Accept its terms at https://huggingface.co/some-one/tiny.clip_2, and <b>come</b> again.")
    address = "https://huggingface.co/some-one/tiny.clip_2"
    assert f'at <a href="{address}" target="_blank" rel="noopener">{address}</a>, and &lt;b&gt;' in line
    assert "<a " not in message("'https://example.org/x' is no name; https://huggingface.co.example.org/x neither")
