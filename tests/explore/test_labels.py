"""Labels as people type and upload them, and the ready-made sets."""

import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import labels
from mmexplorer.explore.labels import LABEL_SETS, TEMPLATE_SETS, labels_from_csv, labels_from_text
from mmexplorer.explore.zero_shot import MAX_GROUNDED, MAX_LABELS, clean_labels


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a cat, a dog;a bird", ["a cat", "a dog", "a bird"]),
        ("a cat\na dog", ["a cat", "a dog"]),
        ("  a cat  \r\n\n a dog\n", ["a cat", "a dog"]),
        ("red, green and blue\na dog", ["red, green and blue", "a dog"]),  # a comma counts on a single line only
        ("a cat,\n", ["a cat"]),
        (",;,", []),
        (" \n ", []),
        ("", []),
        (None, []),
    ],
)
def test_typed_labels(typed, meant):
    assert labels_from_text(typed) == meant


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        (b"a cat\na dog\n", ["a cat", "a dog"]),
        (b"id,label,n\n1,a cat,3\n2,a dog,4\n", ["a cat", "a dog"]),
        (b"ID;Class\n1;a cat\n2;\n3\n", ["a cat"]),
        (b"Name\tid\na cat\t1\n", ["a cat"]),
        (b'label\n"red, green"\n"say ""hi"""\n', ["red, green", 'say "hi"']),
        (b"\xef\xbb\xbflabel\r\na cat\r\n\r\n", ["a cat"]),
        ("labels\nein grüner Stern\n".encode(), ["ein grüner Stern"]),
        (b"first,second\n\n  ,x\nthird,y\n", ["first", "third"]),  # no such column: the first, without a header
    ],
)
def test_labels_of_a_csv(tmp_path, content, meant):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    assert labels_from_csv(path) == meant


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "mine.csv holds no labels; put one in each row."),
        (b"\n \n,,\n", "mine.csv holds no labels; put one in each row."),
        (b"label\n\n", "mine.csv holds no labels; put one in each row."),
        ("naïve\n".encode("latin-1"), "mine.csv is not UTF-8 text; save the labels as CSV in UTF-8."),
        (b"PK\x03\x04\x00\x00", "mine.csv is not a text file; save the labels as CSV in UTF-8."),
        (b"x" * 1_000_001, "mine.csv is larger than 1 MB; a list of labels is a small text file."),
        (b'"' + b"x" * 200_000 + b'"', "mine.csv cannot be read as CSV: "),
    ],
)
def test_files_that_are_no_lists_are_refused(tmp_path, content, sentence):
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(Refusal) as caught:
        labels_from_csv(path)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).count(".") == sentence.count(".") + sentence.endswith(": ")


def test_ready_made_labels_can_all_be_scored_as_they_are():
    for name, given in LABEL_SETS.items():
        assert clean_labels(given) == (given, ()), name
        assert len(given) <= MAX_LABELS
    assert len(LABEL_SETS["Colours x shapes (90)"]) == 90 > MAX_GROUNDED
    assert {"a red circle", "an orange arrow"} < set(LABEL_SETS["Colours x shapes (90)"])


def test_ready_made_labels_survive_the_field_they_are_shown_in():
    for given in LABEL_SETS.values():
        assert labels_from_text("\n".join(given)) == list(given)


def test_every_template_has_one_place_for_the_label():
    for templates in TEMPLATE_SETS.values():
        assert all(template.count("{}") == 1 for template in templates)
    assert len(TEMPLATE_SETS["Ensemble of 8 templates"]) == 8
    assert labels.TEMPLATE_SETS["The label alone"] == ("{}",)
