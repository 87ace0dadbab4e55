"""Runs that pick whole sentences: what is picked, removed, written and scored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from eraser import InputError
from eraser.data.source import Source, parse_json_lines
from eraser.load import load
from eraser.official.scorer import score_official
from rationale.evaluation.collect import collect
from rationale.evaluation.plan import evaluate, plan
from rationale.inference.predict import text_probs
from rationale.report.several.compare import compared
from rationale.report.summary import headline, tables_of
from rationale.report.verdict import details
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings, as_record
from rationale.text.elements import sentence_scores
from tests.helpers.eraser.prediction_files import annotation, evidence, write_source
from tests.helpers.paths import data
from tests.oracles.sentences import sentence_soft_metrics

DOCS = {
    "a": "a warm film\nnever dull\nthe film is good .\nit is slow",
    "b": "dull\nand slow\nthe film has no end",
    "c": "good film\nthe end is dull and slow",
}
ROWS = [
    annotation("1", "POS", evidence("a", 0, 3, 0, 1), evidence("a", 5, 10, 2, 3)),
    annotation("2", "NEG", evidence("b", 0, 3, 0, 2), evidence("c", 2, 8, 1, 2)) | {"docids": ["b", "c"]},
    annotation("3", "POS", evidence("c", 0, 2, 0, 1)),
]


@pytest.fixture
def folder(tmp_path):
    write_source(tmp_path / "data", ROWS, DOCS)
    return tmp_path / "data"


SETTINGS = EvaluateSettings(
    "d",
    "m",
    methods=("leave_one_out", "attention", "random"),
    budgets=("gold", "top=1", "ratio"),
    unit="sentence",
)
SENTENCE_METRICS = {"sentence_auprc": "auprc", "sentence_average_precision": "average_precision"}


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_the_best_sentences_are_picked_whole_and_budgets_count_them(classifier, folder, tmp_path, how):
    settings = replace(SETTINGS, sentence_score=how)
    found = evaluate(classifier, load("d", folder), settings, tmp_path / "run")
    assert found.budgets == ("gold", "top=1", "ratio=0.5333")  # (2/4 + 3/5 + 1/2) / 3
    for budget, sizes in (("gold", (2, 3, 1)), ("top=1", (1, 1, 1)), ("ratio=0.5333", (2, 3, 1))):
        for item, p, size in zip(found.items, found.predictions["attention", budget], sizes, strict=True):
            starts = item.text.sentence_starts
            expected = sentence_scores(p.scores, starts, how)
            assert p.sentence_scores.tolist() == expected.tolist()
            best = np.argsort(-expected, kind="stable")[:size]
            sentence = np.searchsorted(starts, np.arange(len(p.scores)), "right") - 1
            assert p.rationale.tolist() == np.isin(sentence, best).tolist()
    assert any(f"a sentence's score is the {how} of its words'" in note for note in found.notes)


def test_faithfulness_leaves_out_whole_sentences(classifier, folder, tmp_path):
    found = evaluate(classifier, load("d", folder), SETTINGS, tmp_path / "run")
    tokenizer = classifier.encoder.tokenizer
    for item, p in zip(found.items, found.predictions["attention", "top=1"], strict=True):
        edges = [*item.text.sentence_starts, len(item.text.words)]
        sentences = [item.text.words[a:b] for a, b in zip(edges, edges[1:], strict=False)]
        best = int(p.sentence_scores.argmax())
        rest = " ".join(w for i, s in enumerate(sentences) if i != best for w in s)
        (windows,) = classifier.encoder.encode(
            [replace(item.text, words=tuple(rest.split()), sentence_starts=(0,))]
        )
        assert windows[0].ids.tolist() == tokenizer(rest)["input_ids"]
        (expected,) = text_probs(classifier, [windows])
        assert list(p.at_rationale.without.values()) == pytest.approx(expected.tolist(), abs=1e-6)
        fractions = {a.fraction: a for a in p.ablations}
        assert (
            fractions[0.01].without == fractions[0.2].without == p.at_rationale.without
        )  # one sentence each


def test_prediction_files_get_the_same_sentence_scores_from_the_official_rule(classifier, folder, tmp_path):
    found = evaluate(classifier, load("d", folder), SETTINGS, tmp_path / "run")
    collect([found], tmp_path / "collected", keep=False)
    scores = tables_of(found).scores.set_index(["method", "budget", "metric"]).value
    gold = [r for _, r in parse_json_lines((folder / "test.jsonl").read_text(), "test.jsonl")]
    for method in SETTINGS.methods:
        path = tmp_path / "collected" / "predictions" / f"{method}.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert [len(r["soft_sentence_predictions"]) for r in records[1]["rationales"]] == [3, 2]
        official = score_official(Source(folder), "test", path)
        slow = sentence_soft_metrics(gold, records)
        assert official["sentence_soft_metrics"] == pytest.approx(slow, abs=1e-12)
        assert official["token_prf"]["instance_micro"]["f1"] == pytest.approx(
            scores[method, "gold", "token_f1_micro"], abs=1e-12
        )
        # by annotation, where the official scorer has (annotation, document): the same but for the second
        alone = [0, 2]
        ours = {m: [measured(found, method, m)[i] for i in alone] for m in SENTENCE_METRICS}
        theirs = sentence_soft_metrics(gold, [records[i] for i in alone])
        assert {SENTENCE_METRICS[m]: np.mean(values) for m, values in ours.items()} == pytest.approx(
            {name: theirs[name] for name in SENTENCE_METRICS.values()}, abs=1e-12
        )
        spans = records[0]["rationales"][0]["hard_rationale_predictions"]
        starts = set(found.items[0].text.sentence_starts)
        assert len(spans) == 2
        assert all(span["start_token"] in starts for span in spans)


def measured(found, method, metric):
    from eraser.metrics.table import measure

    truths = [item.truth for item in found.items]
    return [row[0] for row in measure(metric, truths, found.predictions[method, "gold"])]


def test_tables_lead_with_sentences(classifier, folder, tmp_path):
    dataset = load("d", folder)
    tables = write_run(
        plan(classifier, dataset, SETTINGS, tmp_path / "run").batches(), dataset, tmp_path / "run"
    )
    assert list(headline(tables.scores, "gold"))[:5] == [
        "sentence_f1", "sentence_precision", "sentence_recall", "sentence_average_precision",
        "comprehensiveness",
    ]  # fmt: skip
    assert "sentence F1<small>higher is better" in (tmp_path / "run" / "report.html").read_text()
    assert "whole sentences (sum of words)" in (tmp_path / "run" / "summary.md").read_text()
    said = "\n".join(details(tables.scores, tables.paired, "gold"))
    assert "Picking the annotators' sentences (sentence F1, higher is better, budget gold)" in said


def test_runs_of_words_are_called_and_measured_as_before(classifier, folder, tmp_path):
    dataset, words = load("d", folder), replace(SETTINGS, unit="word")
    assert not {"unit", "sentence_score", "explain_query"} & as_record(words).keys()
    of_words = write_run(plan(classifier, dataset, words, tmp_path / "w").batches(), dataset, tmp_path / "w")
    assert not of_words.scores.metric.str.startswith("sentence").any()
    write_run(plan(classifier, dataset, SETTINGS, tmp_path / "s").batches(), dataset, tmp_path / "s")
    parts = [{f.name for f in (tmp_path / run / "parts").iterdir()} for run in "ws"]
    assert {name.partition("-")[0] for name in parts[0] & parts[1]} == {"predict"}  # of whole texts
    first = (tmp_path / "w" / "predictions" / "attention.jsonl").read_text()
    assert "soft_sentence_predictions" not in first
    with pytest.raises(InputError, match="with .*w: its unit is 'sentence', there it is 'word'; give"):
        compared([tmp_path / "w", tmp_path / "s"])


def test_sentences_that_a_token_dropping_model_keeps_words_of(adaptive, folder, tmp_path):
    settings = replace(
        SETTINGS, methods=("survivors", "attention"), budgets=("match=survivors", "own"), dense=None
    )
    with pytest.raises(InputError, match="for budget own only methods that choose words themselves"):
        plan(adaptive, load("d", folder), settings, tmp_path / "run")
    settings = replace(settings, budgets=("match=survivors",))
    found = evaluate(adaptive, load("d", folder), settings, tmp_path / "run")
    for item, own, other in zip(
        found.items,
        found.predictions["survivors", "match=survivors"],
        found.predictions["attention", "match=survivors"],
        strict=True,
    ):
        kept = np.floor(own.scores) == found.layers
        starts = np.array(item.text.sentence_starts)
        n_touched = len({int(np.searchsorted(starts, word, "right")) for word in np.flatnonzero(kept)})
        for p in (own, other):
            picked = {int(np.searchsorted(starts, word, "right")) for word in np.flatnonzero(p.rationale)}
            assert len(picked) == n_touched


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "line"}, "expected a unit of word, sentence, got 'line'"),
        ({"sentence_score": "median"}, "expected a sentence_score of sum, mean, max, got 'median'"),
        (
            {"unit": "word", "sentence_score": "max"},
            "a sentence_score with unit sentence only, got max with unit word",
        ),
    ],
)
def test_settings_that_cannot_be_carried_out_are_refused(classifier, folder, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        plan(classifier, load("d", folder), replace(SETTINGS, **changes), tmp_path / "run")


def test_texts_of_one_sentence_each_are_refused(classifier, tmp_path):
    rows = [annotation("1", "POS", ("a", 0, 1)), annotation("2", "NEG", ("b", 0, 1))]
    write_source(tmp_path / "one", rows, {"a": "warm film", "b": "dull film"})
    with pytest.raises(InputError, match="each text is one sentence, so that none can be picked"):
        plan(classifier, load("one", tmp_path / "one"), SETTINGS, tmp_path / "run")


# Real data

FIRST = 60


@pytest.mark.parametrize(("name", "split"), [("multirc", "val"), ("fever", "val"), ("movies", "val")])
def test_sentences_with_marked_words_are_those_that_real_data_name(name, split):
    archive = data(name)
    dataset = load(name, archive, [split])
    gold = {r["annotation_id"]: r for _, r in parse_json_lines(Source(archive).text(f"{split}.jsonl"), name)}
    n_marked = 0
    for example in dataset.splits[split][:FIRST]:
        text, pieces = dataset.text(example), [e for g in gold[example.id]["evidences"] for e in g]
        before = {d: sum(s < start for s in text.sentence_starts) for d, start in text.doc_starts.items()}
        named = {
            before[e["docid"]] + i for e in pieces for i in range(e["start_sentence"], e["end_sentence"])
        }
        assert set(np.flatnonzero(dataset.truth(example).gold_sentences)) == named
        n_marked += len(named)
    assert n_marked > FIRST


@pytest.mark.parametrize(
    ("name", "labels"), [("multirc", ("False", "True")), ("fever", ("REFUTES", "SUPPORTS"))]
)
def test_real_evidence_is_scored_as_the_official_rule_has_it(classifier, tmp_path, name, labels):
    archive = data(name)
    asked, dataset = replace(classifier, labels=labels), load(name, archive, ["val"])
    methods = ("attention", "random")
    settings = replace(SETTINGS, split="val", methods=methods, budgets=("gold",), limit=3, fractions=(0.2,))
    found = evaluate(asked, dataset, settings, tmp_path / "run")
    collect([found], tmp_path / "collected", keep=False)
    gold = [r for _, r in parse_json_lines(Source(archive).text("val.jsonl"), name)]
    assert all(len(item.example.doc_ids) == 1 for item in found.items)
    for method in methods:
        path = tmp_path / "collected" / "predictions" / f"{method}.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        slow = sentence_soft_metrics(gold, records)
        for metric, theirs in SENTENCE_METRICS.items():
            assert np.mean(measured(found, method, metric)) == pytest.approx(slow[theirs], abs=1e-12)
