"""How sure is an aggregate? Percentile bootstrap over examples, paired between methods.

A metric's per-example columns [N,K] are averaged, then folded to one number, so a resample is one
matrix product. NaN in a column means that the example has no say in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eraser.types import Floats

Fold = Callable[[Floats], Floats]  # column means [..., K] → values [...]
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval and the number of examples it stands on."""

    value: float
    low: float
    high: float
    n: int

    @property
    def spans_zero(self) -> bool:
        """True when the interval holds 0: a difference like that is a tie."""
        return not (self.low > 0 or self.high < 0)


@lru_cache(maxsize=4)  # asked again for every number of a run
def resamples(n: int, seed: int = 0, count: int = RESAMPLES) -> Floats:
    """Return how often each of `n` examples is drawn in each resample [count, n], read-only."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=count).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def _means(columns: Floats, weights: Floats) -> Floats:
    """Return weighted column means [R,K] over the examples where the column has a value."""
    known = ~np.isnan(columns)
    total = weights @ np.where(known, columns, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = total / (weights @ known.astype(np.float64))
    return means


def estimate(columns: Floats, fold: Fold, seed: int = 0) -> Estimate:
    """Return the folded value of columns [N,K] with its interval."""
    return _estimate(lambda weights: fold(_means(columns, weights)), len(columns), seed)


def difference(ours: Floats, theirs: Floats, fold: Fold, seed: int = 0) -> Estimate:
    """Return fold(ours) − fold(theirs) with its interval; row i of both is the same example."""
    if ours.shape != theirs.shape:
        raise ValueError(f"paired columns need one shape, got {ours.shape} and {theirs.shape}")
    return _estimate(lambda w: fold(_means(ours, w)) - fold(_means(theirs, w)), len(ours), seed)


def _estimate(value_of: Callable[[Floats], Floats], n: int, seed: int) -> Estimate:
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value = float(value_of(np.ones((1, n)))[0])
    drawn = value_of(resamples(n, seed))
    drawn = drawn[~np.isnan(drawn)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high), n)
