from dataclasses import replace

import pytest

from mmexplorer import placement, presets, residency
from mmexplorer.placement import Machine, Placement, place
from mmexplorer.presets import preset
from mmexplorer.residency_status import Status
from mmexplorer.tabs import model_choice, model_facts

GB = 10**9


@pytest.fixture
def machine(monkeypatch):
    """A function that sets what this machine has; models are here if their keys are in the set that it returns."""
    here = set()

    def has(device="cpu", room=1000 * GB, **more):
        told = Machine(device, int(room), **more)
        monkeypatch.setattr(residency, "machine", lambda: told)
        monkeypatch.setattr(residency, "placement", lambda key: place(preset(key), told))
        monkeypatch.setattr(
            residency,
            "status",
            lambda key: Status("found" if key in here or preset(key).tier == "toy" else "absent", f"where {key} is"),
        )
        return here

    return has


def keys(ability="embeds"):
    return [key for _, key in model_choice.choices(ability)]


def label(key, ability="embeds"):
    return next(text for text, value in model_choice.choices(ability) if value == key)


def test_toys_come_first_then_what_fits_then_what_is_slow_then_what_is_too_big(machine):
    machine(room=2.2 * GB)
    order = keys()
    assert order[:3] == ["toy-clip", "toy-clip-withheld", "toy-clip-hard-negatives"]
    assert order[-2:] == ["clip-vit-large-patch14", "siglip-so400m-patch14-384"]
    assert label("toy-clip") == "Toy CLIP, full coverage"
    assert label("tiny-clip") == "TinyCLIP ViT-8M/16 · 98 MB to download"
    assert label("clip-vit-large-patch14") == "CLIP ViT-L/14 · 1.7 GB to download · slow here"
    assert label("siglip-so400m-patch14-384").endswith("3.5 GB to download · too big for this machine")


def test_what_is_on_this_disk_comes_before_what_is_not(machine):
    here = machine()
    before = keys()
    here.add("siglip-base-patch16-224")
    assert keys()[3] == "siglip-base-patch16-224" != before[3]
    assert label("siglip-base-patch16-224") == "SigLIP ViT-B/16 · on this disk"


def test_of_what_was_begun_only_the_rest_is_to_download(machine, monkeypatch):
    machine()
    monkeypatch.setattr(residency, "status", lambda key: Status("absent", "", 90_000_000))
    assert label("tiny-clip") == "TinyCLIP ViT-8M/16 · 8 MB to download"


def test_every_model_with_the_ability_is_listed_and_no_other(machine):
    machine()
    for ability in ("embeds", "chats", "draws"):
        assert sorted(keys(ability)) == sorted(row.key for row in presets.presets() if ability in row.abilities)


def test_a_processor_begins_with_the_toy_and_is_offered_nothing(machine):
    machine().update(row.key for row in presets.presets())
    assert model_choice.default("embeds", "toy-clip") == "toy-clip"
    assert model_facts.offer("embeds", ["toy-clip"]) == ""


def test_a_gpu_is_offered_the_best_that_fits_and_begins_with_it_once_it_is_here(machine):
    here = machine("cuda", room=20 * GB)
    assert model_choice.default("chats", "toy-llava") == "toy-llava"
    offer = model_facts.offer("chats", ["toy-llava"])
    assert "LLaVA-NeXT (1.6) Mistral 7B" in offer and "where llava-v1.6-mistral-7b is" in offer
    assert model_facts.offer("chats", ["llava-1.5-7b"]) == ""
    here.add("llava-v1.6-mistral-7b")
    assert model_choice.default("chats", "toy-llava") == "llava-v1.6-mistral-7b"
    machine("cuda", room=5 * GB)
    assert "LLaVA-OneVision 0.5B" in model_facts.offer("chats", ["toy-llava"])


def test_names_that_nobody_knows_are_told_from_typing_errors():
    names = ["openai/clip-vit-base-patch16", "a/b@main", "/models/mine", "~/mine", "C:\\mine"]
    assert model_choice.unknown(["toy-clip", *names, "toyclip", ""]) == names


def test_the_facts_of_a_model(machine):
    machine(room=2.2 * GB)
    told = model_facts.about("clip-vit-large-patch14")
    for words in ("where clip-vit-large-patch14 is", "MIT (code)", "https://arxiv.org/abs/2103.00020", "Slow here"):
        assert words in told
    assert "Memory while it works: 2.1 GB in 32 bits." in told
    assert "5.5 GB in 4 bits" in model_facts.about("llava-1.5-7b")
    assert "it needs about 17.0 GB of memory, and models may take 2.2 GB here" in model_facts.about(["llava-1.5-7b"])
    assert "Choose at least one model." in model_facts.about([])
    assert "There is no model called" in model_facts.about("nonsense")


def test_a_gated_model_shows_where_to_agree_and_names_are_escaped(machine, monkeypatch):
    row = replace(preset("tiny-clip"), key="x/y", label="<b>x", source="x/y", gated=True)
    monkeypatch.setattr(presets, "_others", {"x/y": row})
    machine()
    told = model_facts.about("x/y")
    assert "https://huggingface.co/x/y" in told and "<b>&lt;b&gt;x</b>" in told


def test_a_placement_with_a_reason_says_it(machine, monkeypatch):
    machine()
    placed = Placement("cuda", 16, placement.OFFLOAD, 1, placement.SLOW, "parts of it wait")
    monkeypatch.setattr(residency, "placement", lambda key: placed)
    assert "Slow here: parts of it wait." in model_facts.about("tiny-clip")
