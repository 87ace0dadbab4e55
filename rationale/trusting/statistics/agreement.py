"""How alike are two rankings of one text's words? Of words that both know; NaN where the first ranks none.

A second ranking that tells no words apart agrees with nothing: 0.
Axes: W word, N text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import kendalltau, rankdata

from eraser.metrics.answers import correlation, moments
from eraser.metrics.bootstrap import Estimate, estimate, interval, resamples
from eraser.metrics.table import mean
from eraser.types import Floats
from rationale.budgets import top_words

Agreement = Callable[[Floats, Floats], float]


def _where_told(agreement: Agreement) -> Agreement:
    def told(ours: Floats, theirs: Floats) -> float:
        both = ~np.isnan(ours) & ~np.isnan(theirs)
        ours, theirs = ours[both], theirs[both]
        if len(ours) < 2 or np.ptp(ours) == 0:  # noqa: PLR2004 (a ranking is of two)
            return np.nan
        return 0.0 if np.ptp(theirs) == 0 else agreement(ours, theirs)

    return told


@_where_told
def spearman(ours: Floats, theirs: Floats) -> float:
    """Return Spearman's rank correlation of scores [W]."""
    return float(np.corrcoef(rankdata(ours), rankdata(theirs))[0, 1])


@_where_told
def kendall(ours: Floats, theirs: Floats) -> float:
    """Return Kendall's tau-b of scores [W]."""
    return float(kendalltau(ours, theirs).statistic)


def absolute_spearman(ours: Floats, theirs: Floats) -> float:
    """Return Spearman's rank correlation of the scores without their signs [W]."""
    return spearman(np.abs(ours), np.abs(theirs))


def jaccard(ours: Floats, theirs: Floats, size: int) -> float:
    """Return the Jaccard index of the `size` highest of scores [W]; NaN where nothing is picked."""
    one, other = top_words(ours, size), top_words(theirs, size)
    either = (one | other).sum()
    return float((one & other).sum() / either) if either else np.nan


def mean_of(values: Sequence[float] | Floats) -> Estimate:
    """Return the mean of a number of each text [N] with its interval; NaN is no number."""
    known = np.array([v for v in values if not np.isnan(v)], dtype=np.float64)
    return estimate(known[:, None], mean)


def rank_correlation(pairs: Sequence[Floats]) -> Estimate:
    """Return Spearman's correlation over the pairs [K,2] of all texts, with an interval over texts.

    Ranks are those of all pairs together; resamples of texts keep them. NaN where either side is constant.
    """
    sizes = [len(of_text) for of_text in pairs]
    every = np.concatenate(pairs) if pairs else np.empty((0, 2))
    if len(every) < 2 or (np.ptp(every, axis=0) == 0).any():  # noqa: PLR2004
        return Estimate(np.nan, np.nan, np.nan, len(pairs))
    ranked = moments(np.stack([rankdata(column) for column in every.T], axis=1))  # [all K,5]
    edges = np.cumsum([0, *sizes])[:-1]
    sums = np.add.reduceat(ranked, edges, axis=0)  # [N,5]
    columns = np.column_stack([sums, sizes])  # [N,6]
    return estimate(columns, lambda means: correlation(means[..., :5] / means[..., 5:]))


def correlation_of_pairs(one: Floats, other: Floats) -> Estimate:
    """Return Spearman's correlation of two distances [N,N] over all pairs of N texts, with its interval.

    A resample draws texts, and a pair as often as the product of its two texts: were only one of them drawn,
    the pairs would count as independent, and the interval would be far too narrow.
    """
    apart = ~np.eye(len(one), dtype=bool)  # [N,N]
    pairs = np.stack([one[apart], other[apart]], axis=1)  # [K,2]
    if len(pairs) < 2 or (np.ptp(pairs, axis=0) == 0).any():  # noqa: PLR2004
        return Estimate(np.nan, np.nan, np.nan, len(one))
    of_pair = np.zeros((*apart.shape, 5))
    of_pair[apart] = moments(np.stack([rankdata(column) for column in pairs.T], axis=1))  # [N,N,5]

    def folded(drawn: Floats) -> Floats:  # how often each text is drawn [R,N]
        sums = np.einsum("ri,rj,ijk->rk", drawn, drawn, of_pair, optimize=True)  # [R,5]
        n_pairs = np.einsum("ri,rj,ij->r", drawn, drawn, apart.astype(np.float64), optimize=True)  # [R]
        with np.errstate(invalid="ignore"):  # one text drawn N times is no pair: NaN, left out
            return correlation(sums / n_pairs[:, None])

    value = float(folded(np.ones((1, len(one))))[0])
    return Estimate(value, *interval(folded(resamples(len(one)))), len(one))
