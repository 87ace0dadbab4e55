"""Max-Simes-Fisher against a slow rewrite, uniform where nothing is unlike, small where something is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rationale.trusting.statistics.masf import Masf, simes, two_sided


def slow_statistic(states, first):
    """Fisher's statistic [n] of states [n,L,D], one number at a time."""

    def simes_of(text, layer):
        p = []
        for unit in range(states.shape[2]):
            known = [other[layer, unit] for other in first]
            low = 1 + sum(k <= text[layer, unit] for k in known)
            high = 1 + sum(k >= text[layer, unit] for k in known)
            p.append(min(1.0, 2 * min(low, high) / (len(known) + 1)))
        return min(len(p) * x / (rank + 1) for rank, x in enumerate(sorted(p)))

    found = []
    for text in states:
        total = 0.0
        for layer in range(states.shape[1]):
            known = [simes_of(other, layer) for other in first]
            own = simes_of(text, layer)
            total -= 2 * math.log((1 + sum(k <= own for k in known)) / (len(known) + 1))
        found.append(total)
    return found


def slow_p(states, reference):
    first, second = reference[::2], reference[1::2]
    final = slow_statistic(second, first)
    return [(1 + sum(f >= t for f in final)) / (len(final) + 1) for t in slow_statistic(states, first)]


def test_it_gives_the_numbers_of_the_slow_rewrite():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(15, 3, 5)).round(1)  # rounded: there are ties
    states = rng.normal(size=(6, 3, 5)).round(1)
    masf = Masf.of(reference)
    statistics = masf.statistics(states)
    assert statistics == pytest.approx(slow_statistic(states, reference[::2]))
    assert masf.p_values(statistics) == pytest.approx(slow_p(states, reference))


def test_simes_is_the_least_of_the_scaled_p_values():
    """0.01·4/1, 0.03·4/2, 0.04·4/3, 0.9·4/4: the least is 0.04."""
    assert simes(np.array([0.9, 0.03, 0.01, 0.04])) == pytest.approx(0.04)
    assert simes(np.array([0.5, 0.02, 0.03, 0.04])) == pytest.approx(0.04 * 4 / 3)


def test_two_sided_p_values_by_hand():
    """Of 1 2 3 4: 0 lies below all (2 · 1/5), 2.5 in the middle (1), 4 reaches the last (2 · 2/5)."""
    known = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    found = two_sided(known, np.array([0.0, 2.5, 4.0]).reshape(3, 1, 1)).ravel()
    assert found == pytest.approx([0.4, 1.0, 0.8])


def test_texts_like_the_reference_get_uniform_p_values():
    """The share of p ≤ a is at most a, and not much less, over 40 references with correlated units."""
    rng = np.random.default_rng(1)
    p = []
    for _ in range(40):
        mixing = rng.normal(size=(2, 8, 8))
        states = np.einsum("nld,lde->nle", rng.normal(size=(140, 2, 8)), mixing)
        masf = Masf.of(states[:80])
        p.append(masf.p_values(masf.statistics(states[80:])))
    every = np.concatenate(p)
    for a in (0.05, 0.1, 0.25, 0.5, 0.9):
        assert a - 0.06 < (every <= a).mean() < a + 0.02


@pytest.mark.parametrize("shift", ["all units by two", "four units of each layer by nine"])
def test_texts_unlike_the_reference_are_rejected(shift):
    rng = np.random.default_rng(2)
    masf = Masf.of(rng.normal(size=(160, 3, 10)))
    states = rng.normal(size=(100, 3, 10))
    if shift == "all units by two":
        states += 2
    else:
        states[:, :, 4:8] += 9
    assert (masf.p_values(masf.statistics(states)) <= 0.05).mean() > 0.5
    inside = rng.normal(size=(100, 3, 10))
    assert (masf.p_values(masf.statistics(inside)) <= 0.05).mean() < 0.15
