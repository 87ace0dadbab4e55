"""Intervals of aggregates: percentile bootstrap over examples, paired between methods.

A metric's per-example columns [N,K] are averaged, then folded to one number, so a resample is one
matrix product. NaN in a column leaves the example out of it. Where a model was trained several
times, trainings are drawn too (a hierarchical bootstrap), so that an interval covers another training.

Above GROUPS examples, groups of them, assigned at random, are drawn in their place: a mean varies with them
as it does with single examples, and neither memory nor time for a resample grows with N.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eraser.types import Floats

Fold = Callable[[Floats], Floats]  # column means [..., K] → values [...]
RESAMPLES = 1000
LEVEL = 0.95
ROUNDING = 1e-6  # a smaller difference may come from float32 arithmetic alone
FEWEST = 6  # examples that tell a difference: of n with one sign the sign test's p is 2^(1-n)
GROUPS = 4096  # the spread of as many means is known to 1 %


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval and the number of examples it stands on."""

    value: float
    low: float
    high: float
    n: int

    @property
    def spans_zero(self) -> bool:
        """True when the interval contains 0, the value is mere rounding, or n < FEWEST: a tie.

        Resamples of few examples hold too few different ones; of one, the interval has no width.
        """
        return self.n < FEWEST or abs(self.value) < ROUNDING or not (self.low > 0 or self.high < 0)


@lru_cache(maxsize=4)  # asked again for every number of a run
def resamples(n: int, seed: int = 0, count: int = RESAMPLES) -> Floats:
    """Return how often each of `n` examples is drawn in each resample [count, n], read-only."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=count).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


@dataclass(frozen=True)
class _Sums:
    """Sums over each group of examples, and how many have a value there, both [G,K]."""

    total: Floats
    known: Floats

    @classmethod
    def of(cls, columns: Floats, seed: int) -> _Sums:
        """Sum columns [N,K] by group; with no more examples than GROUPS each is its own."""
        known = ~np.isnan(columns)
        values, counts = np.where(known, columns, 0.0), known.astype(np.float64)
        if (n := len(columns)) <= GROUPS:
            return cls(values, counts)
        group = _groups(n, seed)
        total, n_known = (
            np.stack([np.bincount(group, c, GROUPS) for c in of.T], 1).astype(np.float64)
            for of in (values, counts)
        )
        return cls(total, n_known)

    def means(self, weights: Floats) -> Floats:
        """Return weighted column means [R,K]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = (weights @ self.total) / (weights @ self.known)
        return means


@lru_cache(maxsize=1)
def _groups(n: int, seed: int) -> NDArray[np.int64]:
    """Return the group of each example [n], all of one size or one less."""
    return np.random.default_rng(seed).permutation(n) % GROUPS


def estimate(columns: Floats, fold: Fold, seed: int = 0) -> Estimate:
    """Return the folded value of columns [N,K] with its interval."""
    sums = _Sums.of(columns, seed)
    return _estimate(lambda weights: fold(sums.means(weights)), len(columns), seed)


def difference(ours: Floats, theirs: Floats, fold: Fold, seed: int = 0) -> Estimate:
    """Return fold(ours) − fold(theirs) with its interval.

    Args:
        ours: columns [N,K].
        theirs: columns [N,K]; row i of both is the same example.
        fold: see the module.
        seed: of the resamples.

    Raises:
        ValueError: the shapes differ.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"paired columns need one shape, got {ours.shape} and {theirs.shape}")
    one, other = _Sums.of(ours, seed), _Sums.of(theirs, seed)
    return _estimate(lambda w: fold(one.means(w)) - fold(other.means(w)), len(ours), seed)


def estimate_over_trainings(columns: Sequence[Floats], fold: Fold, seed: int = 0) -> Estimate:
    """Return the mean over trainings of the folded value, with an interval over examples and trainings.

    Each resample draws examples, the same for all trainings, and trainings, both with replacement.

    Args:
        columns: an array [N,K] of each training, the same examples in one order.
        fold: see the module.
        seed: of the resamples.
    """
    sums = [_Sums.of(of_one, seed) for of_one in columns]
    return _over(lambda weights: np.stack([fold(s.means(weights)) for s in sums]), columns, seed)


def difference_over_trainings(
    ours: Sequence[Floats], theirs: Sequence[Floats], fold: Fold, seed: int = 0
) -> Estimate:
    """Return the mean over trainings of fold(ours) − fold(theirs), with an interval as above.

    Args:
        ours: an array [N,K] of each training.
        theirs: the same; training i of both is a pair, row j of all the same example.
        fold: see the module.
        seed: of the resamples.

    Raises:
        ValueError: the numbers of trainings or the shapes differ.
    """
    if [a.shape for a in ours] != [b.shape for b in theirs]:
        raise ValueError("paired trainings need columns of one shape")
    pairs = [(_Sums.of(a, seed), _Sums.of(b, seed)) for a, b in zip(ours, theirs, strict=True)]

    def values(weights: Floats) -> Floats:
        return np.stack([fold(a.means(weights)) - fold(b.means(weights)) for a, b in pairs])  # [S,R]

    return _over(values, ours, seed)


def _over(values_of: Callable[[Floats], Floats], columns: Sequence[Floats], seed: int) -> Estimate:
    """Return an estimate of what `values_of` weights of examples [R,G] is in each training [S,R]."""
    if len({len(of_one) for of_one in columns}) != 1:
        raise ValueError("trainings need the same examples")
    trainings = len(columns)
    drawn = resamples(trainings, seed + 1) / trainings  # [R,S]
    once = np.ones((1, trainings)) / trainings  # [1,S]

    def mean(weights: Floats) -> Floats:
        of_trainings = once if len(weights) == 1 else drawn
        found: Floats = (of_trainings.T * values_of(weights)).sum(0)  # [R]
        return found

    return _estimate(mean, len(columns[0]), seed)


def _estimate(value_of: Callable[[Floats], Floats], n: int, seed: int) -> Estimate:
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    drawn_from = min(n, GROUPS)
    value = float(value_of(np.ones((1, drawn_from)))[0])
    return Estimate(value, *interval(value_of(resamples(drawn_from, seed))), n)


def interval(drawn: Floats) -> tuple[float, float]:
    """Return the 95 % percentile interval of the values of resamples [R], without those that are NaN."""
    drawn, tail = drawn[~np.isnan(drawn)], (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (np.nan, np.nan)
    return float(low), float(high)
