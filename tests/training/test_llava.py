"""The recipe: its packed forward against the plain model's, what each stage trains, resuming, and quick runs."""

import json
from itertools import chain

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.generation import GenerationConfig

from mmexplorer.presets import preset
from mmexplorer.toyworld.lexicon import spoken_lexicon
from mmexplorer.training import llava, llava_data
from mmexplorer.training.clip import pixels
from mmexplorer.training.llava_data import IGNORED, Batch, Batches
from mmexplorer.training.llava_forms import FORMS
from mmexplorer.training.llava_model import ASSISTANT, EOS, IMAGE, SPECIAL, USER, build_chat_processor
from mmexplorer.training.llava_tiles import views

CLIP = preset("toy-clip").path
EOS_ID, IMAGE_ID, USER_ID, ASSISTANT_ID = (SPECIAL.index(name) for name in (EOS, IMAGE, USER, ASSISTANT))
STEPS_OF = {1: 8, 2: 3, 3: 7}  # steps of the stage "instruct" whose conversations have so many pictures


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in the same order in every run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run_in(folder, stage="instruct", steps=4, until=None, start=None):
    run = llava.Run(folder, stage, steps, 3, 1e-3, CLIP, start)
    run.train(every=1, until=until)
    return run


def conversations(data: Batch) -> list[list[tuple[list[int], int]]]:
    """Of each sequence the conversations that it packs: their ids, and where their last answers begin."""
    packed = []
    for ids in data.ids.tolist():
        shared = len(ids) - ids[::-1].index(IMAGE_ID)  # up to the newest picture
        starts = [i + 1 for i in range(shared) if ids[i] == ASSISTANT_ID]
        found = [(ids[: ids.index(EOS_ID, start) + 1], start) for start in starts]
        turns, start = [], shared
        while EOS_ID in ids[start:]:
            stop = ids.index(EOS_ID, start) + 1
            turns.append(ids[start:stop])
            start = stop
        chat = turns[1][0] == USER_ID
        for number, turn in enumerate(turns):
            before = [*ids[:shared], *chain(*turns[:number])] if chat else ids[:shared]
            found.append((before + turn, len(before) + turn.index(ASSISTANT_ID) + 1))
        packed.append(found)
    return packed


def check_packed(run: llava.Run, data: Batch, pictures: int, images: dict[str, torch.Tensor]) -> None:
    """Compares with the plain model, which is given each conversation by itself; `images` are its pictures."""
    with torch.no_grad():
        for layer in run.model.model.language_model.layers:  # far from uniform attention
            layer.self_attn.q_proj.weight.mul_(6)
        packed = run._logits(data)
        rows = data.labels[:, 1:].ne(IGNORED).sum(1).tolist()
        for number, (row, logits) in enumerate(zip(conversations(data), packed.split(rows), strict=True)):
            for ids, start in row:
                shown = ids.count(IMAGE_ID) * pictures // row[-1][0].count(IMAGE_ID)
                here = slice(number * pictures, number * pictures + shown)
                plain = run.model(
                    input_ids=torch.tensor([ids]), **{name: value[here] for name, value in images.items()}
                )
                said = len(ids) - start
                torch.testing.assert_close(logits[:said], plain.logits[0, start - 1 : -1], atol=1e-4, rtol=0)
                logits = logits[said:]
            assert not len(logits)


@pytest.mark.parametrize("pictures", STEPS_OF)
def test_the_packed_forward_is_the_plain_models_on_each_question(tmp_path, pictures):
    run = llava.Run(tmp_path, "instruct", 4, 3, 1e-3, CLIP, None)
    data = Batches("instruct", STEPS_OF[pictures], 9, 8 * pictures)[0]
    assert len(data.pictures) == len(data.ids) * pictures
    check_packed(run, data, pictures, {"pixel_values": pixels(data.pictures)})


@pytest.mark.parametrize("step", range(len(FORMS["next"])))
def test_tiles_are_packed_as_the_plain_model_packs_the_processors(tmp_path, monkeypatch, step):
    drawn = []
    monkeypatch.setattr(llava_data, "views", lambda pictures: drawn.append(pictures) or views(pictures))
    run = llava.Run(tmp_path, "next", 4, 3, 1e-3, CLIP, None)
    data, pictures = Batches("next", step, step + 1, 8)[0], FORMS["next"][step].pictures
    processor = build_chat_processor(tiled=True)
    images = processor.image_processor([Image.fromarray(picture) for picture in drawn[0]], return_tensors="pt")
    check_packed(run, data, pictures, images)
    text = processor(
        text=[IMAGE * pictures] * len(data.ids), images=[Image.fromarray(p) for p in drawn[0]], return_tensors="pt"
    )
    assert (text["input_ids"] == IMAGE_ID).sum(1).tolist() == (data.ids == IMAGE_ID).sum(1).tolist()


@pytest.mark.parametrize("pictures", STEPS_OF)
def test_a_sequence_is_what_the_processor_makes_of_the_conversation(pictures):
    processor = build_chat_processor()
    data = Batches("instruct", STEPS_OF[pictures], 9, 12)[0]
    drawn = [Image.fromarray(picture) for picture in data.pictures]
    for number, (row, shown) in enumerate(zip(conversations(data), pixels(data.pictures).split(pictures), strict=True)):
        ids, _ = row[-1]
        messages = []
        for said in processor.tokenizer.decode(ids).split(EOS)[:-1]:
            asked, answered = said.split(ASSISTANT)
            words = asked.split(USER)[1].replace(IMAGE, "").strip()
            content = [{"type": "image"}] * (asked.count(IMAGE) // 64) + [{"type": "text", "text": words}]
            messages += [{"role": "user", "content": content}]
            messages += [{"role": "assistant", "content": [{"type": "text", "text": answered.strip()}]}]
        images = drawn[number * pictures : (number + 1) * pictures]
        inputs = processor(images=images, text=processor.apply_chat_template(messages), return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == ids
        torch.testing.assert_close(inputs["pixel_values"], shown, atol=1e-5, rtol=0)


def changed(before: dict, after: dict) -> set[str]:
    """The parts of the model whose weights differ."""
    names = {name for name, value in after.items() if not torch.equal(value, before[name])}
    parts = ("vision_tower", "multi_modal_projector", "language_model", "image_newline")
    return {part for part in parts for n in names if part in n}


def test_each_stage_trains_its_part_and_starts_from_the_one_before(tmp_path):
    weights = llava.Run(tmp_path / "none", "language", 2, 3, 1e-3, CLIP, None).model.state_dict()
    parts = {
        "language": {"language_model"},
        "align": {"multi_modal_projector"},
        "instruct": {"language_model", "multi_modal_projector"},
        "next": {"language_model", "multi_modal_projector", "image_newline"},
    }
    start = None
    for stage, trained in parts.items():
        before = {name: value.clone() for name, value in weights.items()}
        before.setdefault("model.image_newline", torch.zeros(0))
        weights = run_in(tmp_path / stage, stage, 2, start=start).model.state_dict()
        assert changed(before, weights) == trained
        start = tmp_path / stage


def test_new_words_are_added_to_what_a_run_starts_from(tmp_path):
    before = llava.Run(tmp_path / "before", "instruct", 1, 3, 1e-3, CLIP, None)
    before.save()
    state = torch.load(before.checkpoint, weights_only=True)
    known = {
        name: value[:-2] if len(value) == len(SPECIAL) + len(spoken_lexicon()) else value + 1
        for name, value in state["model"].items()
    }
    torch.save({"model": known}, before.checkpoint)
    after = llava.Run(tmp_path / "after", "instruct", 1, 3, 1e-3, CLIP, tmp_path / "before").model.state_dict()
    for name, value in known.items():
        assert torch.equal(after[name][: len(value)], value)
    assert after["lm_head.weight"][-2:].std() > 0


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    whole = run_in(tmp_path / "whole")
    run_in(tmp_path / "halves", until=2)
    resumed = run_in(tmp_path / "halves")
    assert resumed.step == whole.step == 4
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, rtol=0, atol=0)
    log = [json.loads(line)["step"] for line in (tmp_path / "halves" / "log.jsonl").read_text().splitlines()]
    assert log == [1, 2, 3, 4]


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path):
    run_in(tmp_path, steps=1)
    with pytest.raises(SystemExit, match="other settings"):
        llava.Run(tmp_path, "align", 1, 3, 1e-3, CLIP, None)


@pytest.mark.parametrize("stage", ["language", "align", "instruct", "next"])
def test_a_quick_run_resumes_and_loads_with_transformers(tmp_path, stage):
    command = ["--quick", "--threads", "1", "--stage", stage, "--run", str(tmp_path)]
    llava.main([*command, "--until", "3"])
    llava.main(command)
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 6]
    model, found = AutoModelForImageTextToText.from_pretrained(
        tmp_path / "model", dtype=torch.float32, output_loading_info=True
    )
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    trained = torch.load(tmp_path / llava.CHECKPOINT, weights_only=True)["model"]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, trained[name], atol=1e-3, rtol=1e-3)
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What colour is it?"}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(images=Image.new("RGB", (80, 64), "red"), text=text, return_tensors="pt")
    assert model.generate(**inputs, max_new_tokens=2, do_sample=False).shape[1] > inputs["input_ids"].shape[1]


def test_a_finished_model_stops_at_its_end_token(tmp_path):
    llava.Run(tmp_path / "run", "instruct", 4, 3, 1e-3, CLIP, None).export(tmp_path / "model")
    assert GenerationConfig.from_pretrained(tmp_path / "model").eos_token_id == SPECIAL.index(EOS)


def test_help_explains_the_stages(capsys):
    with pytest.raises(SystemExit):
        llava.main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"--stage {stage}" in shown for stage in FORMS)
