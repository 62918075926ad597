"""Experiment cards: the shipped ones are whole, and a faulty one is refused with its name."""

import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import experiments
from mmexplorer.explore.experiments import cards

FIELDS = {
    "title": "A title",
    "predict": "What?",
    "look_for": "that.",
    "explanation": "because.",
    "source": "a paper",
    "pictures": "[a.png]",
    "labels": "[a cat]",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a card of a new tab and gives that tab's cards."""
    monkeypatch.setattr(experiments, "ASSETS", tmp_path)
    (tmp_path / "experiments" / "new").mkdir(parents=True)
    (tmp_path / "images" / "new").mkdir(parents=True)
    (tmp_path / "images" / "new" / "a.png").touch()

    def write(name="1-card", **changes):
        text = "\n".join(f"{key}: {value}" for key, value in (FIELDS | changes).items() if value is not None)
        (tmp_path / "experiments" / "new" / f"{name}.yaml").write_text(text, encoding="utf-8")
        cards.cache_clear()
        return cards("new")

    yield write
    cards.cache_clear()


def test_the_six_shipped_cards_are_whole():
    shipped = cards("zero_shot")
    assert [card.key.split("-")[0] for card in shipped] == list("123456")
    for card in shipped:
        assert all((card.title, card.predict, card.look_for, card.explanation, card.source))
        assert len(card.labels) >= 2
        assert all(path.is_file() for path in card.paths)


def test_a_tab_without_cards_has_none():
    assert cards("no such tab") == ()


def test_fields_and_defaults(write):
    (card,) = write(explanation=">\n  two\n  lines\n")
    assert (card.key, card.tab, card.title, card.explanation) == ("1-card", "new", "A title", "two lines")
    assert (card.pictures, card.labels, card.models, card.templates) == (("a.png",), ("a cat",), ("toy-clip",), ("{}",))


def test_cards_come_in_the_order_of_their_file_names(write):
    write("2-second")
    assert [card.key for card in write("1-first")] == ["1-first", "2-second"]


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"colour": "red"}, ValueError, "1-card.yaml has unknown fields: colour."),
        ({"pictures": "[b.png]"}, ValueError, "1-card.yaml names a picture that does not exist: b.png."),
        ({"predict": None}, ValueError, "1-card.yaml has missing fields: predict."),
        ({"look_for": None, "source": None}, ValueError, "1-card.yaml has missing fields: look_for, source."),
        ({"models": "[toy-clap]"}, Refusal, "toy-clap"),
    ],
)
def test_a_faulty_card_is_refused(write, changes, error, sentence):
    with pytest.raises(error, match=sentence):
        write(**changes)
