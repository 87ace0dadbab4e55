"""Is the answer right? Sets of labels and numbers, beside what scikit-learn and SciPy say of them."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from eraser import GoldRationale, Prediction
from eraser.labels import join_labels, number_of, split_labels
from eraser.metrics.answers import accuracy
from eraser.metrics.table import METRICS, compare, measure, score
from eraser.types import Kind

checked = settings(deadline=None, derandomize=True, database=None, max_examples=80)
LABELS = ("a", "b", "c", "d")
NOTHING = np.zeros(0)


def said(label: str, probs: dict[str, float], kind: Kind, of: str) -> Prediction:
    return Prediction("e", label, probs, NOTHING, NOTHING > 0, kind=kind, of=of)


def labels_said(labels: frozenset[str]) -> Prediction:
    return said(join_labels(sorted(labels)), dict.fromkeys(LABELS, 0.5), "labels", "a")


def number_said(value: float) -> Prediction:
    return said(f"{value:.6g}", {"value": value}, "value", "value")


def truth(label: str) -> GoldRationale:
    return GoldRationale(label, 0, frozenset())


sets = st.frozensets(st.sampled_from(LABELS))


@checked
@given(st.lists(st.tuples(sets, sets), min_size=1, max_size=20))
def test_sets_of_labels_are_scored_as_scikit_learn_does(pairs):
    gold, found = ([[x in of_pair[i] for x in LABELS] for of_pair in pairs] for i in (0, 1))
    truths = [truth("|".join(sorted(g, reverse=True))) for g, _ in pairs]
    predictions = [labels_said(s) for _, s in pairs]

    def of(metric):
        return score(metric, measure(metric, truths, predictions)).value

    assert of("accuracy") == pytest.approx(sk.accuracy_score(gold, found))
    for average in ("micro", "macro"):
        wanted = sk.f1_score(gold, found, average=average, zero_division=0)
        assert of(f"label_f1_{average}") == pytest.approx(wanted)


finite = st.floats(-1e6, 1e6)


@checked
@given(st.lists(st.tuples(finite, finite), min_size=3, max_size=30))
def test_numbers_are_scored_as_scipy_does(pairs):
    gold, found = np.array(pairs).T
    assume(min(np.ptp(gold), np.ptp(found)) > 1e-3 * max(1.0, *np.abs(pairs).ravel()))
    truths, predictions = [truth(repr(float(g))) for g in gold], [number_said(float(x)) for x in found]

    def of(metric):
        return score(metric, measure(metric, truths, predictions))

    assert of("mean_absolute_error").value == pytest.approx(np.abs(gold - found).mean())
    assert of("pearson").value == pytest.approx(stats.pearsonr(gold, found).statistic, abs=1e-7)
    assert of("spearman").value == pytest.approx(stats.spearmanr(gold, found).statistic, abs=1e-9)
    for metric in ("pearson", "spearman"):
        ends = of(metric)
        assert all(isnan(x) or -1 - 1e-9 <= x <= 1 + 1e-9 for x in (ends.low, ends.high))


def test_a_constant_has_no_correlation():
    truths = [truth("1"), truth("2"), truth("3")]
    predictions = [number_said(0.1)] * 3
    for metric in ("pearson", "spearman"):
        found = score(metric, measure(metric, truths, predictions))
        assert isnan(found.value)
        assert found.n == 3


def test_a_label_that_is_no_number_is_left_out():
    truths, predictions = [truth("1"), truth("good"), truth("nan"), truth("3")], [number_said(2.0)] * 4
    found = score("mean_absolute_error", measure("mean_absolute_error", truths, predictions))
    assert (found.value, found.n, found.left_out) == (1.0, 2, 2)
    nothing = score("pearson", measure("pearson", truths[1:3], predictions[1:3]))
    assert (nothing.n, nothing.left_out) == (0, 2)


def test_two_models_are_compared_on_the_same_examples():
    truths = [truth(str(i)) for i in range(6)]
    near, far = ([number_said(i + off * (-1) ** i) for i in range(6)] for off in (0.1, 3.0))
    of_near, of_far = (measure("mean_absolute_error", truths, p) for p in (near, far))
    found = compare("mean_absolute_error", of_near, of_far)
    assert found.value == pytest.approx(0.1 - 3.0)
    assert not found.spans_zero
    of_near, of_far = (measure("spearman", truths, p) for p in (near, far))
    wanted = [stats.spearmanr(range(6), [p.probs["value"] for p in of]).statistic for of in (near, far)]
    assert compare("spearman", of_near, of_far).value == pytest.approx(wanted[0] - wanted[1])


@pytest.mark.parametrize(("gold", "label", "right"), [
    ("a|b", "b|a", 1.0), ("a | b", "a|b", 1.0), ("", "", 1.0), ("a", "", 0.0), ("a|b", "a", 0.0),
])  # fmt: skip
def test_accuracy_of_sets_takes_no_order(gold, label, right):
    assert accuracy(truth(gold), said(label, {}, "labels", "a")) == (right,)


def test_one_class_that_holds_the_sign_stays_one_class():
    one = Prediction("e", "b|a", {}, NOTHING, NOTHING > 0)
    assert accuracy(truth("a|b"), one) == (0.0,)
    assert accuracy(truth("b|a"), one) == (1.0,)


def test_strings_of_labels_and_numbers():
    assert split_labels(" a|b||a ") == ("a", "b")
    assert join_labels(["b", "a", "b"]) == "b|a"
    assert (number_of("2.5"), number_of("1e3"), number_of("x"), number_of("inf"), number_of("")) == (
        2.5, 1000.0, None, None, None,
    )  # fmt: skip


def test_every_metric_of_answers_is_of_a_kind():
    kinds = {name: m.kinds for name, m in METRICS.items() if m.needs == "label"}
    assert kinds == {
        "accuracy": ("class", "labels"),
        "label_f1_micro": ("labels",),
        "label_f1_macro": ("labels",),
        "mean_absolute_error": ("value",),
        "pearson": ("value",),
        "spearman": ("value",),
    }
