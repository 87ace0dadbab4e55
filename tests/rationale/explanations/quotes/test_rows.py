"""A file of answers becomes a row: words picked, everything counted, nothing guessed."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest

from eraser import InputError, Text
from rationale.explanations.quotes.rows import QuoteForm, import_quotes, share_found
from rationale.explanations.read import read_explanations
from tests.helpers.paths import data

DULL = "A Dull film, dull from the start."
TEXTS = {
    "1": Text.of("1", DULL, "whitespace"),
    "2": Text.of("2", "Warm and moving .", "whitespace"),
    "3": Text.of("3", "No heart .", "whitespace"),
}


def write(tmp_path, *rows):
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def imported(tmp_path, *rows, **form):
    return import_quotes(write(tmp_path, *rows), TEXTS, "model", QuoteForm(**form))


def picked(method, id):
    return np.flatnonzero(method.examples[id].selected).tolist()


def test_words_are_picked_and_everything_is_counted(tmp_path):
    found = imported(
        tmp_path,
        {"id": 1, "label": "NEG", "quotes": ["dull", "from the  start", "boring"]},
        {"id": "2", "label": "POS", "quotes": '1. "warm and"\n2. moving'},
        {"id": "3", "label": None, "quotes": '{"quotes": ["art", 7]}'},
    )
    assert [picked(found, id) for id in TEXTS] == [[3, 4, 5, 6], [0, 1, 2], []]
    assert [found.examples[id].label for id in TEXTS] == ["NEG", "POS", None]
    assert found.counts == {
        "quotes": 6,
        "entries without a quote": 1,
        "answers that are a list of quotes": 1,
        "answers that are numbered or bulleted lines": 1,
        "answers that are JSON": 1,
        "quotes found as written": 2,
        "quotes found with case folded": 1,
        "quotes found with white space and punctuation relaxed": 1,
        "quotes not in the text": 2,
        "quotes that are only parts of words (of those not in the text)": 1,
        "answers without a quote that is in the text": 1,
    }
    assert sum(share_found(found).values()) == 2 * found.counts["quotes"]
    assert found.chooses
    assert not found.ranks


def test_of_a_repeated_passage_all_occurrences_are_picked_or_the_first(tmp_path):
    rows = {"id": "1", "quotes": ["DULL"]}
    assert picked(imported(tmp_path, rows), "1") == [1, 3]
    first = imported(tmp_path, rows, repeated="first")
    assert picked(first, "1") == [1]
    assert first.counts["quotes that stand there more than once (of those found)"] == 1
    assert first.settings == {"form": "quotes", "repeated": "first"}


def test_answers_that_are_missing_or_cannot_be_read_are_left_out_and_named(tmp_path):
    found = imported(
        tmp_path,
        {"id": "1", "quotes": None},
        {"id": "2", "quotes": "It is just good."},
        {"id": "3", "quotes": "[]"},
        {"id": "4", "quotes": ["elsewhere"]},
    )
    assert list(found.examples) == ["3"]
    assert found.notes == (
        "1 of 4 rows are of other examples than the data set's",
        "no answer in 1 of 3 rows, left out (1)",
        "an answer that cannot be read in 1 of 3 rows, left out (2)",
    )


def test_of_an_answer_whose_quotes_were_not_read_the_text_is_looked_at(tmp_path):
    """As `rationale llm ask` writes it."""
    found = imported(
        tmp_path,
        {"id": "1", "label": None, "quotes": None, "answer": "It is just dull."},
        {"id": "2", "label": "POS", "quotes": None, "answer": '["Warm"]'},
        {"id": "3", "label": None, "quotes": None, "answer": None},
    )
    assert picked(found, "2") == [0]
    assert found.notes == (
        "no answer in 1 of 3 rows, left out (3)",
        "an answer that cannot be read in 1 of 3 rows, left out (1)",
    )


def test_fields_inside_objects_and_labels_of_other_names(tmp_path):
    row = {"no": 2.0, "llms": {"m": {"label": 1, "why": '[{"because": "Warm", "quotes": "and"}]'}}}
    form = {"id": "no", "label": "llms.m.label", "quotes": "llms.m.why", "labels": {"1": "POS"}}
    found = imported(tmp_path, row, key="because", **form)
    assert (found.examples["2"].label, picked(found, "2")) == ("POS", [0])


def test_its_file_comes_back(tmp_path):
    found = imported(tmp_path, {"id": "1", "label": "NEG", "quotes": ["dull"]}, {"id": "2", "quotes": []})
    again = read_explanations(found.save(tmp_path / "model.jsonl"))
    assert again.identity == found.identity
    assert picked(again, "1") == [3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", ":1: expected one JSON object a line, got Expecting value"),
        ("[]", ":1: expected one JSON object a line, got []"),
        ('{"quotes": []}', ":1: expected an id in 'id', got None"),
        ('{"id": "1"}', ":1: 1: expected quotes in a field quotes, rationales, rationale, answer"),
        ('{"id": "1", "label": [], "quotes": []}', ":1: 1: expected a label that is a text or a number"),
        ('{"id": "9", "quotes": []}', ": expected an id of the data set, got ['9']"),
        ('{"id": "1", "quotes": 3}', ": expected an answer with quotes, got an answer that cannot"),
    ],
)  # fmt: skip
def test_files_that_are_none_of_quotes_are_refused(tmp_path, line, message):
    file = tmp_path / "a.jsonl"
    file.write_text(line)
    with pytest.raises(InputError) as caught:
        import_quotes(file, TEXTS, "model", QuoteForm())
    assert str(caught.value).startswith(f"{file}{message}")


def test_one_example_twice_and_unknown_rules_are_refused(tmp_path):
    row = {"id": "1", "quotes": []}
    with pytest.raises(InputError, match="1: the example is explained twice"):
        imported(tmp_path, row, row)
    with pytest.raises(InputError, match="expected repeated passages by one of all, first, got 'last'"):
        imported(tmp_path, row, repeated="last")


PUBLISHED = {  # of 263 sentences: answers read as they are, mended, among other text, not read, missing
    "llama3": (253, 5, 0, 0, 5, 1070, 992 + 14 + 1),
    "mistral": (240, 8, 4, 7, 4, 1021, 946 + 14 + 5),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_answers_of_two_language_models(tmp_path, model):
    """Strictly read, 55 and 49 of 1,036 and 941 quotes do not stand in the sentence, 5 and 21 are no JSON.

    Here more answers are read, and a passage that is only part of a word does not stand there.
    """
    with tarfile.open(data("other_formats", ".tar.xz")) as tar:
        lines = tar.extractfile("other_formats/llm_rationales/sst_llms.jsonl").read()
    file = tmp_path / "sst.jsonl"
    file.write_bytes(lines)
    rows = [json.loads(line) for line in lines.splitlines()]
    texts = {row["id"]: Text.of(row["id"], row["text"], "whitespace") for row in rows}
    form = QuoteForm(label=f"llms.{model}.label", quotes=f"llms.{model}.rationales")
    found = import_quotes(file, texts, model, form)
    read, mended, among, unread, missing, quotes, there = PUBLISHED[model]
    assert len(found.examples) == read + mended + among == 263 - unread - missing
    assert found.counts["answers that are JSON"] == read
    assert found.counts["answers that are JSON that was repaired"] == mended
    assert found.counts["quotes"] == quotes
    assert found.counts["quotes not in the text"] == quotes - there

    strict = [row["llms"][model]["rationales"] for row in rows]
    answers = [
        parsed for text in strict if text is not None and (parsed := _a_list_of_quotes(text)) is not None
    ]
    said = [
        (q, row["text"]) for row in rows for q in (_a_list_of_quotes(row["llms"][model]["rationales"]) or ())
    ]
    absent = sum(q.casefold() not in text.casefold() for q, text in said)
    no_json = 263 - missing - len(answers)
    assert (len(said), absent, no_json) == {"llama3": (1036, 55, 5), "mistral": (941, 49, 21)}[model]


def _a_list_of_quotes(text):
    """Return the quotes of an answer that is a list of objects with a quote each, and nothing else."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return None
    strict = isinstance(value, list) and all("rationales" in entry for entry in value)
    return [entry["rationales"] for entry in value] if strict else None
