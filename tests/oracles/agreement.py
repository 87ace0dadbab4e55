"""Agreement rewritten slowly from the definitions, word by word, to be compared with.

A text has the words 0 … n-1; `spans` are (start, end) pairs that people marked, `picked` is a list of
booleans, `scores` a list of numbers where NaN says that the word was never read. None: the question has no
answer.
"""

from __future__ import annotations

from math import isnan, nan


def words_of(spans):
    found = set()
    for start, end in spans:
        for word in range(start, end):
            found.add(word)
    return found


def token_counts(spans, picked):
    gold = words_of(spans)
    if not gold:
        return None
    hit = predicted = 0
    for word, is_picked in enumerate(picked):
        if is_picked:
            predicted += 1
            if word in gold:
                hit += 1
    return hit, predicted, len(gold)


def token_precision(spans, picked):
    counts = token_counts(spans, picked)
    if counts is None:
        return None
    hit, predicted, _ = counts
    return (0.0 if predicted == 0 else hit / predicted,)


def token_recall(spans, picked):
    counts = token_counts(spans, picked)
    if counts is None:
        return None
    hit, _, gold = counts
    return (hit / gold,)


def token_f1(spans, picked):
    """The harmonic mean of precision and recall, 0 where one of them is."""
    if token_counts(spans, picked) is None:
        return None
    (p,), (r,) = token_precision(spans, picked), token_recall(spans, picked)
    return (0.0 if p == 0 or r == 0 else 2 / (1 / p + 1 / r),)


def token_iou(spans, picked):
    gold = words_of(spans)
    if not gold:
        return None
    predicted = {word for word, is_picked in enumerate(picked) if is_picked}
    return (len(gold & predicted) / len(gold | predicted),)


def predicted_spans(picked):
    found, start = [], None
    for word, is_picked in enumerate([*picked, False]):
        if is_picked and start is None:
            start = word
        if not is_picked and start is not None:
            found.append((start, word))
            start = None
    return found


def fits(a, b):
    x, y = words_of([a]), words_of([b])
    return 2 * len(x & y) >= len(x | y)


def iou_eraser(spans, picked):
    if not spans:
        return None
    predicted = predicted_spans(picked)
    hits = 0
    for span in predicted:
        if any(fits(span, gold) for gold in spans):
            hits += 1
    return (hits / len(predicted) if predicted else nan), hits / len(spans)


def most_matches(predicted, gold):
    """Try every way to give the first predicted span a gold span, or none."""
    if not predicted:
        return 0
    first, *others = predicted
    best = most_matches(others, gold)
    for span in gold:
        if fits(first, span):
            best = max(best, 1 + most_matches(others, [g for g in gold if g != span]))
    return best


def iou_f1_one_to_one(spans, picked):
    if not spans:
        return None
    predicted = predicted_spans(picked)
    p = most_matches(predicted, sorted(spans)) / max(1, len(predicted))
    r = most_matches(predicted, sorted(spans)) / len(spans)
    return (0.0 if p == 0 else 2 / (1 / p + 1 / r),)


def false_positive_rate(spans, picked):
    gold = words_of(spans)
    others = [is_picked for word, is_picked in enumerate(picked) if word not in gold]
    if not gold or not others:
        return None
    wrong = 0
    for is_picked in others:
        if is_picked:
            wrong += 1
    return (wrong / len(others),)


def size(spans, picked):
    return (sum(picked) / len(picked),) if picked else None


def above(a, b):
    """Whether score a ranks above score b: what was never read is below everything that was."""
    if isnan(a):
        return False
    return isnan(b) or a > b


def average_precision(spans, scores):
    """The mean, over gold words, of the share of gold among the words that rank no lower than it."""
    gold = words_of(spans)
    if not gold or len(gold) == len(scores):
        return None
    total = 0.0
    for word in gold:
        level = [w for w in range(len(scores)) if not above(scores[word], scores[w])]
        total += len([w for w in level if w in gold]) / len(level)
    return (total / len(gold),)


def auprc(spans, scores):
    """Walk the thresholds from high to low from the point (recall 0, precision 1); add up trapezoids."""
    gold = words_of(spans)
    if not gold:
        return None
    area, old_recall, old_precision = 0.0, 0.0, 1.0
    left = list(range(len(scores)))
    taken = []
    while left:
        top = [w for w in left if not any(above(scores[v], scores[w]) for v in left)]
        left = [w for w in left if w not in top]
        taken += top
        hits = len([w for w in taken if w in gold])
        recall, precision = hits / len(gold), hits / len(taken)
        area += (recall - old_recall) * (precision + old_precision) / 2
        old_recall, old_precision = recall, precision
    return (area,)


def roc_auc(spans, scores):
    gold = words_of(spans)
    others = [word for word in range(len(scores)) if word not in gold]
    if not gold or not others:
        return None
    right = 0.0
    for word in gold:
        for other in others:
            if above(scores[word], scores[other]):
                right += 1
            elif not above(scores[other], scores[word]):
                right += 0.5
    return (right / (len(gold) * len(others)),)
