from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import Ablation, GoldRationale, Prediction
from eraser.metrics import faithfulness as f
from eraser.metrics.answers import accuracy
from eraser.metrics.bootstrap import ROUNDING
from eraser.metrics.table import measure, score

checked = settings(deadline=None, derandomize=True, database=None)
probabilities = st.floats(0, 1)
TRUTH = GoldRationale("NEG", 3, frozenset())  # what people said plays no part, but in accuracy


def ablation(without: float, only: float, fraction: float = 0) -> Ablation:
    return Ablation(fraction, {"POS": without, "NEG": 1 - without}, {"POS": only, "NEG": 1 - only})


def predicts(
    p: float, at_rationale: Ablation | None = None, *ablations: Ablation, label: str = "POS"
) -> Prediction:
    probs = {"POS": p, "NEG": 1 - p}
    return Prediction("e", label, probs, np.zeros(3), np.zeros(3, dtype=bool), at_rationale, ablations)


def test_both_are_drops_of_the_predicted_labels_probability():
    prediction = predicts(0.875, ablation(without=0.25, only=0.75))
    assert f.comprehensiveness(TRUTH, prediction) == (0.625,)
    assert f.sufficiency(TRUTH, prediction) == (0.125,)


def test_the_label_is_the_one_predicted_and_neither_the_human_nor_the_likeliest():
    prediction = predicts(0.875, ablation(0.25, 0.75), ablation(0.5, 1.0), label="NEG")
    assert f.comprehensiveness(GoldRationale("POS", 3, frozenset()), prediction) == (0.125 - 0.75,)
    assert f.sufficiency(GoldRationale("POS", 3, frozenset()), prediction) == (0.125 - 0.25,)
    assert f.aopc_comprehensiveness(GoldRationale("POS", 3, frozenset()), prediction) == (0.125 - 0.5,)
    assert f.aopc_sufficiency(GoldRationale("POS", 3, frozenset()), prediction) == (0.125,)


def test_nothing_is_clipped():
    prediction = predicts(0.25, ablation(without=0.75, only=1.0), ablation(1.0, 0.5))
    assert f.comprehensiveness(TRUTH, prediction) == (-0.5,)
    assert f.sufficiency(TRUTH, prediction) == (-0.75,)
    assert f.aopc_comprehensiveness(TRUTH, prediction) == (-0.75,)
    assert f.aopc_sufficiency(TRUTH, prediction) == (-0.25,)


def test_aopc_is_the_plain_mean_over_the_shares_and_leaves_the_rationale_out():
    steps = (ablation(0.75, 0.0, 0.01), ablation(0.5, 0.5, 0.05), ablation(0.25, 1.0, 0.5))
    prediction = predicts(1.0, ablation(0.0, 0.0), *steps)
    assert f.aopc_comprehensiveness(TRUTH, prediction) == ((0.25 + 0.5 + 0.75) / 3,)
    assert f.aopc_sufficiency(TRUTH, prediction) == ((1.0 + 0.5 + 0.0) / 3,)


@checked
@given(probabilities, st.lists(st.tuples(probabilities, probabilities), min_size=1, max_size=6))
def test_they_agree_with_the_slow_definitions(p, pairs):
    ablations = [ablation(without, only) for without, only in pairs]
    prediction = predicts(p, ablations[0], *ablations)
    without_sum = only_sum = 0.0
    for without, only in pairs:
        without_sum += p - without
        only_sum += p - only
    expected = (p - pairs[0][0], p - pairs[0][1], without_sum / len(pairs), only_sum / len(pairs))
    metrics = (f.comprehensiveness, f.sufficiency, f.aopc_comprehensiveness, f.aopc_sufficiency)
    found = [metric(TRUTH, prediction) for metric in metrics]
    assert [value for columns in found for value in columns or ()] == pytest.approx(expected, abs=1e-12)


def test_what_was_not_ablated_is_undefined_and_counted():
    predictions = [predicts(1.0, ablation(0.5, 1.0)), predicts(1.0), predicts(1.0, None, ablation(0.25, 0.5))]
    for metric, value, n in (
        ("comprehensiveness", 0.5, 1),
        ("sufficiency", 0.0, 1),
        ("aopc_comprehensiveness", 0.75, 1),
        ("aopc_sufficiency", 0.5, 1),
        ("accuracy", 0.0, 3),
    ):
        found = score(metric, measure(metric, [TRUTH] * 3, predictions))
        assert (found.value, found.n, found.left_out) == (value, n, 3 - n), metric


@pytest.mark.parametrize(("label", "expected"), [("POS", 0.0), ("NEG", 1.0)])
def test_accuracy_compares_labels_and_not_probabilities(label, expected):
    assert accuracy(TRUTH, predicts(0.875, label=label)) == (expected,)


@checked
@given(
    st.lists(
        st.lists(st.tuples(probabilities, probabilities), min_size=2, max_size=2), min_size=1, max_size=5
    )
)
def test_normalised_aopc_is_the_place_between_the_worst_and_the_best_ordering_tried(orderings):
    tried = [predicts(0.5, None, *(ablation(*pair) for pair in pairs)) for pairs in orderings]
    bounds = f.bounds_of(tried)
    for of, normalised, (low, high) in (
        (f.aopc_comprehensiveness, f.normalised_aopc_comprehensiveness, bounds.comprehensiveness),
        (f.aopc_sufficiency, f.normalised_aopc_sufficiency, bounds.sufficiency),
    ):
        plain = [of(TRUTH, p)[0] for p in tried]
        assert (low, high) == (min(plain), max(plain))
        for value, prediction in zip(plain, tried, strict=True):
            found = normalised(TRUTH, replace(prediction, bounds=bounds))
            if high - low < ROUNDING:
                assert found is None
            else:
                assert found == pytest.approx(((value - low) / (high - low),))
                assert 0 <= found[0] <= 1


@pytest.mark.parametrize(("apart", "expected"), [(2e-8, None), (2e-4, (0.0,))])
def test_a_range_of_rounding_alone_is_no_range(apart, expected):
    tried = [predicts(0.5, None, ablation(0.25 + more, 0.75 - more)) for more in (apart, 0.0)]
    prediction = replace(tried[0], bounds=f.bounds_of(tried))
    assert f.normalised_aopc_comprehensiveness(TRUTH, prediction) == expected
    assert f.normalised_aopc_sufficiency(TRUTH, prediction) == (None if expected is None else (1.0,))


def slow_tau_b(x, y):
    """Kendall 1945: (concordant − discordant) / sqrt(pairs untied in x · pairs untied in y)."""
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    signs = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in pairs]
    untied_x, untied_y = sum(a != 0 for a, _ in signs), sum(b != 0 for _, b in signs)
    return sum(a * b for a, b in signs) / np.sqrt(untied_x * untied_y)


@checked
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=9))
def test_tau_equals_the_slow_definition_over_read_words(pairs):
    x, y = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    prediction = replace(
        predicts(0.5), scores=np.append(x, [np.nan, 9.0]), leave_one_out=np.append(y, [9.0, np.nan])
    )
    found = f.tau_leave_one_out(TRUTH, prediction)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found is None
    else:
        assert found == pytest.approx((slow_tau_b(x, y),))


def test_without_leave_one_out_neither_tau_nor_a_normalised_value():
    prediction = predicts(0.5, None, ablation(0.25, 0.75))
    for metric in (
        f.tau_leave_one_out, f.normalised_aopc_comprehensiveness, f.normalised_aopc_sufficiency
    ):  # fmt: skip
        assert metric(TRUTH, prediction) is None
