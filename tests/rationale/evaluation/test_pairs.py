"""Human marks on both texts of a pair, and queries that are explained."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from eraser import InputError, Prediction, Span
from eraser.data.source import Source
from eraser.load import load
from eraser.metrics.agreement import size, token_counts
from eraser.official.scorer import score_official
from rationale.evaluation.collect import collect
from rationale.evaluation.plan import evaluate, plan
from rationale.report.summary import tables_of
from rationale.settings import EvaluateSettings, as_record
from tests.helpers.eraser.prediction_files import annotation, write_lines, write_source

DOCS = {
    "1_premise": "a warm film",
    "1_hypothesis": "the film is dull",
    "2_premise": "never dull .",
    "2_hypothesis": "a good film",
    "3_premise": "slow and dull",
    "3_hypothesis": "the film is slow",
}
MARKED = [
    annotation("1", "NEG", ("1_premise", 1, 2), ("1_hypothesis", 3, 4)),
    annotation("2", "POS", ("2_hypothesis", 1, 2)),
    annotation("3", "NEG", ("3_premise", 0, 1)),
]


@pytest.fixture
def snli(tmp_path):
    """As ERASER's e-SNLI is: its lines do not name their documents but in the marks."""
    folder = tmp_path / "esnli"
    folder.mkdir()
    write_lines(folder / "test.jsonl", MARKED)
    write_lines(folder / "docs.jsonl", [{"docid": d, "document": text} for d, text in DOCS.items()])
    return folder


@pytest.fixture
def asked(tmp_path):
    """Queries that differ, each beside one document."""
    rows = [
        annotation("1", "NEG", ("d", 3, 4)) | {"query": "is it dull ?", "docids": ["d"]},
        annotation("2", "POS", ("e", 0, 2)) | {"query": "a good film", "docids": ["e"]},
        annotation("3", "POS", ("e", 2, 3)) | {"query": "", "docids": ["e"]},
    ]
    docs = {"d": "the film is dull", "e": "never dull\nand warm"}
    write_source(tmp_path / "asked", rows, docs)
    return tmp_path / "asked"


SETTINGS = EvaluateSettings(
    "d", "m", methods=("leave_one_out", "attention", "random"), budgets=("gold", "ratio=0.5"), seed=3
)


def test_both_documents_are_found_where_marks_name_one(snli):
    dataset = load("esnli", snli)
    assert [e.doc_ids for e in dataset.splits["test"]] == [
        (f"{n}_premise", f"{n}_hypothesis") for n in (1, 2, 3)
    ]
    text = dataset.text(dataset.splits["test"][0])
    assert (text.words, text.second, text.query, text.unasked) == (
        ("a", "warm", "film", "the", "film", "is", "dull"), 3, None, 0,
    )  # fmt: skip
    truth = dataset.truth(dataset.splits["test"][0])
    assert truth.spans == {Span(1, 2), Span(6, 7)}
    assert dataset.human_share("test") == pytest.approx((2 / 7 + 1 / 6 + 1 / 7) / 3)


def test_two_documents_of_other_names_are_one_text_as_before(tmp_path):
    rows = [annotation("1", "NEG", ("b", 0, 1), ("a", 1, 2))]
    write_source(tmp_path / "two", rows, {"a": "a warm film", "b": "dull"})
    dataset = load("two", tmp_path / "two")
    text = dataset.text(dataset.splits["test"][0])
    assert (text.second, text.plain[0]) == (None, "a warm film dull")


def test_both_sides_are_explained_scored_and_written_for_the_official_scorer(classifier, snli, tmp_path):
    dataset = load("esnli", snli)
    found = evaluate(classifier, dataset, SETTINGS, tmp_path / "run")
    item = found.items[0]
    tokenizer = classifier.encoder.tokenizer
    assert item.windows[0].ids.tolist() == tokenizer("a warm film", "the film is dull")["input_ids"]
    collect([found], tmp_path / "collected", keep=False)
    scores = tables_of(found).scores.set_index(["method", "budget", "metric"]).value
    for method in SETTINGS.methods:
        path = tmp_path / "collected" / "predictions" / f"{method}.jsonl"
        first = json.loads(path.read_text().splitlines()[0])
        assert [r["docid"] for r in first["rationales"]] == ["1_premise", "1_hypothesis"]
        assert [len(r["soft_rationale_predictions"]) for r in first["rationales"]] == [3, 4]
        official = score_official(Source(snli), "test", path)
        assert official["token_prf"]["instance_micro"]["f1"] == pytest.approx(
            scores[method, "gold", "token_f1_micro"], abs=1e-12
        )
    loo, gold = found.predictions["leave_one_out", "gold"][0], item.truth.gold
    assert int(loo.rationale.sum()) == int(gold.sum()) == 2
    removed = classifier.encoder.remove(item.windows, loo.rationale)[0]
    sides = [
        " ".join(w for i, w in enumerate(item.text.words) if not loo.rationale[i] and (i >= 3) == second)
        for second in (False, True)
    ]
    assert removed.ids.tolist() == tokenizer(*sides)["input_ids"]


def test_marks_of_both_sides_survive_writing_and_reading(snli, tmp_path):
    from eraser.data.write_eraser import write_eraser

    dataset = load("esnli", snli)
    write_eraser(dataset, tmp_path / "again")
    again = load("esnli", tmp_path / "again")
    assert again.splits == dataset.splits
    assert again.documents == dataset.documents


# Queries


def test_a_query_gets_scores_where_asked_and_agreement_is_of_documents(classifier, asked, tmp_path):
    settings = replace(SETTINGS, explain_query=True)
    planned = plan(classifier, load("d", asked), settings, tmp_path / "run")
    found = planned.batch(0)
    assert [i.text.words[: i.text.unasked] for i in found.items] == [
        ("is", "it", "dull", "?"), ("a", "good", "film"), (),
    ]  # fmt: skip
    assert [len(p.scores) for p in found.predictions["attention", "gold"]] == [8, 7, 4]
    assert all(np.isfinite(p.scores).all() for p in found.predictions["leave_one_out", "gold"])
    truth = found.items[0].truth
    assert (truth.unasked, truth.spans) == (4, {Span(7, 8)})
    collect([found], tmp_path / "collected", keep=False)
    scores = tables_of(found).scores.set_index(["method", "budget", "metric"]).value
    for method in SETTINGS.methods:
        path = tmp_path / "collected" / "predictions" / f"{method}.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert [[len(r["soft_rationale_predictions"]) for r in x["rationales"]] for x in records] == [[4]] * 3
        soft = score_official(Source(asked), "test", path)["token_soft_metrics"]
        assert soft["average_precision"] == pytest.approx(scores[method, "-", "average_precision"], abs=1e-9)
    assert any("queries are explained too" in note for note in planned.notes)


def test_agreement_leaves_the_words_of_a_query_out_and_size_does_not():
    from eraser import GoldRationale

    truth = GoldRationale("POS", 6, frozenset({Span(3, 4)}), unasked=2)
    picked = np.array([True, True, False, True, True, False])
    prediction = Prediction("e", "POS", {"POS": 1.0}, np.zeros(6), picked)
    assert token_counts(truth, prediction) == (1.0, 2.0, 1.0)
    assert size(truth, prediction) == (4 / 6,)


def test_no_query_to_explain_is_refused(classifier, sample, tmp_path):
    settings = replace(SETTINGS, explain_query=True)
    with pytest.raises(InputError, match="no query to explain: the examples have none, or all the same"):
        plan(classifier, sample, settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_query_that_no_model_is_given_is_told_in_the_terminal_and_in_the_run(
    rationale, model_folder, tmp_path
):
    rows = [{"text": f"film {i}", "label": "NEG" if i % 2 else "POS", "query": "dull ?"} for i in range(4)]
    told = "the query 'dull ?' is the same in all rows, so the model is not given it"
    for name, last in (("alike", "dull ?"), ("differ", "warm ?")):
        rows[-1]["query"] = last
        write_lines(tmp_path / f"{name}.jsonl", rows)
        code, _, err = rationale(
            "evaluate", "--data", tmp_path / f"{name}.jsonl", "--model", model_folder, "--methods", "random",
            "--out", tmp_path / name,
        )  # fmt: skip
        assert code == 0
        assert (told in err) == (name == "alike")
        assert (told in (tmp_path / name / "summary.md").read_text(encoding="utf-8")) == (name == "alike")


def test_a_run_that_does_not_ask_for_it_is_called_as_before(classifier, asked, tmp_path):
    assert "explain_query" not in as_record(SETTINGS)
    assert as_record(replace(SETTINGS, explain_query=True))["explain_query"] is True
    plan(classifier, load("d", asked), SETTINGS, tmp_path / "run").compute(0)
    plan(classifier, load("d", asked), replace(SETTINGS, explain_query=True), tmp_path / "other").compute(0)
    parts = [{f.name for f in (tmp_path / run / "parts").iterdir()} for run in ("run", "other")]
    assert not parts[0] & parts[1]
