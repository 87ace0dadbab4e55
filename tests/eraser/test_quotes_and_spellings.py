"""Rationales of a table as people spell them: objects, spans with labels, quotes, listed words."""

from __future__ import annotations

import pytest

from eraser import InputError
from eraser.errors import short_repr
from tests.helpers.eraser.own_files import FILMS, save
from tests.helpers.exports import imported, marked, write

NEG = {"text": "A truly awful film, awful.", "label": "NEG"}
SKIP = "--skip-invalid (of data import, evaluate, trust) leaves such rows out, and says which"
POS = {"text": "A warm and moving film.", "label": "POS"}


@pytest.mark.parametrize(
    "span",
    [
        [2, 13, "R"],
        {"start": 2, "end": 13},
        {"begin": 2, "end": 13, "type": "R"},
        {"start_offset": 2, "end_offset": 13, "label": "R"},
        {"startOffset": 2, "endOffset": 13},
        {"start_char": 2, "end_char": 13, "labels": ["R", "S"]},
        {"start": 2.0, "end": "13"},
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_spans_in_every_spelling_are_one(tmp_path, span, kind):
    rows = [NEG | {"rationale": [span]}, POS | {"rationale": []}]
    path = save(tmp_path / f"x.{kind}", rows)
    assert list(marked(imported(path)).values()) == [("NEG", "truly awful"), ("POS", "")]


@pytest.mark.parametrize(
    ("span", "told"),
    [
        ([0, 99, "R"], "[start, end) in characters, 0 <= start < end <= 26, got [0, 99]"),
        ({"start": 3, "end": 2}, "a span [start, end), 0 <= start < end, got {'start': 3, 'end': 2}"),
        ([3, "x", "R"], "a span [start, end), 0 <= start < end, got [3, 'x', 'R']"),
        ({"start": 3}, "a span [start, end), 0 <= start < end, got {'start': 3}"),
    ],
)
def test_a_span_that_is_none_is_told(tmp_path, span, told):
    rows = [NEG | {"rationale": [span]}, POS | {"rationale": [[2, 6, "R"]]}]
    path = save(tmp_path / "x.jsonl", rows)
    with pytest.raises(InputError) as error:
        imported(path)
    assert str(error.value) == f"{path}:1: test-00001: expected {told}"


def test_quotes_are_found_wherever_they_stand_and_what_is_lost_is_counted(tmp_path):
    rows = [NEG | {"evidences": ["truly  awful", "awful", "dull"]}, POS | {"evidences": ["warm\nand"]}]
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert list(marked(found).values()) == [("NEG", "truly awful awful."), ("POS", "warm and")]
    assert found.notes == (
        "form of the rationales: quotes",
        "column of the rationales: evidences",
        "spans that begin or end inside a word, and mark all of it: 1 of 4 (fewer with --words punctuation)",
        "quotes that do not stand in the text: 1 of 4",
        "quotes that stand in it more than once, and mark every place: 1 of 4",
    )


def test_one_quote_may_stand_in_a_cell_as_it_is(tmp_path):
    path = save(tmp_path / "x.csv", [NEG | {"why": "truly awful"}, POS | {"why": ""}])
    found = imported(path, rationale="why", rationale_form="quotes")
    assert list(marked(found).values()) == [("NEG", "truly awful"), ("POS", "")]


def test_quotes_that_are_no_text_are_told(tmp_path):
    path = write(tmp_path / "x.jsonl", [NEG | {"why": [1]}, POS])
    with pytest.raises(InputError) as error:
        imported(path, rationale="why", rationale_form="quotes")
    assert str(error.value) == f"{path}:1: test-00001: expected a list of quotes from the text, got [1]"


@pytest.mark.parametrize("rationale", [[0, 1, 0], [[1, 2]], [[1, 2, "R"]]])
def test_words_may_be_listed(tmp_path, rationale):
    rows = [{"tokens": ["A", "truly awful", "film."], "label": "NEG", "rationale": rationale},
            {"tokens": ["Warm."], "label": "POS", "rationale": []}]  # fmt: skip
    found = imported(write(tmp_path / "x.jsonl", rows))
    assert list(marked(found).values()) == [("NEG", "truly awful"), ("POS", "")]
    unread = "the column of rationales was not read"
    assert unread not in found.notes
    spans = [NEG | {"rationale": [{"start": 2, "end": 13}]}, POS]
    assert unread in imported(write(tmp_path / "y.jsonl", spans), rationale_form="none").notes


def test_a_span_beyond_the_listed_words_is_told(tmp_path):
    rows = [{"tokens": ["A", "film."], "label": "NEG", "rationale": [[1, 3]]}, POS | {"tokens": ["Warm."]}]
    path = write(tmp_path / "x.jsonl", rows)
    with pytest.raises(InputError) as error:
        imported(path, text="tokens")
    assert str(error.value) == f"{path}:1: test-00001: expected [start, end) in words, end <= 2, got [1, 3]"


@pytest.mark.parametrize(
    ("value", "how"),
    [
        ("['truly', 'awful film']", {}),
        ("['truly', \"awful film\"]", {"rationale_form": "quotes"}),
        ("[(2, 7), (8, 18)]", {"rationale_form": "chars"}),
        ("[{'start': 2, 'end': 7, 'label': None}, {'start': 8, 'end': 18}]", {}),
    ],
)
@pytest.mark.parametrize("column", ["rationale", "evidences"])
def test_lists_as_pandas_writes_them(tmp_path, value, how, column):
    rows = [{"text": "A truly awful film", "label": "NEG", column: value}, POS | {column: "[]"}]
    found = imported(save(tmp_path / "x.csv", rows), **how)
    assert list(marked(found).values()) == [("NEG", "truly awful film"), ("POS", "")]
    assert not any("do not stand" in note for note in found.notes)


@pytest.mark.parametrize(
    "value",
    [
        "['truly' 'awful']",  # as numpy writes it
        "['truly'\n 'awful']",
        "[2 13]",
        "[b'truly']",
        "[{1, 2}]",
        "[__import__('os')]",
        "[" * 5000,
        f"['{'a' * 2**16}']",
    ],
)
def test_what_is_no_list_is_not_guessed_at(tmp_path, value):
    path = save(tmp_path / "x.csv", [NEG | {"rationale": value}, POS | {"rationale": ""}])
    with pytest.raises(InputError) as error:
        imported(path)
    told = f"expected a rationale as a JSON list, got {short_repr(value)}"
    assert str(error.value).splitlines()[0] == f"{path}:2: test-00001: {told}"


def test_the_number_of_each_marked_character(tmp_path):
    """As in the files of SemEval 2021 (toxic spans), which have no classes: a list of numbers, flat."""
    path = tmp_path / "x.csv"
    path.write_text('spans,text\n"[2, 3, 4, 5, 11, 12, 13, 14]",A dull and long film\n[],A warm film\n')
    how = {"rationale": "spans", "label_from": "spans", "rationale_form": "chars"}
    assert list(marked(imported(path, **how)).values()) == [("marked", "dull long"), ("none", "")]
    rows = [NEG | {"why": value} for value in ([2, 13], [3, 2, 4], [24, 25, 26])]
    other = write(tmp_path / "x.jsonl", [*rows, POS])
    with pytest.raises(InputError) as error:
        imported(other, rationale="why", rationale_form="chars")
    pair = "expected [start, end) in characters, 0 <= start < end <= 26, got"
    assert str(error.value).splitlines() == [
        *(f"{other}:1: test-00001: {pair} {n}" for n in (2, 13)),
        *(f"{other}:2: test-00002: {pair} {n}" for n in (3, 2, 4)),
        f"{other}:3: test-00003: {pair} [24, 27]",
    ]


def test_rows_that_are_invalid_are_left_out_counted_and_named(tmp_path):
    rows = [*FILMS, FILMS[0], FILMS[0] | {"id": ""}, FILMS[0] | {"id": "d", "label": ""},
            FILMS[0] | {"id": "e", "rationale": [[2, 99]]}]  # fmt: skip
    path = save(tmp_path / "x.jsonl", rows)
    with path.open("a") as file:
        file.write("oops\n")
    found = imported(path, rationale_form="chars", skip_invalid=True)
    assert marked(found) == {"a": ("NEG", "truly awful"), "b": ("POS", "warm"), "c": ("POS", "")}
    assert found.notes == (
        "form of the rationales: chars",
        "rows left out as invalid: 5: a, test-00005, d, e, line 8",
        f"left out: {path}:4: a: duplicate id, first at {path}:1",
        f"left out: {path}:5: test-00005: expected a non-empty string in column 'id', got ''",
        f"left out: {path}:6: d: expected a non-empty string in column 'label', got ''",
        f"left out: {path}:7: e: expected [start, end) in characters, 0 <= start < end <= 19, got [2, 99]",
        f"left out: {path}:8: expected one JSON object, got Expecting value: line 1 column 1 (char 0)",
    )


def test_a_file_without_a_valid_row_is_refused_all_the_same(tmp_path):
    path = save(tmp_path / "x.jsonl", [FILMS[0] | {"label": ""}])
    with pytest.raises(InputError) as error:
        imported(path, rationale_form="chars", skip_invalid=True)
    assert str(error.value) == f"{path}:1: a: expected a non-empty string in column 'label', got ''"
