import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmexplorer.errors import Refusal
from mmexplorer.replies import Attention, Reply, TokenChoice
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs.chat_code import python_code

TOKEN = TokenChoice(1, "two", 0.5, ((1, "two", 0.5),))


@pytest.fixture
def talk(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "get_upload_folder", lambda: str(tmp_path))
    pictures = (Image.new("RGB", (8, 8), "red"), Image.new("RGB", (2_000, 10), "blue"))
    first = session.new_exchange("how many?", pictures)
    reply = Reply("two", (TOKEN,), model="toy-llava", settings={"temperature": 0.0, "seed": 3})
    return replace(first, reply=reply), session.new_exchange("sure? <image> & &lt;", ())


def test_the_model_is_asked_up_to_the_last_question(talk):
    assert [(turn.role, turn.text, len(turn.pictures)) for turn in session.turns(talk)] == [
        ("user", "how many?", 2), ("assistant", "two", 0), ("user", "sure? <image> & &lt;", 0),
    ]  # fmt: skip
    assert session.turns(()) == ()


def test_pictures_are_messages_of_their_own_and_texts_cannot_be_markup(talk):
    shown = session.messages(talk, "no<b>")
    assert [message["role"] for message in shown] == ["user", "user", "user", "assistant", "user", "assistant"]
    assert max(Image.open(shown[1]["content"]["path"]).size) == session.SHOWN_SIDE
    texts = [message["content"] for message in shown[2:]]
    assert not any(f"{mark}{letter}" in text for text in texts for mark in "<&" for letter in "ibl")
    assert [session.typed(text) for text in texts] == ["how many?", "two", "sure? <image> & &lt;", "no<b>"]


def test_thumbnails_that_were_cleaned_away_are_written_again(talk):
    path = Path(talk[0].files[0])
    path.unlink()
    assert session.messages(talk)[0]["content"]["path"] == str(path) and path.exists()


def test_every_message_leads_to_its_exchange(talk):
    assert [session.exchange_of(index, talk) for index in range(5)] == [0, 0, 0, 0, 1]
    for index in (-1, 5, 10**9):
        with pytest.raises(Refusal, match="not in the conversation any more"):
            session.exchange_of(index, talk)


def test_the_newest_answer_is_chosen_unless_another_is(talk):
    assert session.chosen(talk, None) == session.chosen(talk, 1) == session.chosen(talk, 7) == 0
    assert session.chosen((talk[0], talk[0]), 0) == 0 and session.chosen((talk[0], talk[0]), None) == 1
    assert session.chosen(talk[1:], None) is None


def test_the_pictures_of_the_last_question_that_had_any_are_shown_first(talk):
    assert session.newest_picture(talk) == 0
    assert session.newest_picture((*talk, talk[0], talk[1])) == 2
    assert session.newest_picture(()) == 0


def attended(images, size: int) -> Attention:
    rows = np.zeros((1, size, 1), np.float16)
    return Attention(tuple(images), (), (), rows, rows, np.zeros((1, 1, 0, 4), np.float32))


def test_a_reply_gets_its_maps_and_the_pictures_of_its_conversation_back(talk):
    said = Reply("yes", (TOKEN,), attention=attended(talk[0].pictures, 3))
    done = session.answered(talk, said)
    assert done[0] is talk[0] and done[1].reply.attention is None
    again = session.with_maps(done)
    assert [image.tobytes() for image in again.attention.images] == [p.tobytes() for p in talk[0].pictures]
    assert np.array_equal(again.attention.mean, said.attention.mean) and again.text == "yes"
    assert session.with_maps(done[:1]) is talk[0].reply


def test_the_oldest_maps_make_room_and_their_answers_stay(monkeypatch):
    one = len(pickle.dumps(attended((), 10), pickle.HIGHEST_PROTOCOL))
    monkeypatch.setattr(session, "MAPS_BYTES", 2.5 * one)
    talk = ()
    for number in range(4):
        reply = Reply(str(number), (TOKEN,), attention=attended((), 10))
        talk = session.answered((*talk, session.new_exchange("what?", ())), reply)
    assert [exchange.maps is not None for exchange in talk] == [False, False, True, True]
    assert [exchange.reply.remarks for exchange in talk] == [(session.MAPS_GONE,)] * 2 + [()] * 2
    assert [exchange.reply.text for exchange in talk] == ["0", "1", "2", "3"]
    alone = session.answered(talk[:1], Reply("large", (TOKEN,), attention=attended((), 10_000)))
    assert alone[0].maps is not None


def test_what_was_typed_can_be_sent_back():
    assert session.typed(f" a<{session.GAP}b> \ud800 ") == "a<b> ?" and session.typed(None) == ""
    session.typed("\udfff x").encode()


def test_the_code_on_the_page_is_python_and_names_what_was_said(talk):
    code = python_code(talk[:1])
    compile(code, "code", "exec")
    assert "('user'" not in code and '"how many?"' in code.replace("'", '"') and "seed=3" in code
    assert "pictures/1-1.png" in code and "pictures/1-2.png" in code  # as in the ZIP
