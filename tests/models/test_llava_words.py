"""Pieces of text join to the whole, and tokens to words, for the three kinds of tokenizers that LLaVAs have."""

import json
from itertools import pairwise

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mmexplorer.models.llava_words import Speller, Word, group

CORPUS = ["a red circle is left of the blue square, isn't it?", "two triangles: one green, one yellow."] * 20


def byte_level():
    """As in Qwen2: bytes, a space before a word belongs to it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["[EOS]"]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="[EOS]")


def metaspace():
    """As in Llama and Vicuna: spaces are letters, the first of which is taken away again; rare characters are bytes."""
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=["<unk>", "[EOS]", *(f"<0x{i:02X}>" for i in range(256))], show_progress=False
    )
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = saved["added_tokens"][:2]  # bytes are ordinary tokens
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="[EOS]")


@pytest.fixture(params=["bytes", "spaces as letters", "words"])
def speller(request, build):
    make = {"bytes": byte_level, "spaces as letters": metaspace, "words": build.tokenizer}[request.param]
    return Speller(make())


def ids_of(speller, text):
    return speller.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    "text", ["a red circle, left of the blue square.", "is there a red circle?", "no, blue and red!"]
)
def test_pieces_join_to_the_text(speller, text):
    ids = ids_of(speller, text)
    assert speller.decode(ids) == text
    assert "".join(speller.piece(ids[:i], token) for i, token in enumerate(ids)) == speller.decode(ids)


@pytest.mark.parametrize("make", [byte_level, metaspace])
def test_a_character_of_several_tokens_comes_with_its_last(make):
    speller, text = Speller(make()), "a 🦊 red é"
    ids = ids_of(speller, text)
    pieces = [speller.piece(ids[:i], token) for i, token in enumerate(ids)]
    assert "".join(pieces) == speller.decode(ids) == text and "�" not in "".join(pieces)
    assert [p.strip() for p in pieces].count("🦊") == 1 and pieces.count("") >= 3
    assert "🦊" in [word.text for word in speller.words(ids)]


def test_tokens_join_into_words(speller):
    text = "a red circle, the blue square."
    end = speller.tokenizer.eos_token_id
    ids = [*ids_of(speller, text), end]
    words = speller.words(ids)
    assert [word.text for word in words] == ["a", "red", "circle", ",", "the", "blue", "square", "."]
    assert words[0].start == 0 and words[-1].stop == len(ids) - 1  # the end token belongs to no word
    assert all(a.stop == b.start for a, b in pairwise(words))
    assert [speller.decode(ids[w.start : w.stop]).strip() for w in words] == [w.text for w in words]


def test_the_end_is_named_but_adds_nothing(speller):
    ids, end = ids_of(speller, "a red circle"), speller.tokenizer.eos_token_id
    assert speller.piece(ids, end) == "" and speller.name(ids, end) == "[EOS]"
    assert speller.name(ids, ids[0]).strip() == speller.piece(ids, ids[0]).strip() != ""


def test_words_from_spans_by_hand():
    # "isn't it" as "is", "n't", " ", "it": the lone space belongs to the word after it.
    assert group("isn't it", [(0, 2), (2, 5), (5, 6), (6, 8)], first=10) == (Word("isn't", 10, 12), Word("it", 12, 14))
    # One token over two words belongs to the first, and the second has none.
    assert group("(a b", [(0, 2), (2, 4)]) == (Word("(", 0, 1), Word("b", 1, 2))
    assert group("", [(0, 0)]) == ()
