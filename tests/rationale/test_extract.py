from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser import InputError
from rationale.budgets import Budget, extract, parse_budget, share_of, top_words

GOLD = np.array([True, True, False, False])


def test_ties_go_to_the_first_word():
    assert top_words(np.array([1.0, 2.0, 2.0, 2.0]), 2).tolist() == [False, True, True, False]
    assert top_words(np.zeros(4), 2).tolist() == [True, True, False, False]


def test_unread_words_are_never_picked():
    assert top_words(np.array([np.nan, -5.0, np.nan]), 3).tolist() == [False, True, False]


def test_negative_scores_rank_below_zero():
    assert top_words(np.array([-3.0, 0.0, 1.0]), 2).tolist() == [False, True, True]


@given(st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1, max_size=30), st.integers(0, 30))
def test_picked_words_are_the_highest(values, size):
    scores = np.array(values)
    picked = top_words(scores, size)
    read = int((~np.isnan(scores)).sum())
    assert picked.sum() == min(size, read)
    if picked.any() and (~picked & ~np.isnan(scores)).any():
        assert scores[picked].min() >= scores[~picked & ~np.isnan(scores)].max()


@pytest.mark.parametrize(
    ("n", "ratio", "expected"), [(1, 0.01, 1), (100, 0.005, 1), (10, 0.25, 3), (10, 0.24, 2), (7, 1.0, 7)]
)
def test_share_of_words(n, ratio, expected):
    assert share_of(n, ratio) == expected


def test_budgets_by_hand():
    scores = np.array([0.1, 0.9, 0.5, 0.7])
    selected, match = np.array([False, False, True, False]), np.array([True, True, True, False])
    assert extract(scores, Budget("gold"), gold=GOLD).tolist() == [False, True, False, True]
    assert extract(scores, Budget("ratio", 0.25), gold=GOLD).tolist() == [False, True, False, False]
    assert extract(scores, Budget("top", words=3), gold=GOLD).tolist() == [False, True, True, True]
    assert extract(scores, Budget("top", words=9), gold=GOLD).all()
    assert extract(scores, Budget("own"), gold=GOLD, selected=selected).tolist() == selected.tolist()
    assert extract(scores, Budget("match", method="m"), gold=GOLD, match=match).sum() == 3


@pytest.mark.parametrize("name", ["own", "gold", "ratio", "ratio=0.2", "match=attention"])
def test_budget_names_round_trip(name):
    assert str(parse_budget(name)) == name


@pytest.mark.parametrize(
    "name", ["", "half", "ratio=", "ratio=0", "ratio=1.5", "ratio=nan", "gold=3", "match="]
)
def test_unknown_budget_is_refused(name):
    with pytest.raises(InputError, match=r"^expected a budget: own, gold, ratio, .* got '" + name):
        parse_budget(name)


def test_own_and_match_need_a_choice():
    with pytest.raises(InputError, match="budget own needs a method that chooses words; this one only ranks"):
        extract(np.zeros(4), Budget("own"), gold=GOLD)
    with pytest.raises(InputError, match="budget match needs a method that chooses words; attention"):
        extract(np.zeros(4), Budget("match", method="attention"), gold=GOLD)
