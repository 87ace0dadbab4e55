"""Did the model use the picked words? Arithmetic on probabilities somebody else's model gave.

p is the probability of the label predicted on the full text. Higher comprehensiveness is better, lower
sufficiency is better; nothing is clipped (DeYoung et al. 2020, section 4.2).
"""

from __future__ import annotations

from eraser.agreement import Columns
from eraser.types import Ablation, Prediction, Truth


def _drops(prediction: Prediction, ablations: tuple[Ablation, ...]) -> tuple[list[float], list[float]]:
    p = prediction.probs[prediction.label]
    without = [p - a.without[prediction.label] for a in ablations]
    only = [p - a.only[prediction.label] for a in ablations]
    return without, only


def comprehensiveness(truth: Truth, prediction: Prediction) -> Columns:
    """Return p − p(text without the rationale)."""
    if prediction.at_rationale is None:
        return None
    return (_drops(prediction, (prediction.at_rationale,))[0][0],)


def sufficiency(truth: Truth, prediction: Prediction) -> Columns:
    """Return p − p(rationale only)."""
    if prediction.at_rationale is None:
        return None
    return (_drops(prediction, (prediction.at_rationale,))[1][0],)


def aopc_comprehensiveness(truth: Truth, prediction: Prediction) -> Columns:
    """Return the mean comprehensiveness over the shares of words removed."""
    without, _ = _drops(prediction, prediction.ablations)
    return (sum(without) / len(without),) if without else None


def aopc_sufficiency(truth: Truth, prediction: Prediction) -> Columns:
    """Return the mean sufficiency over the shares of words kept."""
    _, only = _drops(prediction, prediction.ablations)
    return (sum(only) / len(only),) if only else None


def accuracy(truth: Truth, prediction: Prediction) -> Columns:
    """Return 1 where the predicted label is the human one."""
    return (float(prediction.label == truth.label),)
