"""What an evaluation knows beside each prediction: leave-one-out, the bounds of AOPC, what methods missed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eraser import Dataset, Document, Example
from eraser.metrics.table import measure, score
from rationale.attribution import AttributionInput, attribute
from rationale.budgets import share_of, top_words
from rationale.evaluation.collect import convergence_notes
from rationale.evaluation.per_example import per_example_metrics
from rationale.evaluation.plan import evaluate
from rationale.explanations.of_run import Imports
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words
from rationale.inference.ablate import ablate, without_and_only
from rationale.settings import EvaluateSettings

SETTINGS = EvaluateSettings("sample", "tiny", limit=3, budgets=("ratio", "gold"))


def test_leave_one_out_gives_tau_and_the_bounds_of_normalised_aopc(classifier, sample, tmp_path):
    methods = ("gradient_x_input", "leave_one_out", "random")
    settings = replace(SETTINGS, methods=methods, limit=3)
    found = evaluate(classifier, sample, settings, tmp_path)
    fewer = replace(settings, methods=("gradient_x_input", "random"))
    plain = evaluate(classifier, sample, fewer, tmp_path, overwrite=True)
    for n, item in enumerate(found.items):
        rows = {m: found.predictions[m, "gold"][n] for m in methods}
        (case,) = [
            AttributionInput(item.windows, item.truth.n_words, ("NEG", "POS").index(rows["random"].label))
        ]
        (falls,) = attribute(classifier, "leave_one_out", [case])
        turned = [top_words(-falls.scores, share_of(item.truth.n_words, f)) for f in settings.fractions]
        pairs = [e for mask in turned for e in without_and_only(item.windows, mask)]
        answers = ablate(classifier, pairs)[:, case.target]
        worst = rows["random"].probs[rows["random"].label] - answers[0::2].mean()
        of_methods = [measure("aopc_comprehensiveness", [item.truth], [p])[0][0] for p in rows.values()]
        for method, prediction in rows.items():
            low, high = prediction.bounds.comprehensiveness
            assert high == pytest.approx(max(*of_methods, worst), abs=1e-6)
            assert low == pytest.approx(min(*of_methods, worst), abs=1e-6)
            if method == "leave_one_out":
                assert prediction.leave_one_out is None
            else:
                assert prediction.leave_one_out == pytest.approx(falls.scores, abs=1e-5)
    for prediction in plain.predictions["random", "gold"]:
        assert (prediction.bounds, prediction.leave_one_out) == (None, None)
    assert score_of(found, "random", "tau_leave_one_out").n == 3
    assert score_of(plain, "random", "tau_leave_one_out").n == 0


def test_words_that_were_only_picked_are_no_ordering_and_move_no_bound(classifier, sample, tmp_path):
    settings = replace(SETTINGS, methods=("leave_one_out", "random"), budgets=("gold",))
    found = evaluate(classifier, sample, settings, tmp_path / "without")
    told = [
        WordExplanation(i.example.id, hash_of_words(i.text.words), n, selected=np.arange(n) == n - 1)
        for i in found.items
        if (n := len(i.text.words))
    ]
    picked = Imports((ImportedMethod.of("picked", told),))
    more = replace(settings, methods=(*settings.methods, *picked.names))
    beside = evaluate(classifier, sample, more, tmp_path / "beside", imports=picked)
    for one, other in zip(*(run.predictions["random", "gold"] for run in (found, beside)), strict=True):
        assert one.bounds is not None
        for side in ("comprehensiveness", "sufficiency"):
            assert getattr(other.bounds, side) == pytest.approx(getattr(one.bounds, side), abs=1e-6)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_text_of_one_word_has_one_ordering_and_so_no_normalised_value(classifier, tmp_path, bf16):
    words = {"one": ("dull",), "other": ("warm",), "two": ("dull", "warm")}
    documents = {name: Document(name, (of_text,)) for name, of_text in words.items()}
    examples = tuple(Example(name, (name,), label="NEG") for name in words)
    data = Dataset("made", documents, {"test": examples})
    settings = replace(SETTINGS, methods=("leave_one_out", "random", "saliency"), budgets=("top=1",))
    found = evaluate(replace(classifier, bf16=bf16), data, settings, tmp_path)
    for method in settings.methods:
        bounds = [p.bounds for p in found.predictions[method, "top=1"]]
        assert bounds[:2] == [None, None]
        assert bounds[2] is not None


def score_of(evaluation, method, metric):
    truths = [item.truth for item in evaluation.items]
    return score(metric, measure(metric, truths, evaluation.predictions[method, "gold"]))


def test_a_runs_notes_tell_what_complete_methods_missed(classifier, sample, tmp_path):
    settings = replace(SETTINGS, methods=("saliency", "integrated_gradients"), limit=2, ig_steps=3)
    found = evaluate(classifier, sample, settings, tmp_path)
    (note,) = convergence_notes(per_example_metrics(found), settings.explain)
    cases = [
        AttributionInput(i.windows, i.truth.n_words, ("NEG", "POS").index(p.label))
        for i, p in zip(found.items, found.predictions["saliency", "gold"], strict=True)
    ]
    deltas = [
        abs(a.convergence_delta) for a in attribute(classifier, "integrated_gradients", cases, settings)
    ]
    expected = f"by {np.median(deltas):.2g} (median, of the logit)"
    assert note == f"integrated_gradients: scores miss what they should sum to {expected}"


def test_examples_nobody_marked_do_not_count_under_budget_gold(classifier, sample, tmp_path):
    first, *others = sample.splits["test"][:3]
    bare = replace(sample, splits=dict(sample.splits) | {"test": (replace(first, gold=frozenset()), *others)})
    found = evaluate(classifier, bare, replace(SETTINGS, methods=("random",)), tmp_path)
    for budget, n in (("gold", 2), (found.budgets[0], 3)):
        truths = [item.truth for item in found.items]
        for metric in ("comprehensiveness", "sufficiency"):
            assert score(metric, measure(metric, truths, found.predictions["random", budget])).n == n
