"""Rank agreements worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from rationale.trusting.statistics.agreement import (
    absolute_spearman,
    correlation_of_pairs,
    jaccard,
    kendall,
    mean_of,
    rank_correlation,
    spearman,
)

NAN = np.nan


def scores(*numbers):
    return np.array(numbers, dtype=np.float64)


def test_rank_correlations_by_hand():
    """Ranks 1 2 3 4 against 2 1 4 3: Σd² = 4, ρ = 1 − 6·4/60 = 0.6; four pairs agree, two do not: τ = 1/3."""
    one, other = scores(1, 2, 3, 4), scores(20, 10, 40, 30)
    assert spearman(one, other) == pytest.approx(0.6)
    assert kendall(one, other) == pytest.approx(1 / 3)


def test_signs_count_or_do_not():
    one, other = scores(1, 2, 3), scores(-1, -2, -3)
    assert spearman(one, other) == pytest.approx(-1)
    assert absolute_spearman(one, other) == pytest.approx(1)


@pytest.mark.parametrize("agreement", [spearman, kendall, absolute_spearman])
def test_what_cannot_be_ranked(agreement):
    assert np.isnan(agreement(scores(1, 1, 1), scores(1, 2, 3)))
    assert agreement(scores(1, 2, 3), scores(5, 5, 5)) == 0
    assert np.isnan(agreement(scores(1, NAN), scores(1, 2)))
    assert agreement(scores(1, 2, NAN, 4), scores(1, 2, 9, 4)) == pytest.approx(1)


def test_jaccard_of_the_top_words_by_hand():
    """Top two are {0, 1} and {1, 2}: one of three."""
    assert jaccard(scores(9, 8, 1, 0), scores(1, 8, 9, 0), 2) == pytest.approx(1 / 3)
    assert np.isnan(jaccard(scores(9, 8), scores(1, 8), 0))


def test_a_mean_leaves_out_what_is_no_number():
    found = mean_of([0.5, NAN, 0.7])
    assert (found.value, found.n) == (pytest.approx(0.6), 2)
    assert np.isnan(mean_of([NAN]).value)


def test_pairs_of_all_texts_are_ranked_together():
    rng = np.random.default_rng(0)
    texts = [rng.normal(size=(k, 2)) + i for i, k in enumerate((3, 5, 4, 6, 2, 7, 3, 4))]
    found = rank_correlation(texts)
    assert found.value == pytest.approx(spearmanr(*np.concatenate(texts).T).statistic)
    assert found.n == 8
    assert found.low < found.value < found.high


def test_no_correlation_where_one_side_is_constant():
    assert np.isnan(rank_correlation([np.array([[1.0, 2.0], [1.0, 3.0]])]).value)


def test_pairs_of_texts_by_hand():
    one = np.array([[0, 1, 2], [1, 0, 4], [2, 4, 0]], dtype=float)
    assert correlation_of_pairs(one, one).value == pytest.approx(1)
    assert correlation_of_pairs(one, 5 - one).value == pytest.approx(-1)
    # each pair is there twice; ranks 1, 2, 3 against 2, 1, 3: 1 - 6·2 / (3·8)
    other = np.array([[0, 2, 1], [2, 0, 4], [1, 4, 0]], dtype=float)
    assert correlation_of_pairs(one, other).value == pytest.approx(0.5)
    assert np.isnan(correlation_of_pairs(one, np.ones((3, 3))).value)


def test_pairs_share_texts_so_that_independent_distances_are_seldom_told_apart():
    """With only the first text of a pair drawn, one of seven such intervals lies above 0."""

    def distances(rng, width):
        texts = rng.normal(size=(20, width)) * (1 + rng.exponential(size=(20, 1)))  # some texts far out
        return np.abs(texts[:, None] - texts[None]).mean(-1)

    above = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        above += correlation_of_pairs(distances(rng, 64), distances(rng, 20)).low > 0
    assert above <= 4  # 1.5 expected; more than 4 has a probability of 2 % at one in forty
