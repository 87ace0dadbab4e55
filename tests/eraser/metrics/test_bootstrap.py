from __future__ import annotations

from itertools import product
from math import isnan, nan

import numpy as np
import pytest

from eraser.metrics.answers import correlation
from eraser.metrics.bootstrap import (
    RESAMPLES,
    Estimate,
    difference,
    difference_over_trainings,
    estimate,
    estimate_over_trainings,
    resamples,
)
from eraser.metrics.table import METRICS, f1_of_means, mean, micro_f1


def quantile(values: list[float], q: float) -> float:
    """The value at position q (n - 1) of the sorted values, on a straight line between neighbours."""
    values = sorted(values)
    position = q * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (position - below) * (values[above] - values[below])


def slow_means(rows: list[list[float]], times: list[int]) -> list[float]:
    """Means over the drawn rows, each row as often as it was drawn, of what is not NaN."""
    means = []
    for column in range(len(rows[0])):
        drawn = []
        for row, n in zip(rows, times, strict=True):
            drawn += [row[column]] * n
        known = [x for x in drawn if not isnan(x)]
        means.append(sum(known) / len(known) if known else nan)
    return means


def slow_interval(values: list[float]) -> tuple[float, float]:
    known = [x for x in values if not isnan(x)]
    return quantile(known, 0.025), quantile(known, 0.975)


def draws(n: int, seed: int) -> list[list[int]]:
    return [[int(times) for times in row] for row in resamples(n, seed)]


def slow_f1(p: float, r: float) -> float:
    return 0.0 if isnan(p) or p + r == 0 else 2 * p * r / (p + r)


def test_a_resample_draws_as_many_examples_as_there_are_with_replacement():
    drawn = resamples(30, seed=3)
    assert drawn.shape == (RESAMPLES, 30) == (1000, 30)
    assert (drawn.sum(axis=1) == 30).all()
    assert (drawn == drawn.round()).all()
    assert drawn.min() == 0


def test_every_example_is_drawn_equally_often():
    times = resamples(30, seed=3).mean(axis=0)
    standard_error = np.sqrt((1 - 1 / 30) / RESAMPLES)
    assert np.abs(times - 1).max() < 4 * standard_error


def test_resamples_follow_their_seed():
    assert (resamples(20, 1) == resamples(20, 1)).all()
    assert (resamples(20, 1) != resamples(20, 2)).any()


@pytest.mark.parametrize("seed", [0, 7])
def test_the_interval_of_a_mean_is_that_of_the_slow_loop(seed):
    rows = np.random.default_rng(seed).gamma(2, size=(23, 1)).tolist()
    values = [slow_means(rows, times)[0] for times in draws(23, seed)]
    found = estimate(np.array(rows), mean, seed)
    assert found.value == pytest.approx(slow_means(rows, [1] * 23)[0], abs=1e-12)
    assert (found.low, found.high) == pytest.approx(slow_interval(values), abs=1e-12)
    assert found.n == 23


def test_a_column_without_value_has_no_say_in_any_resample():
    rows = np.random.default_rng(1).random((12, 2)).tolist()
    for row in rows[2:10]:
        row[0] = nan  # so few are left that some resamples draw none of them
    means = [slow_means(rows, times) for times in draws(12, 0)]
    assert any(isnan(p) for p, _ in means)
    values = [slow_f1(p, r) for p, r in means]
    found = estimate(np.array(rows), f1_of_means)
    assert found.value == pytest.approx(slow_f1(*slow_means(rows, [1] * 12)), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(slow_interval(values), abs=1e-12)
    assert found.n == 12


def test_a_paired_difference_draws_the_same_examples_for_both():
    random = np.random.default_rng(2)
    ours = random.integers(1, 9, (15, 3)).tolist()
    theirs = random.integers(1, 9, (15, 3)).tolist()

    def slow(rows: list[list[float]], times: list[int]) -> float:
        hit, picked, gold = slow_means(rows, times)
        return 2 * hit / (picked + gold)

    values = [slow(ours, times) - slow(theirs, times) for times in draws(15, 4)]
    found = difference(np.array(ours, float), np.array(theirs, float), micro_f1, seed=4)
    assert found.value == pytest.approx(slow(ours, [1] * 15) - slow(theirs, [1] * 15), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(slow_interval(values), abs=1e-12)


def test_95_of_100_intervals_hold_the_truth():
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        found = estimate(random.normal(3.0, 2.0, (50, 1)), mean, seed)
        held += found.low <= 3.0 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_95_of_100_intervals_of_a_difference_of_nothing_span_zero():
    random = np.random.default_rng(1)
    ties = 0
    for seed in range(100):
        difficulty = random.normal(0, 5, (40, 1))
        ours, theirs = difficulty + random.normal(size=(40, 1)), difficulty + random.normal(size=(40, 1))
        ties += difference(ours, theirs, mean, seed).spans_zero
    assert 0.85 <= ties / 100 <= 0.99


def test_a_small_difference_shows_when_it_is_paired():
    random = np.random.default_rng(0)
    theirs = random.normal(0, 10, (60, 1))
    found = difference(theirs + random.normal(0.5, 0.2, (60, 1)), theirs, mean)
    assert not found.spans_zero
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize("fold", [mean, f1_of_means, micro_f1])
def test_the_difference_of_identical_columns_is_exactly_0_and_a_tie(fold):
    columns = np.random.default_rng(0).random((31, 3))
    columns[::3, 0] = nan
    found = difference(columns, columns.copy(), fold)
    assert found == Estimate(0.0, 0.0, 0.0, 31)
    assert found.spans_zero


def test_an_interval_that_touches_zero_spans_it():
    assert Estimate(0.5, 0.0, 1.0, 9).spans_zero
    assert Estimate(-0.5, -1.0, 0.0, 9).spans_zero
    assert Estimate(nan, nan, nan, 0).spans_zero
    assert not Estimate(0.5, 1e-9, 1.0, 9).spans_zero
    assert not Estimate(-0.5, -1.0, -1e-9, 9).spans_zero


def test_rounding_is_no_difference():
    assert Estimate(2e-8, 1e-8, 3e-8, 9).spans_zero
    assert Estimate(-2e-8, -3e-8, -1e-8, 9).spans_zero
    assert not Estimate(2e-6, 1e-6, 3e-6, 9).spans_zero


def test_of_no_examples_there_is_no_value():
    for found in (
        estimate(np.empty((0, 1)), mean),
        difference(np.empty((0, 2)), np.empty((0, 2)), f1_of_means),
    ):
        assert found.n == 0
        assert all(map(isnan, (found.value, found.low, found.high)))


def test_of_one_example_the_interval_is_its_value():
    assert estimate(np.array([[0.3]]), mean) == Estimate(0.3, 0.3, 0.3, 1)


def test_of_columns_without_any_value_there_is_no_value():
    found = estimate(np.full((5, 1), nan), mean)
    assert found.n == 5
    assert all(map(isnan, (found.value, found.low, found.high)))


def test_columns_of_different_examples_are_not_paired():
    with pytest.raises(ValueError, match=r"^paired columns need one shape, got \(3, 1\) and \(2, 1\)$"):
        difference(np.zeros((3, 1)), np.zeros((2, 1)), mean)


FOLDS = sorted({m.fold for m in METRICS.values()}, key=lambda fold: fold.__name__)


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.__name__)
def test_folds_give_one_value_for_each_resample(fold):
    width = 5 if fold is correlation else 3
    means = np.random.default_rng(0).random((50, width))
    means[0, :2] = 0
    means[1, 0] = nan
    assert fold(means).shape == (50,)
    alone = [float(fold(row[None])[0]) for row in means]
    assert fold(means).tolist() == pytest.approx(alone, abs=1e-15, nan_ok=True)
    assert fold(means.reshape(5, 10, width)).tolist() == [
        pytest.approx(alone[k : k + 10], nan_ok=True) for k in range(0, 50, 10)
    ]


# ── many examples ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def many():
    """Columns of precision and recall that vary together, a fifth of the first unknown."""
    rng = np.random.default_rng(1)
    recall = rng.beta(2, 3, 20_000)
    precision = np.clip(recall + rng.normal(0, 0.2, 20_000), 0, 1)
    precision[::5] = np.nan
    return np.stack([precision, recall], axis=1)


@pytest.mark.parametrize("fold", [mean, f1_of_means])
def test_groups_of_examples_have_the_interval_of_the_examples(many, monkeypatch, fold):
    grouped = estimate(many, fold)
    monkeypatch.setattr("eraser.metrics.bootstrap.GROUPS", len(many))
    single = estimate(many, fold)
    assert grouped.n == single.n == 20_000
    assert grouped.value == pytest.approx(single.value, rel=1e-12)
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=0.12)  # of two draws


def test_groups_are_chance_and_not_order(many):
    ordered = many[np.argsort(many[:, 1])]
    one, other = estimate(ordered, mean), estimate(many, mean)
    assert one.value == pytest.approx(other.value)
    assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.12)


def test_paired_differences_of_many_are_paired(many):
    found = difference(many + 0.01, many, mean)
    assert (found.value, found.low, found.high) == pytest.approx((0.01,) * 3)


def test_memory_of_a_resample_has_an_end():
    from eraser.metrics.bootstrap import GROUPS

    resamples.cache_clear()
    estimate(np.ones((GROUPS + 1, 1)), mean)
    assert resamples(GROUPS, 0).shape == (RESAMPLES, GROUPS)
    assert resamples.cache_info().hits == 1


def test_identical_trainings_have_the_interval_of_one():
    columns = np.random.default_rng(0).random((60, 2))
    one = estimate(columns, f1_of_means)
    found = estimate_over_trainings([columns] * 4, f1_of_means)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((one.value, one.low, one.high, 60))


def test_trainings_that_differ_only_in_level_have_the_spread_of_their_mean():
    levels = [0.2, 0.5, 0.8]
    found = estimate_over_trainings([np.full((30, 1), level) for level in levels], mean)
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((0.2, 0.8))  # each of them is 1 draw in 27, above 2.5 %
    levels = [0.1, 0.2, 0.4, 0.7, 1.1]
    found = estimate_over_trainings([np.full((30, 1), level) for level in levels], mean)
    means = [np.mean(drawn) for drawn in product(levels, repeat=5)]  # all 3,125 draws are as likely
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.04)


def test_interval_over_trainings_matches_a_slow_one():
    rng = np.random.default_rng(3)
    columns = [rng.normal(0.1 * i, 1, (40, 1)) for i in range(3)]
    found = estimate_over_trainings(columns, mean)
    drawn = []
    for _ in range(4000):
        rows = rng.integers(0, 40, 40)
        drawn.append(np.mean([columns[i][rows].mean() for i in rng.integers(0, 3, 3)]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.value == pytest.approx(np.mean(columns))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.04)


def test_differences_are_taken_within_a_training():
    rng = np.random.default_rng(0)
    theirs = [rng.random((25, 1)) + 10 * i for i in range(3)]  # trainings differ far more than methods do
    ours = [columns + 0.25 for columns in theirs]
    found = difference_over_trainings(ours, theirs, mean)
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    with pytest.raises(ValueError, match="one shape"):
        difference_over_trainings(ours, theirs[:2], mean)
    with pytest.raises(ValueError, match="the same examples"):
        estimate_over_trainings([ours[0], ours[1][:5]], mean)
