"""Sub-tokens join into words at the right places, in every kind of text sequence."""

import importlib.util
import json
from pathlib import Path

import pytest
import sentencepiece
import transformers

from mmexplorer.drawings import PromptWord
from mmexplorer.errors import Refusal
from mmexplorer.models.diffusion_prompt import Encoder, PromptReader

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parent.with_name("tiny_pipelines.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)

CLIP, T5 = Encoder(tiny.build_clip_tokenizer(), 16), Encoder(tiny.build_t5_tokenizer(), 20)


def test_sub_tokens_join_into_words():
    reading = PromptReader([CLIP], "Tiny").read("a red circle, red")
    start, end = "<|startoftext|>", "<|endoftext|>"
    assert reading.tokens == (start, "a</w>", "red</w>", "cir", "cle</w>", ",</w>", "red</w>", end)
    assert reading.words == (
        PromptWord("a", (1,)),
        PromptWord("red", (2,)),
        PromptWord("circle", (3, 4)),
        PromptWord(",", (5,)),
        PromptWord("red", (6,)),
    )
    assert reading.unknown_words == () and reading.cut == ""


def test_capitals_stay_in_the_words():
    assert [word.text for word in PromptReader([CLIP], "Tiny").read("A Red circle").words] == ["A", "Red", "circle"]


def test_t5_reads_words_from_the_first_token_on():
    reading = PromptReader([T5], "Tiny", lower=True).read(" A red circle")
    assert reading.tokens == ("▁a", "▁red", "▁cir", "cle", "</s>")
    assert reading.words == (PromptWord("a", (0,)), PromptWord("red", (1,)), PromptWord("circle", (2, 3)))


def test_t5_that_comes_as_a_sentencepiece_model_alone(tmp_path):
    words = "a red blue circle"
    (tmp_path / "text").write_text("\n".join([words] * 50))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(tmp_path / "spiece"),
        vocab_size=24,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 100, "legacy": True, "model_max_length": 512}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    reading = PromptReader([Encoder(tokenizer, 20)], "Tiny", lower=True).read(f"{words.upper()} 円")
    assert [word.text for word in reading.words] == [*words.split(), "円"] and reading.unknown_words == ("円",)
    pieces = ["".join(reading.tokens[i] for i in word.tokens) for word in reading.words[:4]]
    assert pieces == [f"▁{word}" for word in words.split()]


def test_sequences_one_after_another_both_count():
    reading = PromptReader([CLIP, T5], "Tiny").read("red circle")
    assert reading.words == (PromptWord("red", (1, 16)), PromptWord("circle", (2, 3, 17, 18)))


def test_words_without_a_token_are_named_once():
    reading = PromptReader([T5], "Tiny").read("a 円 red 円 Ω")
    assert reading.unknown_words == ("円", "Ω")


def test_what_is_cut_is_told():
    reading = PromptReader([CLIP], "Tiny").read("red " * 14 + "blue circle")
    assert len(reading.tokens) == 16 and reading.length == 16
    assert reading.cut == "blue circle" and len(reading.words) == 14
    longer = PromptReader([CLIP, T5], "Tiny").read("red " * 14 + "circle")
    assert longer.cut == "" and longer.words[-1] == PromptWord("circle", (30, 31))


@pytest.mark.parametrize("text", ["", "   ", "\n", "🙂", "x" * 10_000, "the " * 2_500, "<|endoftext|> red"])
def test_any_text_can_be_read(text):
    for encoders in ([CLIP], [T5], [CLIP, T5]):
        reading = PromptReader(encoders, "Tiny").read(text)
        tokens = [token for word in reading.words for token in word.tokens]
        assert len(tokens) == len(set(tokens)) and max(tokens, default=0) < 36


def test_a_tokenizer_that_cannot_place_its_tokens_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(Refusal, match="Tiny has a tokenizer that cannot say where"):
        PromptReader([Encoder(Slow(), 16)], "Tiny")
