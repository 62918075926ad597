"""The recipe: its packed forward against the plain model's, what each stage trains, resuming, and quick runs."""

import json
from itertools import chain

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration
from transformers.generation import GenerationConfig

from mmexplorer.presets import preset
from mmexplorer.training import llava
from mmexplorer.training.clip import pixels
from mmexplorer.training.llava_data import IGNORED, PATCHES, Batches
from mmexplorer.training.llava_model import ASSISTANT, EOS, SPECIAL, USER, build_chat_processor

CLIP = preset("toy-clip").path
SHARED = 2 + PATCHES  # BOS, USER and the picture


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


def turns_of(ids: list[int]) -> list[list[int]]:
    """The turns of a sequence after its picture, each with its EOS."""
    turns, turn = [], []
    for token in ids[SHARED:]:
        turn.append(token)
        if token == SPECIAL.index(EOS):
            turns.append(turn)
            turn = []
    return turns


def test_the_packed_forward_is_the_plain_models_on_each_question(tmp_path):
    run = llava.Run(tmp_path, "instruct", 4, 3, 1e-3, CLIP, None)
    data = Batches("instruct", 3, 4, 8)[0]
    with torch.no_grad():
        for layer in run.model.model.language_model.layers:  # far from uniform attention
            layer.self_attn.q_proj.weight.mul_(6)
        packed = run._logits(data)
        rows = data.labels[:, 1:].ne(IGNORED).sum(1).tolist()
        alone = chats = 0
        for ids, logits, picture in zip(data.ids.tolist(), packed.split(rows), data.pictures, strict=True):
            shared, turns = ids[:SHARED], turns_of(ids)
            chat = turns[1][0] == SPECIAL.index(USER)
            alone, chats = alone + (not chat), chats + chat
            for number, turn in enumerate(turns):
                before = [*chain(*turns[:number])] if chat else []
                said = len(turn) - turn.index(SPECIAL.index(ASSISTANT)) - 1
                plain = run.model(
                    input_ids=torch.tensor([shared + before + turn]), pixel_values=pixels(picture[None])
                ).logits[0, -said - 1 : -1]
                torch.testing.assert_close(logits[:said], plain, atol=1e-4, rtol=0)
                logits = logits[said:]
            assert not len(logits)
    assert alone and chats


def test_a_sequence_is_what_the_processor_makes_of_the_conversation():
    processor = build_chat_processor()
    data = Batches("instruct", 3, 4, 8)[0]
    for ids, picture in zip(data.ids.tolist(), data.pictures, strict=True):
        turns = turns_of(ids)
        if turns[1][0] != SPECIAL.index(USER):
            turns = turns[:1]
        messages = []
        for turn in turns:
            words = processor.tokenizer.decode(turn).replace(USER, "").replace(EOS, "")
            asked, answered = (part.strip() for part in words.split(ASSISTANT))
            content = [{"type": "image"}] * (not messages) + [{"type": "text", "text": asked}]
            messages += [{"role": "user", "content": content}]
            messages += [{"role": "assistant", "content": [{"type": "text", "text": answered}]}]
        text = processor.apply_chat_template(messages)
        inputs = processor(images=Image.fromarray(picture), text=text, return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == [*ids[:SHARED], *chain(*turns)]
        torch.testing.assert_close(inputs["pixel_values"], pixels(picture[None]), atol=1e-5, rtol=0)


def changed(before: dict, after: dict) -> set[str]:
    """The parts of the model whose weights differ."""
    names = {name for name, value in after.items() if not torch.equal(value, before[name])}
    return {part for part in ("vision_tower", "multi_modal_projector", "language_model") for n in names if part in n}


def test_each_stage_trains_its_part_and_starts_from_the_one_before(tmp_path):
    weights = llava.Run(tmp_path / "none", "language", 2, 3, 1e-3, CLIP, None).model.state_dict()
    parts = {
        "language": {"language_model"},
        "align": {"multi_modal_projector"},
        "instruct": {"language_model", "multi_modal_projector"},
    }
    start = None
    for stage, trained in parts.items():
        before = {name: value.clone() for name, value in weights.items()}
        weights = run_in(tmp_path / stage, stage, 2, start=start).model.state_dict()
        assert changed(before, weights) == trained
        start = tmp_path / stage


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


@pytest.mark.parametrize("stage", ["language", "align", "instruct"])
def test_a_quick_run_resumes_and_loads_with_transformers(tmp_path, stage):
    command = ["--quick", "--threads", "1", "--stage", stage, "--run", str(tmp_path)]
    llava.main([*command, "--until", "3"])
    llava.main(command)
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 6]
    model, found = LlavaForConditionalGeneration.from_pretrained(
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
    assert all(f"--stage {stage}" in shown for stage in ("language", "align", "instruct"))
