"""AUPRC, average precision and ROC AUC rewritten slowly, and as scikit-learn has them, to be compared with.

`gold` is a list of booleans, `scores` a list of numbers. None: the question has no answer.
"""

from __future__ import annotations

from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score


def points(gold, scores):
    """Recall and precision of everything that scores at least t, for each t from high to low, from (0, 1)."""
    found = [(0.0, 1.0)]
    for threshold in sorted(set(scores), reverse=True):
        picked = [is_gold for is_gold, score in zip(gold, scores, strict=True) if score >= threshold]
        found.append((sum(picked) / sum(gold), sum(picked) / len(picked)))
    return found


def auprc_trapezoid(gold, scores):
    if not any(gold):
        return None
    curve = points(gold, scores)
    return sum((r1 - r0) * (p0 + p1) / 2 for (r0, p0), (r1, p1) in zip(curve, curve[1:], strict=False))


def average_precision(gold, scores):
    if not any(gold):
        return None
    curve = points(gold, scores)
    return sum((r1 - r0) * p1 for (r0, _), (r1, p1) in zip(curve, curve[1:], strict=False))


def roc_auc(gold, scores):
    if not any(gold) or all(gold):
        return None
    right = 0.0
    for is_gold, score in zip(gold, scores, strict=True):
        for other_is_gold, other in zip(gold, scores, strict=True):
            if is_gold and not other_is_gold:
                right += 1.0 if score > other else 0.5 if score == other else 0.0
    return right / (sum(gold) * (len(gold) - sum(gold)))


def sklearn_auprc_trapezoid(gold, scores):
    if not any(gold):
        return None
    precision, recall, _ = precision_recall_curve(gold, scores)
    return auc(recall, precision)


def sklearn_average_precision(gold, scores):
    return average_precision_score(gold, scores) if any(gold) else None


def sklearn_roc_auc(gold, scores):
    return roc_auc_score(gold, scores) if any(gold) and not all(gold) else None
