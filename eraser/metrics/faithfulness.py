"""Metrics of faithfulness: arithmetic on a model's probabilities with and without words.

p is the probability of the label predicted on the full text; of a set of labels that of the one explained, of
a number the number itself. Higher comprehensiveness is better, lower sufficiency is better; nothing is
clipped (DeYoung et al. 2020, section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eraser.metrics.agreement import MetricColumns
from eraser.metrics.bootstrap import ROUNDING
from eraser.types import Ablation, Bounds, GoldRationale, Prediction


def _drops(prediction: Prediction, ablations: tuple[Ablation, ...]) -> tuple[list[float], list[float]]:
    of = prediction.subject
    p = prediction.probs[of]
    without = [p - a.without[of] for a in ablations]
    only = [p - a.only[of] for a in ablations]
    return without, only


def comprehensiveness(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return p − p(text without the rationale)."""
    if prediction.at_rationale is None:
        return None
    return (_drops(prediction, (prediction.at_rationale,))[0][0],)


def sufficiency(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return p − p(rationale only)."""
    if prediction.at_rationale is None:
        return None
    return (_drops(prediction, (prediction.at_rationale,))[1][0],)


def aopc_comprehensiveness(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the mean comprehensiveness over the shares of words removed."""
    without, _ = _drops(prediction, prediction.ablations)
    return (sum(without) / len(without),) if without else None


def aopc_sufficiency(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return the mean sufficiency over the shares of words kept."""
    _, only = _drops(prediction, prediction.ablations)
    return (sum(only) / len(only),) if only else None


def bounds_of(predictions: Sequence[Prediction]) -> Bounds:
    """Return the range of AOPC over predictions that order one example's words differently."""
    without, only = zip(*(_drops(p, p.ablations) for p in predictions), strict=True)
    means = [[sum(drops) / len(drops) for drops in side] for side in (without, only)]
    return Bounds(*((min(side), max(side)) for side in means))


def normalised_aopc_comprehensiveness(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return where AOPC comprehensiveness lies between the worst (0) and best (1) ordering found.

    The plain one cannot be compared between models: each has a range of its own (Edin et al. 2024,
    arXiv 2408.08137). The bounds here are those of the orderings tried, not of all orderings.
    """
    bounds = prediction.bounds
    return (
        None
        if bounds is None
        else _between(aopc_comprehensiveness(truth, prediction), bounds.comprehensiveness)
    )


def normalised_aopc_sufficiency(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return where AOPC sufficiency lies between the best (0) and worst (1) ordering found."""
    if prediction.bounds is None:
        return None
    return _between(aopc_sufficiency(truth, prediction), prediction.bounds.sufficiency)


def _between(columns: MetricColumns, bounds: tuple[float, float]) -> MetricColumns:
    """Return the place between the bounds; None where they are the same but for rounding."""
    low, high = bounds
    return None if columns is None or high - low < ROUNDING else ((columns[0] - low) / (high - low),)


def tau_leave_one_out(truth: GoldRationale, prediction: Prediction) -> MetricColumns:
    """Return Kendall's tau-b between scores and the fall without each single word, over read words.

    None where either is constant.
    """
    if prediction.leave_one_out is None:
        return None
    from scipy.stats import kendalltau  # slow to import, and only this metric needs it

    read = ~np.isnan(prediction.scores) & ~np.isnan(prediction.leave_one_out)
    scores, falls = prediction.scores[read], prediction.leave_one_out[read]
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(falls) == 0:
        return None
    return (float(kendalltau(scores, falls).statistic),)
