"""Explanations made elsewhere as rows of a run: the numbers are those of our own methods' rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eraser import Dataset, Document, Example, InputError, Span
from eraser.types import Evidence
from rationale.evaluation.choices import choose
from rationale.evaluation.disagreement import kendall
from rationale.evaluation.plan import evaluate, plan
from rationale.explanations.of_run import Imports, read_imports
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words
from rationale.report.summary import tables_of
from rationale.report.verdict import details
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings

METHODS = ("attention", "gradient_x_input")
SETTINGS = EvaluateSettings("sample", "tiny", methods=METHODS, limit=6, budgets=("ratio", "gold"))


def made(name, dataset, examples, **of):
    """Explanations of examples; `of` gives scores, picked, label or target by a function of the text."""
    found = []
    for example in examples:
        text = dataset.text(example)
        more = {field: make(text) for field, make in of.items()}
        found.append(WordExplanation(example.id, hash_of_words(text.words), len(text.words), **more))
    return ImportedMethod.of(name, found)


def exported(name, evaluation, method):
    """What a method said in a run, as if another tool had."""
    at = evaluation.budgets[0]
    pairs = zip(evaluation.items, evaluation.predictions[method, at], strict=True)
    return ImportedMethod.of(
        name,
        [
            WordExplanation(i.example.id, hash_of_words(i.text.words), len(i.text.words), p.scores)
            for i, p in pairs
        ],
    )


@pytest.fixture(scope="module")
def evaluation(classifier, sample, tmp_path_factory):
    return evaluate(classifier, sample, SETTINGS, tmp_path_factory.mktemp("run"))


def rows(tables, method):
    found = tables.scores[(tables.scores.method == method) & (tables.scores.metric != "cost")]
    return found.drop(columns="method").reset_index(drop=True)


def test_our_own_scores_from_a_file_give_the_same_row(classifier, sample, evaluation, tmp_path):
    for method in METHODS:
        exported(method, evaluation, method).save(tmp_path / f"{method}.jsonl")
    imports = read_imports([tmp_path / f"{method}.jsonl" for method in METHODS])
    settings = replace(SETTINGS, methods=(*METHODS, *imports.names))
    both = evaluate(classifier, sample, settings, tmp_path / "run", imports=imports)
    tables, before = tables_of(both), tables_of(evaluation)
    for method in METHODS:
        own, given = rows(tables, method), rows(tables, f"imported-{method}")
        assert len(own) > 15
        assert given.drop(columns=["value", "low", "high"]).equals(own.drop(columns=["value", "low", "high"]))
        assert np.allclose(given[["value", "low", "high"]], own[["value", "low", "high"]], 0, 1e-9, True)
        assert rows(before, method).equals(own)  # and a row from elsewhere changes no other one
        differences = tables.paired[
            (tables.paired.method == method) & (tables.paired.other == f"imported-{method}")
        ]
        assert (differences.difference == 0).all()
        assert len(differences) > 5


def test_parts_of_a_run_without_imports_serve_one_with_them(classifier, sample, evaluation, tmp_path):
    evaluate(classifier, sample, SETTINGS, tmp_path)
    before = {file.name for file in (tmp_path / "parts").iterdir()}
    imports = Imports((exported("shap", evaluation, "attention"),))
    settings = replace(SETTINGS, methods=(*METHODS, "imported-shap"))
    evaluate(classifier, sample, settings, tmp_path, imports=imports, overwrite=True)
    new = {file.name for file in (tmp_path / "parts").iterdir()} - before
    assert len(new) == 1
    assert new.pop().startswith("imported-shap-")


def test_picked_words_are_scored_at_their_own_size(classifier, tmp_path):
    dataset = films()
    picks = {"a": [0, 1, 0, 1, 0], "b": [0, 0, 0, 0, 0]}
    one = made(
        "llm", dataset, dataset.splits["test"], selected=lambda t: np.array(picks[t.example_id], dtype=bool)
    )
    asked = EvaluateSettings("films", "tiny", limit=None)
    settings = choose(asked, classifier, methods=("attention",), imports=Imports((one,))).settings
    assert settings.methods == ("attention", "imported-llm")
    assert settings.budgets == ("ratio", "gold", "match=imported-llm")
    found = evaluate(classifier, dataset, settings, tmp_path, imports=Imports((one,)))
    own = found.predictions["imported-llm", "match=imported-llm"]
    assert [p.rationale.astype(int).tolist() for p in own] == [picks["a"], picks["b"]]
    assert [int(p.rationale.sum()) for p in found.predictions["attention", "match=imported-llm"]] == [2, 0]
    scores = tables_of(found).scores.set_index(["method", "budget", "metric"]).value.sort_index()
    of_llm = scores["imported-llm", "match=imported-llm"]
    assert of_llm["token_precision"] == (1 / 2 + 0) / 2  # people: word 1 of a, word 0 of b
    assert of_llm["token_recall"] == (1 + 0) / 2
    # the share of a half is 3 words: where only two were picked, no third one is made up
    assert [a.without for p in own for a in p.ablations[-1:]][0] == own[0].at_rationale.without
    assert (
        "imported-llm: picked words that are not ranked: at a longer length, no more than these"
        in found.notes
    )


def films():
    words = {"a": ("a", "dull", "film", "of", "1999"), "b": ("warm", "and", "moving", "all", "along")}
    marked = {"a": Span(1, 2), "b": Span(0, 1)}
    examples = tuple(
        Example(x, (x,), "POS", gold=frozenset({frozenset({Evidence(x, marked[x])})})) for x in words
    )
    return Dataset("films", {x: Document(x, (w,)) for x, w in words.items()}, {"test": examples})


def test_words_that_are_only_picked_have_no_ranking_to_measure(classifier, tmp_path):
    dataset = films()
    one = made("llm", dataset, dataset.splits["test"], selected=lambda t: np.arange(len(t.words)) == 1)
    asked = EvaluateSettings("films", "tiny", limit=None)
    settings = choose(asked, classifier, methods=("attention", "random"), imports=Imports((one,))).settings
    tables = tables_of(evaluate(classifier, dataset, settings, tmp_path, imports=Imports((one,))))
    rows = tables.scores[tables.scores.budget == "-"].set_index(["metric", "method"]).sort_index()
    for metric in ("average_precision", "aopc_comprehensiveness", "aopc_sufficiency"):
        assert rows.n[metric, "imported-llm"] == 0
        assert np.isnan(rows.value[metric, "imported-llm"])
        assert rows.n[metric, "attention"] > 0
    assert "imported-llm" not in set(tables.curves.method)
    sentences = details(tables.scores, tables.paired, "match=imported-llm")
    assert "imported-llm leads" in " ".join(sentences)
    of_aopc = [sentence for sentence in sentences if "AOPC" in sentence]
    assert len(of_aopc) == 2
    assert not any("imported-llm" in sentence for sentence in of_aopc)


def test_words_without_a_score_are_never_picked(classifier, tmp_path):
    dataset = films()
    scores = {"a": [np.nan, 0.5, -1, np.nan, np.nan], "b": [0.1, 0.2, 0.3, 0.4, 0.5]}
    one = made("lime", dataset, dataset.splits["test"], scores=lambda t: np.array(scores[t.example_id]))
    settings = EvaluateSettings("films", "tiny", methods=("imported-lime",), budgets=("top=4",))
    found = evaluate(classifier, dataset, settings, tmp_path, imports=Imports((one,)))
    selected = [p.rationale.astype(int).tolist() for p in found.predictions["imported-lime", "top=4"]]
    assert selected == [[0, 1, 1, 0, 0], [0, 1, 1, 1, 1]]


def test_two_methods_are_compared_on_the_words_that_both_scored():
    scores = np.array([[1, 2, 3, 4], [4, 3, 2, 1], [1, np.nan, 2, 3]], dtype=float)
    tau = kendall(scores)
    assert tau[0, 1] == tau[1, 0] == -1  # over all four words
    assert tau[0, 2] == 1
    assert tau[1, 2] == -1
    assert np.allclose(kendall(scores[:2]), tau[:2, :2])


def test_examples_without_an_explanation_are_refused_by_name(classifier, sample, tmp_path):
    examples = sample.splits["test"]
    one = made("shap", sample, examples[1:5], scores=lambda t: np.ones(len(t.words)))
    settings = replace(SETTINGS, methods=("imported-shap",))
    with pytest.raises(InputError) as error:
        plan(classifier, sample, settings, tmp_path / "run", imports=Imports((one,)))
    assert str(error.value) == (
        f"imported-shap: no explanation of 2 of 6 examples ({examples[0].id}, {examples[5].id}) "
        "(--explanations-missing skip leaves them out of the run)"
    )
    assert not (tmp_path / "run").exists()


def test_examples_of_other_words_are_left_out_of_every_row_where_asked(classifier, sample, tmp_path):
    examples = sample.splits["test"][:6]
    one = made("shap", sample, examples[1:], scores=lambda t: np.ones(len(t.words)))
    changed = {**one.examples, examples[3].id: replace(one.examples[examples[3].id], text_hash="other")}
    imports = Imports((replace(one, examples=changed),), "skip")
    settings = replace(SETTINGS, methods=("attention", "imported-shap"))
    found = evaluate(classifier, sample, settings, tmp_path, imports=imports)
    assert [item.example.id for item in found.items] == [examples[i].id for i in (1, 2, 4, 5)]
    assert {len(predictions) for predictions in found.predictions.values()} == {4}
    assert (
        f"imported-shap: no explanation of 1 of 6 examples ({examples[0].id}): left out of the run"
        in found.notes
    )
    assert (
        f"imported-shap: explanations of other words in 1 of 6 examples ({examples[3].id}): "
        "left out of the run" in found.notes
    )
    other = made("none", sample, sample.splits["train"][:2], scores=lambda t: np.ones(len(t.words)))
    settings = replace(SETTINGS, methods=("imported-none",))
    with pytest.raises(InputError, match="an example that every explanations file explains, got none"):
        evaluate(classifier, sample, settings, tmp_path / "none", imports=Imports((other,), "skip"))


def test_names_that_collide_are_refused(classifier, sample, tmp_path, monkeypatch):
    from rationale.attribution import METHODS as TABLE

    one = made("shap", sample, sample.splits["test"], scores=lambda t: np.ones(len(t.words)))
    settings = replace(SETTINGS, methods=("imported-shap",))
    with pytest.raises(InputError, match="two explanations files have the name shap; import one with --name"):
        plan(classifier, sample, settings, tmp_path, imports=Imports((one, one)))
    monkeypatch.setitem(TABLE, "imported-shap", TABLE["random"])
    with pytest.raises(InputError, match="expected a name that no method has, got imported-shap"):
        plan(classifier, sample, settings, tmp_path, imports=Imports((one,)))


def test_other_classes_and_labels_are_counted_in_a_note(classifier, sample, tmp_path):
    one = made(
        "shap", sample, sample.splits["test"][:6], scores=lambda t: np.ones(len(t.words)),
        label=lambda t: "POS", target=lambda t: "NEG",
    )  # fmt: skip
    settings = replace(SETTINGS, methods=("imported-shap", "random"))
    found = evaluate(classifier, sample, settings, tmp_path / "run", imports=Imports((one,)))
    said = [p.label for p in found.predictions["random", found.budgets[0]]]
    assert found.counts == {
        "imported-shap: another class is explained than by the run's methods": said.count("POS"),
        "imported-shap: its own label is not the model's": said.count("NEG"),
        "imported-shap: the class explained has a name that the model does not know": 0,
    }
    tables = write_run(found, sample, tmp_path / "run")
    notes = (tmp_path / "run" / "scores.json").read_text()
    for what, n in found.counts.items():
        assert (f"{what} in {n} of 6 examples" in notes) == (n > 0)
    cost = tables.scores[tables.scores.metric == "cost"].set_index("method")
    assert (cost.n["imported-shap"], cost.left_out["imported-shap"]) == (0, 6)
    assert np.isnan(cost.value["imported-shap"])
    assert (tmp_path / "run" / "predictions" / "imported-shap.jsonl").is_file()
