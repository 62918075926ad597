"""The payload of an answer's tokens: what was written, how likely it was, and marks for what cannot be seen."""

import json

from mmexplorer.figures.tokens import tokens_payload, visible
from mmexplorer.replies import Reply, TokenChoice

END = (2, "</s>", 0.05)


def choice(token, text, probability, *others):
    return TokenChoice(token, text, probability, others)


def payload(*tokens, **reply):
    text = "".join(token.text for token in tokens)
    return json.loads(tokens_payload(Reply(text, tokens, **reply)))


def test_tokens_come_with_rank_and_alternatives_in_order():
    first = choice(7, "a", 0.9, (7, "a", 0.9), (8, "the", 0.06), END)
    second = choice(8, " the", 0.2, (9, " red", 0.7), (8, " the", 0.2))
    third = choice(50, " odd", 0.001, (9, " red", 0.7), (8, " the", 0.2))
    tokens = payload(first, second, third, settings={"temperature": 0.7})["tokens"]
    assert [token["rank"] for token in tokens] == [1, 2, None]
    assert [token["probability"] for token in tokens] == [0.9, 0.2, 0.001]
    assert [(other["id"], other["text"], other["probability"]) for other in tokens[0]["alternatives"]] == [
        (7, "a", 0.9),
        (8, "the", 0.06),
        (2, "</s>", 0.05),
    ]
    assert [token["space"] for token in tokens] == [False, True, True]
    assert [token["text"] for token in tokens] == ["a", "the", "odd"]


def test_settings_travel():
    both = choice(7, "a", 1.0, (7, "a", 1.0)), choice(8, "b", 0.5, (8, "b", 0.5))
    sampled = payload(*both, model="toy-llava", settings={"temperature": 0.7, "forced": {1: 8}})
    assert (sampled["model"], sampled["temperature"]) == ("toy-llava", 0.7)
    assert [token["forced"] for token in sampled["tokens"]] == [False, True]
    greedy = payload(*both, settings={"forced": None})
    assert greedy["temperature"] == 0 and not any(token["forced"] for token in greedy["tokens"])
    # Settings that were read from JSON have texts as keys.
    assert [token["forced"] for token in payload(*both, settings={"forced": {"0": 7}})["tokens"]] == [True, False]


def test_the_end_is_known_by_the_token_that_ended_the_answer():
    word = choice(7, "a", 0.9, (7, "a", 0.9), END)
    end = choice(2, "", 0.8, (2, "</s>", 0.8), (7, " a", 0.1))
    ended = payload(word, end, ended="end")["tokens"]
    assert ended[1]["kind"] == "end" and ended[1]["text"] == "</s>"
    assert [other["kind"] for other in ended[0]["alternatives"]] == ["text", "end"]
    cut = payload(word, choice(2, "", 0.8, (2, "</s>", 0.8)), ended="length")["tokens"]
    assert cut[1]["kind"] == "special" and cut[0]["alternatives"][1]["kind"] == "text"


def test_a_token_that_adds_no_text_has_a_name():
    part = choice(200, "", 0.6, (200, "<0xE2>", 0.6))
    unnamed = choice(201, "", 0.01, (200, "<0xE2>", 0.6))
    tokens = payload(part, unnamed, choice(7, "a", 1.0, (7, "a", 1.0)), ended="end")["tokens"]
    assert [(token["text"], token["kind"]) for token in tokens] == [
        ("<0xE2>", "special"),
        ("token 201", "special"),
        ("a", "end"),
    ]


def test_nothing_stays_invisible():
    assert visible("a\nb\tc\r") == "a↵b⇥c␍"
    assert visible("\u202eabc\u200b\x00\ud800\u2028") == "‹U+202E›abc‹U+200B›‹U+0000›‹U+D800›‹U+2028›"
    assert visible("größe 図 🙂 é") == "größe 図 🙂 é"
    spaces, lines = payload(choice(1, "   ", 0.5, (1, "   ", 0.5)), choice(3, " \n\n", 0.5), ended="length")["tokens"]
    assert (spaces["text"], spaces["space"]) == ("␣␣␣", False)
    assert (lines["text"], lines["space"], lines["breaks"]) == ("↵↵", True, 2)


def test_hostile_texts_travel_as_text():
    hostile = "<img src=x onerror=alert(1)>${1+1}{{value}}</script>"
    reply = Reply(hostile, (choice(1, hostile, 0.5, (1, hostile, 0.5)),))
    text = tokens_payload(reply)
    assert "<" not in text
    assert json.loads(text)["tokens"][0]["text"] == hostile


def test_an_answer_without_tokens():
    assert payload(ended="stopped")["tokens"] == []
