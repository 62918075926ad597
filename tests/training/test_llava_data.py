"""What a batch of conversations holds: who sees what, what is to be said, and that its words are known."""

import re
from itertools import groupby

import pytest
import torch

from mmexplorer.toyworld.lexicon import WORD
from mmexplorer.toyworld.questions import KINDS, ask
from mmexplorer.toyworld.scenes import KINDS as SCENES
from mmexplorer.toyworld.scenes import Sampler, rng_for
from mmexplorer.training.llava_data import IGNORED, Batches
from mmexplorer.training.llava_forms import FORMS, STAGES
from mmexplorer.training.llava_model import ASSISTANT, BOS, EOS, IMAGE, PAD, SPECIAL, UNK, USER, build_tokenizer

BOS_ID, EOS_ID, PAD_ID, UNK_ID, USER_ID, ASSISTANT_ID, IMAGE_ID = (
    SPECIAL.index(name) for name in (BOS, EOS, PAD, UNK, USER, ASSISTANT, IMAGE)
)


def row(ids: torch.Tensor) -> tuple[list[int], int, list[range]]:
    """A sequence without its padding, the length of what all its turns share, and the places of its turns.

    Turns end with EOS; what comes before the first one is BOS, USER and the picture.
    """
    ids = ids.tolist()
    ends = [i + 1 for i, token in enumerate(ids) if token == EOS_ID]
    ids = ids[: ends[-1]]
    shared = 2 + ids.count(IMAGE_ID)
    return ids, shared, [range(a, b) for a, b in zip([shared, *ends[:-1]], ends, strict=True)]


def is_chat(ids: list[int]) -> bool:
    return ids.count(USER_ID) > 1


@pytest.fixture(scope="module", params=STAGES)
def stage(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def batch(stage):
    return Batches(stage, 0, 1, 24)[0]


def test_a_batch_depends_on_stage_and_step_only(stage):
    whole, resumed = Batches(stage, 0, 9, 3), Batches(stage, 5, 9, 3)
    whole[0]
    for name in ("ids", "labels", "positions", "sees"):
        assert torch.equal(getattr(whole[7], name), getattr(resumed[2], name))
    assert (whole[7].pictures is None) == (stage == "language")
    if stage != "language":
        assert (whole[7].pictures == resumed[2].pictures).all()
    assert whole[7].ids.tolist() != whole[6].ids.tolist()


def test_a_sequence_begins_with_its_picture(stage, batch):
    for ids in batch.ids:
        ids, shared, turns = row(ids)
        assert ids[:shared] == [BOS_ID, USER_ID] + [IMAGE_ID] * FORMS[stage][0].tokens
        assert len(turns) > 1
        for turn in turns:
            assert [ids[i] for i in turn].count(ASSISTANT_ID) == 1
            assert IMAGE_ID not in [ids[i] for i in turn]


def test_a_question_on_its_own_sees_the_picture_and_itself_only(stage, batch):
    seen = 0
    for ids, sees, positions in zip(batch.ids, batch.sees, batch.positions, strict=True):
        ids, shared, turns = row(ids)
        if is_chat(ids):
            continue
        seen += 1
        assert positions[:shared].tolist() == list(range(shared))
        for turn in turns:
            for i in turn:
                assert sees[i].nonzero().flatten().tolist() == [*range(shared), *range(turn.start, i + 1)]
                assert positions[i] == shared + i - turn.start
    assert seen > 2


def test_a_conversation_sees_all_that_came_before():
    data = Batches("instruct", 0, 1, 24)[0]
    rows = [(row(ids)[0], sees, at) for ids, sees, at in zip(data.ids, data.sees, data.positions, strict=True)]
    chats = [(ids, sees, at) for ids, sees, at in rows if is_chat(ids)]
    assert chats
    for ids, sees, positions in chats:
        n = len(ids)
        assert torch.equal(sees[:n, :n], torch.ones(n, n, dtype=torch.bool).tril())
        assert not sees[:n, n:].any()
        assert positions[:n].tolist() == list(range(n))


@pytest.mark.parametrize(("step", "pictures"), [(3, 2), (7, 3)])
def test_a_picture_comes_with_the_first_message_or_a_later_one_and_is_then_asked_about(step, pictures):
    data = Batches("instruct", step, step + 1, 48)[0]
    assert len(data.pictures) == len(data.ids) * pictures
    runs = set()  # how many pictures stand side by side
    for ids, labels, sees in zip(data.ids.tolist(), data.labels, data.sees, strict=True):
        shared = len(ids) - ids[::-1].index(IMAGE_ID)
        lengths = [len(list(run)) for image, run in groupby(ids, key=IMAGE_ID.__eq__) if image]
        assert sum(lengths) == pictures * 64
        runs |= {length // 64 for length in lengths}
        assert torch.equal(sees[:shared, :shared], torch.ones(shared, shared, dtype=torch.bool).tril())
        first = ids.index(ASSISTANT_ID, shared)
        assert sees[first, : first + 1].all() and labels[first + 1] == ids[first + 1]
    assert runs >= {1, 2}


def test_labels_are_the_answers_and_in_the_language_stage_the_questions_too(stage, batch):
    for ids, labels in zip(batch.ids, batch.labels, strict=True):
        ids, _, turns = row(ids)
        spoken = set()
        for turn in turns:
            start = ids.index(ASSISTANT_ID, turn.start) + 1
            spoken |= set(turn if stage == "language" else range(start, turn.stop))
        assert labels.tolist() == [ids[i] if i in spoken else IGNORED for i in range(len(labels))]


def test_no_batch_holds_an_unknown_word(batch):
    assert not (batch.ids == UNK_ID).any()


def test_questions_about_a_picture_differ():
    for ids in Batches("instruct", 3, 4, 24)[0].ids:
        ids, _, turns = row(ids)
        asked = [ids[turn.start : ids.index(ASSISTANT_ID, turn.start)] for turn in turns]
        questions = [tuple(token for token in question if token != USER_ID) for question in asked]
        assert len(set(questions)) == len(questions) > 1


def test_the_tokenizer_knows_every_word_of_questions_and_answers():
    tokenizer, texts = build_tokenizer(), set()
    for seed in range(4000):
        rng = rng_for("test tokenizer", seed)
        scene = Sampler(rng).scene(SCENES[seed % len(SCENES)])
        if question := ask(scene, rng, KINDS[seed % 10]):
            texts |= {question.text, question.answer}
    assert len(texts) > 2000
    texts = sorted(texts)
    for text, ids in zip(texts, tokenizer(texts)["input_ids"], strict=True):
        assert UNK_ID not in ids, text
        assert tokenizer.convert_ids_to_tokens(ids) == re.findall(WORD, text.lower())
