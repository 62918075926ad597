"""The report: fair samples that training never draws, scores by hand, and answers that batching does not change."""

import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from mmexplorer.presets import preset
from mmexplorer.toyworld.questions import ABSENCES, Question
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import Sampler, rng_for
from mmexplorer.toyworld.splits import pair_is_seen
from mmexplorer.training import llava_report
from mmexplorer.training.llava import Run
from mmexplorer.training.llava_model import build_chat_processor, build_llava, build_llava_next
from mmexplorer.training.llava_report import Report, objects, right, yes_or_no
from mmexplorer.training.llava_trials import LARGE, SMALL, Trial, description_trials, exact_trials, existence_trials

CLIP = preset("toy-clip").path


@pytest.fixture(scope="module")
def groups() -> dict[str, list[Trial]]:
    return exact_trials(0.1)


@pytest.fixture(scope="module")
def untrained():
    """A LLaVA whose answers depend on picture and question, though not sensibly."""
    torch.manual_seed(1)
    model = build_llava(CLIP)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "vision_tower" not in name and weights.ndim == 2:
                weights.mul_(4)
    return model


def trials(*answers: str) -> list[Trial]:
    scene = Sampler(rng_for("test report", 0)).scene()
    return [Trial(scene, Question("Is it?", answer, "existence", ())) for answer in answers]


def test_samples_are_the_same_every_time(groups):
    assert exact_trials(0.1) == groups
    assert existence_trials(0.05) == existence_trials(0.05)


def test_scenes_of_one_group_differ(groups):
    for drawn in (*groups.values(), description_trials(0.1)):
        assert len({trial.scene for trial in drawn}) == len(drawn)


def test_counting_asks_for_every_number_equally_often(groups):
    assert Counter(t.question.answer for t in groups["counting, 1 to 4"]) == dict.fromkeys(
        ("one", "two", "three", "four"), 10
    )
    assert {t.question.answer for t in groups["counting, none there"]} == {"zero"}


def test_groups_hold_what_they_are_called(groups):
    assert all(t.question.answer == t.scene.things[t.question.about[0]].text for t in groups["reading"])
    assert all(t.scene.things[t.question.about[0]].size == "large" for t in groups["reading"])
    assert {t.question.answer for t in groups["unreadable text"]} == {"unreadable", "no"}
    for name in ("colour", "shape"):
        unseen = [t.scene.things[0] for t in groups[f"{name}, unseen pairs"]]
        assert not any(pair_is_seen(thing.colour, thing.shape) for thing in unseen)
        seen = [thing for t in groups[name] for thing in t.scene.things if thing.shape not in ("word", "person")]
        assert all(pair_is_seen(thing.colour, thing.shape) for thing in seen)
    assert any("inside" in (t.question.answer, *t.question.text.split()) for t in groups["inside"])
    assert "inside" not in {t.question.answer for t in groups["left/right/above/below"]}
    assert {t.part for t in groups["left/right/above/below"]} == {"yes or no", "which one of few", "which thing"}


def test_the_third_turn_asks_the_same_after_two_other_questions(groups):
    for first, third in zip(groups["any question"], groups["any question, third turn"], strict=True):
        assert (third.scene, third.question) == (first.scene, first.question)
        assert len(third.before) == 2
        assert first.question.text.lower() not in {turn.text.lower() for turn in third.before}


def test_the_newest_of_two_pictures_is_asked_about(groups):
    parts = Counter()
    for first, later in zip(groups["any question"], groups["any question, newest of two pictures"], strict=True):
        assert (later.scene, later.question) == (first.scene, first.question)
        assert later.older not in (None, later.scene)
        parts[later.part] += 1
        shown = [[part["type"] for part in message["content"]] for message in llava_report._messages(later)]
        if later.part == "both in one message":
            assert shown == [["image", "image", "text"]]
        else:
            assert shown == [["image", "text"], ["text"], ["image", "text"]]
    assert parts == {"both in one message": 15, "after a question about the older": 15}


def test_existence_is_balanced_on_every_picture():
    groups = existence_trials(0.05)
    assert tuple(groups) == ABSENCES
    for drawn in groups.values():
        answers = [(a.question.answer, b.question.answer) for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
        assert set(answers) == {("yes", "no")} and len(answers) == 10
        assert all(a.scene is b.scene for a, b in zip(drawn[::2], drawn[1::2], strict=True))


def test_right_answers_by_hand():
    red, other_red, blue = (t.question for t in trials("red", "red", "the blue one"))
    scene = trials("")[0].scene
    asked = [Trial(scene, red, "a"), Trial(scene, other_red, "a"), Trial(scene, blue, "b")]
    assert right("colour", asked, ["red", "blue", "the blue one"]) == {
        "colour": (pytest.approx(2 / 3), 3),
        "colour: a": (0.5, 2),
        "colour: b": (1.0, 1),
    }


def test_yes_or_no_by_hand():
    asked = trials("yes", "yes", "yes", "no", "no", "no")
    shares = yes_or_no("x", asked, ["yes", "yes", "red", "yes", "no", "no"])
    # Of three times "yes" two are true; of three things that are there two are seen.
    expected = {"accuracy": 4 / 6, "precision": 2 / 3, "recall": 2 / 3, "F1": 2 / 3, "yes-rate": 3 / 6}
    assert shares == {f"x: {key}": (pytest.approx(value), 6) for key, value in expected.items()}
    silent = yes_or_no("x", asked, ["no"] * 6)
    assert silent["x: accuracy"][0] == 0.5 and silent["x: precision"][0] == silent["x: F1"][0] == 0.0


def test_objects_by_hand():
    asked = trials("two red circles and a blue star", "the word cat")
    shares = objects("x", asked, ["a red circle , a blue star and a green ring", "the word cat"])
    assert shares == {"x: word for word": (0.5, 2), "x: objects found": (0.75, 4), "x: objects invented": (0.25, 4)}


def test_answers_in_padded_batches_are_those_given_one_by_one(untrained, groups, monkeypatch):
    report = Report(untrained, build_chat_processor())
    names = "any question", "any question, third turn", "any question, newest of two pictures"
    asked = [trial for name in names for trial in groups[name][:8]]
    asked = [replace(t, question=replace(t.question, answer="one two three")) for t in asked]
    together = report.answers(asked)
    monkeypatch.setattr(llava_report, "BATCH", 1)
    assert report.answers(asked) == together
    assert len(set(together)) > 8


def test_answers_come_back_in_the_order_of_the_questions(groups, monkeypatch):
    report = Report(build_llava(CLIP), build_chat_processor())
    monkeypatch.setattr(report, "_answered", lambda batch: [t.question.text for t in batch])
    asked = groups["any question"]
    assert report.answers(asked) == [t.question.text for t in asked]


def test_without_its_projector_a_model_answers_every_picture_alike(untrained, groups):
    report = Report(untrained, build_chat_processor())
    question = Question("What is it?", "one two three", "", ())
    asked = [Trial(t.scene, question) for t in groups["any question"][:8]]
    assert len({render([t.scene]).tobytes() for t in asked}) == 8
    before = report.answers(asked)
    with llava_report._projector(untrained, lambda weights: weights.zero_()):
        assert len(set(report.answers(asked))) == 1
    with llava_report._projector(untrained, llava_report._shuffle):
        shuffled = report.answers(asked)
    assert report.answers(asked) == before != shuffled


def test_the_projector_is_put_back_after_an_error(untrained):
    kept = {name: value.clone() for name, value in untrained.state_dict().items()}
    with pytest.raises(KeyError), llava_report._projector(untrained, llava_report._shuffle):
        assert not torch.equal(
            untrained.model.multi_modal_projector.linear_1.weight,
            kept["model.multi_modal_projector.linear_1.weight"],
        )
        raise KeyError
    assert all(torch.equal(value, kept[name]) for name, value in untrained.state_dict().items())


def test_figures_stand_beside_those_of_blind_models(untrained):
    figures = Report(untrained, build_chat_processor(), 0.02).existence()
    figure = figures["existence, popular absences: accuracy"]
    assert (figure.samples, figure.commonest) == (8, 0.5)
    assert figures["existence, popular absences: yes-rate"].commonest in (0.0, 1.0)


def test_a_checkpoint_and_the_folder_made_of_it_get_the_same_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Report, "all", Report.descriptions)
    run = Run(tmp_path, "instruct", 4, 3, 1e-3, CLIP, None)
    run.model.half().float()  # as the folder keeps them
    run.save()
    run.export(tmp_path / "model")
    written = []
    for path in (run.checkpoint, tmp_path / "model"):
        llava_report.main([str(path), "--quick", "--threads", "1"])
        folder = path if path.is_dir() else path.parent
        written.append(json.loads((folder / "report.json").read_text()))
    assert written[0] == written[1]
    assert set(written[0]["description: word for word"]) == {
        "value",
        "samples",
        "zeroed",
        "shuffled",
        "commonest",
        "untiled",
    }
    assert "description: objects invented" in capsys.readouterr().out


def test_larger_scenes_are_asked_about_where_tiles_help():
    groups = exact_trials(0.02, LARGE)
    assert set(groups) - set(exact_trials(0.02)) == {
        "colour, tiny things",
        "shape, tiny things",
        "any question, small scene enlarged",
    }
    for name, drawn in groups.items():
        assert {t.scene.canvas for t in drawn} == {SMALL if "enlarged" in name else LARGE}
    radii = [thing.radius for t in groups["shape, tiny things"] for thing in t.scene.things]
    assert max(radii) < 10
    assert all(t.older.canvas == LARGE for t in groups["any question, newest of two pictures"])


def test_without_tiles_only_the_base_view_counts():
    torch.manual_seed(1)
    model = build_llava_next(CLIP)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "vision_tower" not in name and weights.ndim == 2:
                weights.mul_(4)
    report = Report(model, build_chat_processor(tiled=True), 0.02)
    assert report.canvas == LARGE
    asked = [Trial(t.scene, Question("What is it?", "one two three", "", ())) for t in description_trials(0.02, LARGE)]
    tiled = report.answers(asked)
    report._grey_tiles = True
    untiled = report.answers(asked)
    assert len(set(untiled)) > 1 and untiled != tiled
    small = exact_trials(0.02, LARGE)["any question, small scene enlarged"][0].scene
    assert report._picture(small).size == report._picture(asked[0].scene).size == LARGE
    report._grey_tiles = False
    figures = report._measured("any", asked, right)
    assert figures["any"].untiled is not None
