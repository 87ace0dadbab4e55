"""The questions and how their answers are read."""

from __future__ import annotations

import math

import pytest

from eraser import InputError
from rationale.llm.prompts import (
    ASK,
    CLASSIFY,
    filled,
    label_lettered,
    label_named,
    letters,
    probabilities,
    read_prompt,
    refuse_strange,
    tokens_of,
)

LABELS = ("NEG", "POS")


def test_what_stands_in_a_text_is_no_field():
    asked = filled(ASK, "a {labels} film {query}", LABELS, "any {text}?")
    assert "The labels: NEG, POS\n" in asked
    assert asked.endswith("Question: any {text}?\n\nText:\na {labels} film {query}\n")
    assert '{"label": "the label", "quotes": ["a passage", "another passage"]}' in asked


def test_letters_stand_for_labels():
    assert filled(CLASSIFY, "x", LABELS).count("A: NEG\nB: POS\n") == 1
    assert letters(("x", "y", "z")) == {"A": "x", "B": "y", "C": "z"}


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("POS", "POS"),
        (" pos.", "POS"),
        ('"Neg"', "NEG"),
        ("**POS**", "POS"),
        ("positive", None),
        ("", None),
        (None, None),
    ],
)
def test_a_label_that_is_named(said, label):
    assert label_named(said, LABELS) == label


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("A", "NEG"),
        ("b", "POS"),
        ("(B)", "POS"),
        ("**B**", "POS"),
        ('"B"', "POS"),
        ("'B'", "POS"),
        ("`B`.", "POS"),
        ("[B]", "POS"),
        ("_b_", "POS"),
        ("B: **POS**", "POS"),
        ("**B:** POS", "POS"),
        ("**B**: NEG", None),
        ("Bad", None),
        ("B-film", None),
        ("A's", None),
        ("B: POS", "POS"),
        ("B: NEG", None),  # which?
        ("C", None),
        ("A film about POS", None),
        ("pos", "POS"),
        ("", None),
    ],
)
def test_a_label_by_its_letter(said, label):
    assert label_lettered(said, LABELS) == label


def test_a_reply_of_line_ends_is_read_in_one_go():
    assert label_lettered("\n" * 100_000, LABELS) is None
    assert label_lettered("\n" * 100_000 + "(b)", LABELS) == "POS"


def test_probabilities_are_those_of_the_letters():
    first = {"A": math.log(0.6), " B": math.log(0.1), "b": math.log(0.1), "The": math.log(0.2)}
    assert probabilities(first, LABELS) == pytest.approx({"NEG": 0.75, "POS": 0.25})
    assert probabilities({"A": math.log(0.3), "The": math.log(0.7)}, LABELS) is None
    assert probabilities(None, LABELS) is None
    assert probabilities({"A": math.nan}, LABELS) is None


def test_a_prompt_of_ones_own(tmp_path):
    file = tmp_path / "prompt.txt"
    file.write_text("{labels}? {text}")
    assert read_prompt(file, ASK, ("text", "labels")) == "{labels}? {text}"
    assert read_prompt(None, ASK, ("text", "labels")) == ASK
    file.write_text("{text}")
    with pytest.raises(
        InputError, match=r"expected a prompt with \{text\} and \{labels\}, got none with \{labels\}"
    ):
        read_prompt(file, ASK, ("text", "labels"))
    file.write_bytes(b"\xff{text}")
    with pytest.raises(InputError, match="expected UTF-8 text"):
        read_prompt(file, ASK, ("text",))
    with pytest.raises(InputError, match=r"the file cannot be read: No such file"):
        read_prompt(tmp_path / "none", ASK, ("text",))


def test_labels_that_cannot_be_told_apart_are_refused():
    with pytest.raises(InputError, match="expected labels that differ in more than upper and lower case"):
        refuse_strange(("pos", "POS"))
    with pytest.raises(InputError, match="expected at most 26 labels, got 27"):
        refuse_strange(tuple(map(str, range(27))))


def test_tokens_are_about_a_quarter_of_the_characters():
    assert [tokens_of(text) for text in ("", "abc", "abcde" * 100)] == [0, 1, 125]
