"""Labels and quotes are collected, stored whole, and go on where they stopped."""

from __future__ import annotations

import json

import pytest

from eraser import Dataset, Document, Example, InputError
from rationale.llm.ask import asking, label_of
from rationale.llm.asking import read_answers
from rationale.llm.endpoint import Endpoint
from rationale.llm.prompts import ASK
from tests.helpers.llm_server import completion, serving

TEXTS = {"a": "A dull film .", "b": "A warm film .", "c": "Nothing ."}


def dataset(query=None):
    documents = {id: Document(id, (tuple(text.split()),)) for id, text in TEXTS.items()}
    examples = tuple(
        Example(id, (id,), label, query) for id, label in zip("abc", ("NEG", "POS", "NEG"), strict=True)
    )
    return Dataset("films", documents, {"test": examples})


def answer(question):
    if "warm" in question:
        return '```json\n{"label": "pos", "quotes": ["warm"]}\n```'
    if "dull" in question:
        return completion('{"label": "NEG", "quotes": ["dull", "fil', ended="length")
    return "I cannot say."


def work(url, folder, **more):
    made = dataset()
    return asking(Endpoint(url, "tiny", temperature=0.5, **more), made, made.examples("test"), ASK, folder)


def test_answers_are_stored_with_model_and_temperature(tmp_path):
    with serving(answer) as (url, requests):
        asked = work(url, tmp_path / "out")
        assert not asked.claimed()
        assert list(asked.left()) == ["a", "b", "c"]
        asked.ask()
        assert work(url, tmp_path / "out").claimed()
    assert len(requests) == 3
    a, b, c = read_answers(tmp_path / "out" / "answers.jsonl")
    assert b == {
        "id": "b",
        "label": "POS",
        "quotes": ["warm"],
        "answer": '```json\n{"label": "pos", "quotes": ["warm"]}\n```',
        "ended": "stop",
        "model": "tiny",
        "temperature": 0.5,
        "prompt_tokens": 7,
        "tokens": 3,
    }
    assert (a["label"], a["quotes"], a["ended"]) == ("NEG", None, "length")
    assert (c["label"], c["quotes"]) == (None, None)
    assert asked.told() == (
        "3 answers, 1 without a label of the data set, 2 without quotes that can be read, "
        "1 cut at --max-tokens"
    )


def test_what_was_asked_in_another_way_is_not_taken_for_it(tmp_path):
    with serving(answer) as (url, _):
        first = work(url, tmp_path / "out")
        first.claimed()
        first.ask()
        with pytest.raises(InputError, match=r"the folder holds results with other max_tokens \(512 there\)"):
            work(url, tmp_path / "out", max_tokens=100).claimed()
        again = work(url, tmp_path / "out", max_tokens=100)
        assert not again.claimed(overwrite=True)
        assert len(again.left()) == 3


def test_a_query_is_asked_where_queries_differ():
    made = dataset()
    examples = [Example(e.id, e.doc_ids, e.label, f"{e.id}?") for e in made.examples("test")]
    made = Dataset("films", made.documents, {"test": tuple(examples)})
    found = asking(Endpoint("https://a.example", "m"), made, examples, ASK, None)
    assert "Question: a?\n\nText:\nA dull film ." in found.questions["a"]
    same = dataset("why?")
    found = asking(Endpoint("https://a.example", "m"), same, same.examples("test"), ASK, None)
    assert "why?" not in found.questions["a"]


@pytest.mark.parametrize(
    ("said", "label"),
    [
        (json.dumps({"label": "NEG", "quotes": ['"label": "POS"']}), "NEG"),
        ('{"label" : "neg", "quotes": [', "NEG"),
        ("POS", "POS"),
        ('{"Label": "POS"}', "POS"),
        ('<think>{"label": "NEG"} might fit.</think>{"label": "POS", "quotes": ["warm"]}', "POS"),
        ("<think>Perhaps NEG.</think>\nPOS", "POS"),
        ('{"label": "NEG"} or {"label": "POS"}', None),
        ('{"label": "neg"}, as said: {"label": "NEG"}', "NEG"),
        ('{"label": "good"}', None),
        ('{"label": null}', None),
        ('{"label": "\\q"}', None),
    ],
)
def test_the_label_of_an_answer(said, label):
    assert label_of(said, ("NEG", "POS")) == label


def test_no_example_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected an example to ask about, got none"):
        asking(Endpoint("https://a.example", "m"), dataset(), [], ASK, tmp_path)
