"""Every tab's question to a real model's key: absent, downloaded, answered, and every fault on the way survived.

The Hub is a stand-in that serves the toy models under the ids of real ones, so the answer must be the toy's own.
"""

import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

import mmexplorer
from mmexplorer import hub, presets, residency
from mmexplorer.errors import Refusal
from mmexplorer.explore.experiments import ASSETS

_spec = importlib.util.spec_from_file_location("hub_toys", Path(__file__).with_name("hub_toys.py"))
toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toys)
toy_hub = toys.toy_hub

PICTURES = [ASSETS / "images" / "zero_shot" / f"{name}.png" for name in ("purple-circle", "dark-trio")]
PAIR = ASSETS / "images" / "chat" / "red-circle-blue-square.png"
LABELS = ["a purple circle", "a pink star", "an orange ring"]
CLIP, SIGLIP, LLAVA, NEXT, DIFFUSION = toys.TOYS


def classified(model):
    answer = mmexplorer.classify(PICTURES, LABELS, model=model)
    return answer.cosines, answer.probabilities


def grounded(model):
    answer = mmexplorer.ground_labels(PICTURES[0], LABELS, model=model)
    return answer.maps, answer.image_share


def embedded(model):
    collection = mmexplorer.Collection.open([*PICTURES, PAIR], model=model)
    return collection.images, collection.search("a purple circle", k=3).cosines


def answered(model):
    reply = mmexplorer.answer(PAIR, "what is left of the blue square?", model=model, max_new_tokens=12)
    return np.array([token.id for token in reply.tokens]), reply.grounding.maps


def drawn(model):
    *_, last = mmexplorer.draw(
        "a red circle", model=model, steps=2, guidance=3.0, seed=3
    )  # guidance: each has its own default
    return np.asarray(last.drawing.image), last.drawing.grounding.maps


JOURNEYS = [
    (classified, CLIP),
    (classified, SIGLIP),
    (grounded, CLIP),
    (embedded, CLIP),
    (answered, LLAVA),
    (answered, NEXT),
    (drawn, DIFFUSION),
]


def refused(ask, key) -> str:
    with pytest.raises(Refusal) as caught:
        ask(key)
    return str(caught.value)


def assert_answers_as_the_toy(ask, key):
    for got, expected in zip(ask(key), ask(toys.TOYS[key]), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(("ask", "key"), JOURNEYS)
def test_absent_downloaded_answered_and_never_asked_for_again(toy_hub, ask, key):
    assert residency.status(key).stage == "absent"
    assert_answers_as_the_toy(ask, key)
    assert residency.status(key).stage == "ready"
    fetched = {name for name, _ in toy_hub.downloads()}
    assert any(name.endswith(".safetensors") for name in fetched)
    assert not fetched & (set(toys.UNWANTED) | {"report.json", "training.json", "curve.svg"})
    toy_hub.asked.clear()
    residency.evict()
    assert residency.status(key).stage == "found"
    ask(key)
    assert toy_hub.asked == []


@pytest.mark.parametrize(("ask", "key"), [(classified, CLIP), (answered, LLAVA), (drawn, DIFFUSION)])
def test_a_machine_without_network_answers_with_what_it_has(toy_hub, monkeypatch, ask, key):
    ask(key)
    residency.evict()
    toys.stand_in.connect(monkeypatch, "http://127.0.0.1:9", Path(constants.HF_HUB_CACHE).parent / "hub")
    assert_answers_as_the_toy(ask, key)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    residency.evict()
    assert_answers_as_the_toy(ask, key)
    assert "is not on this disk and the app is offline" in refused(classified, SIGLIP)


FAULTS = {
    "401": ({"error": (401, "RepoNotFound")}, "was not found on the Hub"),
    "401 gated": ({"gate": "hf_token"}, "is gated: accept its terms at"),
    "403": ({"file_error": (403, "")}, "does not let this app read"),
    "404": ({"error": (404, "RevisionNotFound")}, "no longer published at the revision"),
    "404 file": ({"store_error": (404, "EntryNotFound")}, "is no longer on the Hub"),
    "429": ({"error": (429, "", {"Retry-After": "7"})}, "try again in 7 s"),
    "500": ({"store_error": (500,)}, "answered with error 500"),
    "corrupted": ({"corrupt": True}, "is not what the Hub announced"),
    "dropped": ({"drop_after": 100_000}, "broke off"),
    "silent": ({"silent_after": 100_000}, "fell silent"),
    "vanished": ({"vanish_after": 100_000}, "is no longer on the Hub"),
    "short": ({"cut": 1000}, "broke off"),
    "no hub": ({"page": b"<html>"}, "is not the Hub"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_its_sentence_and_the_next_try_works(toy_hub, monkeypatch, fault):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    switches, words = FAULTS[fault]
    for name, value in switches.items():
        setattr(toy_hub, name, value)
    assert words in refused(classified, CLIP)
    status = residency.status(CLIP)
    assert status.stage == "failed" and words in status.detail
    toy_hub.behave()
    assert_answers_as_the_toy(classified, CLIP)


@pytest.mark.parametrize(("ask", "key"), [(embedded, CLIP), (answered, LLAVA), (drawn, DIFFUSION)])
@pytest.mark.parametrize("fault", ["dropped", "401 gated"])
def test_every_question_survives_a_fault(toy_hub, ask, key, fault):
    switches, words = FAULTS[fault]
    for name, value in switches.items():
        setattr(toy_hub, name, value)
    assert words in refused(ask, key)
    toy_hub.behave()
    toy_hub.asked.clear()
    assert_answers_as_the_toy(ask, key)
    if fault == "dropped":  # at 100 of some thousand kB of a file, from where it goes on
        assert any(span.startswith("bytes=1") for name, span in toy_hub.downloads() if name.endswith(".safetensors"))


def test_416_costs_a_file_from_its_beginning_and_no_fault(toy_hub):
    toy_hub.drop_after = 100_000
    refused(classified, CLIP)
    toy_hub.behave()
    toy_hub.ranges = "refused"
    assert_answers_as_the_toy(classified, CLIP)


def test_slow_the_status_says_how_far_how_fast_and_how_long(toy_hub):
    toy_hub.bytes_per_second = 1_500_000
    stop, said = threading.Event(), []

    def use():
        with residency.use(CLIP, stop):
            pass

    thread = threading.Thread(target=use)
    thread.start()
    while thread.is_alive():
        status = residency.status(CLIP)
        if not said or status.detail != said[-1]:
            said.append(status.detail)
        thread.join(0.1)
    paces = [line for line in said if line.startswith("downloading") and line.endswith("left")]
    assert paces, said
    assert " of 3 MB, " in paces[0] and "a second" in paces[0]
    assert residency.status(CLIP).stage == "ready"


def test_stopped_and_asked_again(toy_hub):
    toy_hub.silent_after = 200_000
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(hub.Stopped), residency.use(CLIP, stop):
        pass
    assert residency.status(CLIP).stage == "absent"
    preset = presets.preset(CLIP)
    whole = sum(len(body) for name, body in toy_hub.repositories[preset.source].items() if name == "model.safetensors")
    toy_hub.behave()
    assert hub.missing_bytes(preset) < whole
    assert_answers_as_the_toy(classified, CLIP)
