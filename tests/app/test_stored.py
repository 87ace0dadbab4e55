"""Rationales stored in run folders, and those of runs that do not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rationale_viewer.compute.agreement import AS_STORED, judged_of, resized
from rationale_viewer.compute.stored import MOST_FAULTS, Origin, origin_of, read_stored, stored_methods

from eraser import Dataset, Document, Evidence, Example, InputError, Prediction, Span
from eraser.files.whole import write_json
from tests.helpers.app.stored import write_stored


@pytest.fixture
def folder(tmp_path, sample):
    return write_stored(tmp_path / "one", sample)


def test_methods_are_listed_in_the_order_of_the_project(folder, tmp_path):
    assert list(stored_methods(folder)) == ["attention", "lime", "mine"]
    assert stored_methods(tmp_path / "nothing") == {}


def test_what_was_written_is_read(folder, sample):
    stored = read_stored(folder / "predictions" / "lime.jsonl", sample)
    assert stored.split == "test"
    examples = sample.splits["test"][:6]
    assert list(stored.predictions) == [e.id for e in examples]
    for example in examples:
        found, n = stored.predictions[example.id], len(sample.text(example).words)
        np.testing.assert_array_equal(found.scores, np.arange(n))
        assert found.rationale.nonzero()[0].tolist() == [n - 3, n - 2, n - 1]
        assert (found.label, found.probs) == ("POS", {"NEG": 0.25, "POS": 0.75})


def test_documents_of_an_example_stand_one_after_another(tmp_path):
    documents = {d: Document(d, (words,)) for d, words in (("a", ("x", "y")), ("b", ("z",)))}
    gold = frozenset({frozenset({Evidence("b", Span(0, 1))})})
    example = Example("e", ("b", "a"), "POS", gold=gold)
    dataset = Dataset("two", documents, {"val": (example,)})
    folder = write_stored(tmp_path / "run", dataset, ("lime",), "val")
    found = read_stored(folder / "predictions" / "lime.jsonl", dataset)
    np.testing.assert_array_equal(found.predictions["e"].scores, [0, 1, 2])
    assert found.split == "val"


def test_the_size_of_a_stored_rationale_can_be_changed(folder, sample):
    example = sample.splits["test"][0]
    prediction = read_stored(folder / "predictions" / "lime.jsonl", sample).predictions[example.id]
    assert resized(sample, example, prediction, AS_STORED) is prediction
    one = judged_of(sample, example, resized(sample, example, prediction, "gold"))
    n, marked = len(one.gold), int(one.gold.sum())
    assert one.selected.nonzero()[0].tolist() == list(range(n - marked, n))
    hit = (one.selected & one.gold).sum()
    assert one.agreement["token_f1"] == pytest.approx(hit / marked)
    assert one.predicted == "POS"


def test_words_that_were_only_picked_are_never_more(sample):
    example = sample.splits["test"][0]
    n = len(sample.text(example).words)
    picked = np.arange(n) == n - 1
    prediction = Prediction(example.id, "POS", {"NEG": 0.1, "POS": 0.9}, picked.astype(float), picked)
    for budget in ("ratio=0.5", "top=3"):
        assert resized(sample, example, prediction, budget).rationale.nonzero()[0].tolist() == [n - 1]


def test_origin_is_told(folder, tmp_path):
    origin = origin_of(folder)
    assert origin == Origin("sample test", "a-model", "gold", "ratio=0.2")
    origin = origin_of(tmp_path)
    assert origin == Origin("?", "?", "?", "?", "word")
    write_json(tmp_path / "scores.json", {"run": {"settings": 3, "budgets": None}})
    with pytest.raises(InputError, match='^this run cannot be read: .*"settings" of kind dict, got 3$'):
        origin_of(tmp_path)


def changed(path, change):
    """Change the first record of a file."""
    first, *others = path.read_text().splitlines()
    record = json.loads(first)
    change(record)
    path.write_text("\n".join([json.dumps(record), *others]) + "\n")


def of_rationale(**values):
    return lambda record: record["rationales"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(annotation_id="zz"), "zz: unknown annotation_id: not in sample"),
        (of_rationale(soft_rationale_predictions=[1.0]), "soft_rationale_predictions, one for each token of"),
        (of_rationale(docid="zz"), "expected a docid of the data set, got 'zz'"),
        (
            lambda r: r["rationales"][0].pop("soft_rationale_predictions"),
            "no soft_rationale_predictions ",
        ),
        (lambda r: r.update(rationales=[]), "a rationale for each of"),
        (lambda r: r.update(rationales=3), "expected a list of rationales, got 3"),
        (lambda r: r.update(classification_scores={}), "classification_scores with the .*got {}"),
        (lambda r: r.update(classification="MAYBE"), "classification_scores with the .*got {'NEG'"),
        (
            of_rationale(hard_rationale_predictions=[{"start_token": 0, "end_token": 10**6}]),
            "expected a span inside",
        ),
    ],
)
def test_a_record_that_does_not_fit_is_told_with_its_place(folder, sample, change, message):
    path = folder / "predictions" / "lime.jsonl"
    changed(path, change)
    with pytest.raises(InputError, match=f"lime.jsonl:1: .*{message}"):
        read_stored(path, sample)


def test_a_span_without_words_picks_none(folder, sample):
    path = folder / "predictions" / "lime.jsonl"
    changed(path, of_rationale(hard_rationale_predictions=[{"start_token": 5, "end_token": 5}]))
    assert not next(iter(read_stored(path, sample).predictions.values())).rationale.any()


def test_a_run_on_other_texts_is_refused_in_a_few_lines(folder, sample):
    longer = {i: Document(i, (*d.sentences, ("more",))) for i, d in sample.documents.items()}
    other = Dataset("other", longer, sample.splits)
    with pytest.raises(InputError, match="one for each token of") as caught:
        read_stored(folder / "predictions" / "lime.jsonl", other)
    assert len(caught.value.faults) == MOST_FAULTS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no predictions"),
        ("{\n", "lime.jsonl:1: expected one JSON object"),
        ("[]\n", "lime.jsonl:1: expected one JSON object"),
        ("{}\n", "lime.jsonl:1: unknown annotation_id: not in sample"),
    ],
)
def test_a_file_of_something_else_is_told(folder, sample, content, message):
    path = folder / "predictions" / "lime.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_stored(path, sample)
