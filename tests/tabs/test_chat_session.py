from pathlib import Path

import pytest
from PIL import Image

from mmexplorer.replies import Reply, TokenChoice
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs.chat_code import python_code

TOKEN = TokenChoice(1, "two", 0.5, ((1, "two", 0.5),))


@pytest.fixture
def talk(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "get_upload_folder", lambda: str(tmp_path))
    pictures = (Image.new("RGB", (8, 8), "red"), Image.new("RGB", (2_000, 10), "blue"))
    first = session.new_exchange("how many?", pictures)
    reply = Reply("two", (TOKEN,), model="toy-llava", settings={"temperature": 0.0, "seed": 3})
    answered = session.Exchange(first.question, first.pictures, reply, first.files)
    return answered, session.new_exchange("sure? <image> & &lt;", ())


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
    assert [session.exchange_of(index, talk) for index in range(6)] == [0, 0, 0, 0, 1, 1]


def test_the_newest_answer_is_chosen_unless_another_is(talk):
    assert session.chosen(talk, None) == session.chosen(talk, 1) == session.chosen(talk, 7) == 0
    assert session.chosen((talk[0], talk[0]), 0) == 0 and session.chosen((talk[0], talk[0]), None) == 1
    assert session.chosen(talk[1:], None) is None


def test_the_pictures_of_the_last_question_that_had_any_are_shown_first(talk):
    assert session.newest_picture(talk) == 0
    assert session.newest_picture((*talk, talk[0], talk[1])) == 2
    assert session.newest_picture(()) == 0


def test_a_new_job_supersedes_the_old_one_and_stop_reaches_only_the_running_one():
    with session.job("a") as old, session.job("b") as other:
        assert session.is_current("a", old)
        with session.job("a") as new:
            assert old.is_set() and not session.is_current("a", old) and session.is_current("a", new)
            session.stop("a")
            assert new.is_set() and session.is_current("a", new) and not other.is_set()
        session.supersede("b")
        assert other.is_set() and not session.is_current("b", other)
    session.stop("a")


def test_the_code_on_the_page_is_python_and_names_what_was_said(talk):
    code = python_code(talk[:1])
    compile(code, "code", "exec")
    assert "('user'" not in code and '"how many?"' in code.replace("'", '"') and "seed=3" in code
    assert "picture-1.png" in code and "picture-2.png" in code
