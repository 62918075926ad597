"""The memory panel: what it says, and who may unload what; everything is checked where the models are."""

import json
from types import SimpleNamespace

import gradio as gr
import pytest

from mmexplorer import residency
from mmexplorer.errors import Refusal
from mmexplorer.presets import preset
from mmexplorer.residency_status import Loaded, Memory
from mmexplorer.tabs import memory_panel
from mmexplorer.tabs.memory_panel import GONE, NOT_YOURS, payload

CLIP, LLAVA = Loaded("toy-clip", 4_000_000, False, 130.0), Loaded("toy-llava", 16_000_000, True)
HERE = SimpleNamespace(client=SimpleNamespace(host="127.0.0.1"), headers={})
ELSEWHERE = SimpleNamespace(client=SimpleNamespace(host="192.168.1.7"), headers={})


def shown(*models, device="CPU", budget=100_000_000, may_unload=True):
    memory = Memory(device, 3_000_000_000, 8_000_000_000, budget, models) if device else Memory()
    return json.loads(payload(memory, may_unload=may_unload))


class Models:
    """A residency of models that are only names."""

    def __init__(self, *models):
        self.models = list(models)

    def loaded(self):
        return self.models

    def memory(self):
        return Memory("CPU", 3 * 10**9, 8 * 10**9, 10**8, tuple(self.models))

    def evict(self, key=None):
        if any(model.key == key and model.in_use for model in self.models):
            raise Refusal("It is in use.")
        gone = [model.key for model in self.models if not model.in_use and key in (None, model.key)]
        self.models = [model for model in self.models if model.key not in gone]
        return gone


@pytest.fixture
def models(monkeypatch):
    """Three models, of which one is in use."""
    three = Models(CLIP, LLAVA, Loaded("toy-diffusion", 30_000_000, False))
    for name in ("loaded", "memory", "evict"):
        monkeypatch.setattr(residency, name, getattr(three, name))
    return three


@pytest.fixture
def panel():
    """A function that builds the panel of a page and gives its listeners by their events' names."""

    def build(local):
        with gr.Blocks() as page:
            _, refresh = memory_panel.build(local)
        listeners = {fn.targets[0][1]: fn.fn for fn in page.fns.values()}
        return SimpleNamespace(refresh=refresh, **listeners)

    return build


def key(value):
    return SimpleNamespace(key=value)


def keys(value):
    return [model["key"] for model in json.loads(value)["models"]]


def answer(update):
    """The keys that a listener leaves, and what it says."""
    values = update.constructor_args
    return keys(values["value"]), values["said"]


# What it says --------------------------------------------------------------------------------------------------------


def test_before_the_first_model_nothing_is_said_of_the_device():
    panel = shown(device=None)
    assert panel["line"] == "No model in memory yet"
    assert (panel["facts"], panel["models"]) == ([], [])
    assert panel["none"] == "A model is loaded when it is first used."


def test_after_the_last_one_left_the_device_stays_known():
    panel = shown()
    assert panel["line"] == "No model in memory yet"
    assert panel["facts"] == [["Device", "CPU"], ["Free memory", "3.0 GB of 8.0 GB"], ["For models", "100 MB"]]


def test_the_line_names_one_model_and_counts_more():
    assert shown(CLIP)["line"] == "toy-clip in memory, 4 MB of 100 MB"
    assert shown(CLIP, LLAVA)["line"] == "2 models in memory, 20 MB of 100 MB"


def test_each_model_has_a_row_with_its_share_of_the_budget_and_the_one_used_last_is_first():
    rows = shown(CLIP, LLAVA)["models"]
    assert rows[0] == {
        "key": "toy-llava",
        "label": preset("toy-llava").label,
        "size": "16 MB, 16%",
        "share": 0.16,
        "used": "In use",
        "in_use": True,
    }
    assert (rows[1]["size"], rows[1]["used"], rows[1]["in_use"]) == ("4 MB, 4%", "Last used 2 min ago", False)


@pytest.mark.parametrize(
    ("idle", "said"), [(0, "just now"), (59.9, "just now"), (60, "1 min ago"), (3599, "59 min ago"), (7300, "2 h ago")]
)
def test_ages_are_coarse(idle, said):
    assert shown(Loaded("toy-clip", 1, False, idle))["models"][0]["used"] == f"Last used {said}"


def test_a_model_larger_than_the_budget_fills_its_bar_and_a_tiny_one_has_a_share_too():
    rows = shown(Loaded("toy-clip", 1, False), Loaded("toy-llava", 300, False), budget=200)["models"]
    assert [(row["share"], row["size"]) for row in rows] == [(1.0, "0 kB, 150%"), (0.005, "0 kB, under 1%")]


def test_zero_gpu_has_no_figures_and_nothing_to_unload():
    panel = json.loads(payload(Memory("ZeroGPU", models=(CLIP,)), may_unload=True))
    assert panel["facts"] == [["Device", "ZeroGPU"]] and not panel["may_unload"]
    assert panel["line"] == "toy-clip in memory, 4 MB" and panel["models"][0]["size"] == "4 MB"


def test_a_public_page_offers_no_buttons_and_says_why():
    assert not shown(CLIP, may_unload=False)["may_unload"] and NOT_YOURS in shown(CLIP, may_unload=False)["note"]
    assert NOT_YOURS not in shown(CLIP)["note"]


# What it does --------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_while_nothing_has_changed(models, panel):
    tick, refresh = panel(True).tick, panel(True).refresh
    first = refresh()
    assert tick(first) == gr.skip()
    assert tick(None) == first
    models.models.pop()
    assert keys(tick(first)) == ["toy-llava", "toy-clip"]


def test_a_model_is_unloaded_at_the_machine_itself(models, panel):
    assert answer(panel(True).evict(key("toy-clip"), HERE)) == (["toy-diffusion", "toy-llava"], "")


@pytest.mark.parametrize("value", ["toy-clip-hard", "no such", "", None, 3, ["toy-clip"], {"a": 1}])
def test_what_is_not_loaded_cannot_be_unloaded(models, panel, value):
    left, said = answer(panel(True).evict(key(value), HERE))
    assert len(left) == 3 and said == GONE


def test_an_event_without_data_unloads_nothing(models, panel):
    left, said = answer(panel(True).evict(SimpleNamespace(), HERE))
    assert len(left) == 3 and said == GONE


def test_what_is_in_use_stays_and_that_is_said(models, panel):
    left, said = answer(panel(True).evict(key("toy-llava"), HERE))
    assert len(left) == 3 and said == "It is in use."


def test_unload_all_leaves_what_is_in_use_and_says_so(models, panel):
    sentence = f"{preset('toy-llava').label} is in use, so not everything was unloaded."
    assert answer(panel(True).evict_all(HERE)) == (["toy-llava"], sentence)
    models.models.clear()
    assert answer(panel(True).evict_all(HERE)) == ([], "")


@pytest.mark.parametrize(("local", "visitor"), [(False, HERE), (True, ELSEWHERE), (False, ELSEWHERE)])
def test_strangers_unload_nothing_whatever_they_send(models, panel, local, visitor):
    for update in (panel(local).evict(key("toy-clip"), visitor), panel(local).evict_all(visitor)):
        left, said = answer(update)
        assert len(left) == 3 and said == NOT_YOURS
