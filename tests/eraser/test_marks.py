from __future__ import annotations

import re

import pytest

from eraser import InputError
from eraser.data.custom.spans import (
    check_spans,
    form_of,
    mark_characters,
    read_marks,
    sentences_of,
    take_out_marks,
)
from eraser.words import cut_words

MARKS = ("[[", "]]")
TEXT = "A truly awful film."  # 4 words, 19 characters


def test_a_span_that_cuts_a_word_marks_it_whole_and_is_counted():
    found = mark_characters("a truly awful film", ((3, 10), (8, 13), (1, 2), (13, 14)))
    assert found.gold.tolist() == [False, True, True, False]
    assert (found.spans, found.cut, found.bare) == (4, 1, 2)


@pytest.mark.parametrize("value", [[[1, 3]], [0, 1, 1, 0], [False, True, True, False], [[1, 2], [2, 3]]])
def test_tokens_are_pairs_or_a_number_for_each_word(value):
    assert read_marks(TEXT, value, "tokens", MARKS).gold.tolist() == [False, True, True, False]


@pytest.mark.parametrize("form", ["chars", "tokens", "none"])
def test_where_no_rationale_is_given_nothing_is_marked_or_taken_out(form):
    found = read_marks("a [[b]]", None, form, MARKS)
    assert (found.text, found.gold.tolist()) == ("a [[b]]", [False, False])


@pytest.mark.parametrize(
    ("text", "marks", "cleaned", "spans"),
    [
        ("no marks", MARKS, "no marks", ()),
        ("[[a]] b[[c d]]", MARKS, "a bc d", ((0, 1), (3, 6))),
        ("[[[a]]]", MARKS, "[a]", ((0, 2),)),
        ("a **b** **c**", ("**", "**"), "a b c", ((2, 3), (4, 5))),
        ("a <b>c</b>", ("<b>", "</b>"), "a c", ((2, 3),)),
        ("a <b<<", ("<", "<<"), "a b", ((2, 3),)),
        ("a .*b+", (".*", "+"), "a b", ((2, 3),)),
    ],
)
def test_marks_are_taken_out(text, marks, cleaned, spans):
    assert take_out_marks(text, *marks) == (cleaned, spans)


@pytest.mark.parametrize(
    ("text", "marks", "got"),
    [
        ("A [[bad film", MARKS, "[[ without ]] at character 2: '[[bad film'"),
        ("A bad]] film", MARKS, "]] without [[ at character 5: ']] film'"),
        ("[[A]] ]][[", MARKS, "]] without [[ at character 6: ']][['"),
        ("A [[bad [[film]]", MARKS, "[[ inside another at character 8: '[[film]]'"),
        ("*A* *bad film", ("*", "*"), "* without * at character 4: '*bad film'"),
    ],
)
def test_marks_that_are_not_in_pairs_are_told(text, marks, got):
    line = f"expected marks {marks[0]} and {marks[1]} in pairs, got {got}"
    with pytest.raises(InputError, match=rf"\A{re.escape(line)}\Z"):
        take_out_marks(text, *marks)


@pytest.mark.parametrize(
    "wrong", [[2, 20], [5, 5], [7, 5], [-1, 5], ["2", 7], [2, 7.5], [2, 7, 9], [True, 7], 2]
)
def test_a_pair_that_is_none_or_out_of_range_is_told(wrong):
    line = f"expected [start, end) in characters, 0 <= start < end <= 19, got {wrong!r}"
    with pytest.raises(InputError, match=rf"\A{re.escape(line)}\Z"):
        read_marks(TEXT, [[0, 19], wrong], "chars", MARKS)


@pytest.mark.parametrize(
    ("value", "form", "line"),
    [
        ({"start": 2}, "chars", "expected a list of [start, end) in characters, got {'start': 2}"),
        (0, "tokens", "expected a list of [start, end) in words, got 0"),
        ([[2, 5]], "tokens", "expected [start, end) in words, 0 <= start < end <= 4, got [2, 5]"),
        (
            [0, 1],
            "tokens",
            "a 0 or 1 for each of 4 words, or a list of [start, end) in words, got 2 items [0, 1]",
        ),
        (
            [0, 2, 0, 0],
            "tokens",
            "for each of 4 words, or a list of [start, end) in words, got 4 items [0, 2, 0, 0]",
        ),
        ([0, None, 0, 0], "tokens", "got 4 items [0, None, 0, 0]"),
        (
            [0, 1, [0, 1]],
            "tokens",
            "0 <= start < end <= 4, got 0\nexpected [start, end) in words, 0 <= start",
        ),
    ],
)
def test_a_rationale_of_another_form_is_told(value, form, line):
    with pytest.raises(InputError, match=re.escape(line)):
        read_marks(TEXT, value, form, MARKS)


@pytest.mark.parametrize(
    ("value", "form", "line"),
    [
        ([[9, 9], [0, 5]], "chars", "[start, end) in characters, 0 <= start < end, got [9, 9]"),
        ([0, 2], "chars", "[start, end) in characters, 0 <= start < end, got 0\n"),
        ([[-1, 2]], "tokens", "[start, end) in words, 0 <= start < end, got [-1, 2]"),
        ("awful", "auto", "a list of [start, end) in words or characters, got 'awful'"),
    ],
)
def test_spans_wrong_beside_any_text_are_told(value, form, line):
    with pytest.raises(InputError, match=rf"\Aexpected {re.escape(line)}"):
        check_spans(value, form)


@pytest.mark.parametrize(("value", "form"), [(None, "chars"), ([[0, 99]], "auto"), ([0, 2], "tokens")])
def test_spans_that_some_text_could_have_pass(value, form):
    check_spans(value, form)


@pytest.mark.parametrize(
    ("rows", "form"),
    [
        ([("a [[b]]", None), ("c", None)], "marks"),
        ([("a [[b", None), ("c ]]", None)], "none"),
        ([("a [[b]] c", [1, 0, 0]), ("c", None)], "tokens"),
        ([("a [[b]] c", "no list"), ("c", None)], "tokens"),
        ([("a bad film", [[2, 5]]), ("good film", [[0, 1]])], "chars"),
        ([("a bad film", [[2, 3]]), ("good film", [[0, 1]])], "auto"),
        ([("a bad film", [[1, 2]]), ("good film", [[0, 1]]), ("bad", [[0, 3]])], "auto"),
        ([("", [[2, 3]]), ("good film", [[0, 1]])], "auto"),
    ],
)
def test_the_form_is_told_from_the_rows_or_left_open(rows, form):
    assert form_of(rows, MARKS) == form


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("A film. Dull!\n\n No? ", (("A", "film.", "Dull!"), ("No?",))),
        (" A film. Dull! No? Yes", (("A", "film."), ("Dull!",), ("No?",), ("Yes",))),
        ("3.5 stars , e.g.this", (("3.5", "stars", ",", "e.g.this"),)),
        ("one\u2028two\r\nthree", (("one",), ("two",), ("three",))),
        (" ", ()),
    ],
)
def test_sentences_end_at_line_breaks_or_else_at_points(text, sentences):
    assert sentences_of(text, cut_words(text, "whitespace")) == sentences


def test_a_text_is_cut_once_however_many_spans_it_has():
    class Counted(str):
        cuts = 0

        def split(self, *how):
            Counted.cuts += 1
            return super().split(*how)

    text = Counted("ab " * 1000)
    assert form_of([(text, [[3 * n, 3 * n + 2] for n in range(1000)])], ("[[", "]]")) == "chars"
    assert Counted.cuts == 1
