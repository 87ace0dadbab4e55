"""DACT-BERT's answer and its two exit rules, one number at a time, to be compared with.

`ys` holds a distribution y_n for each layer, `hs` a number h_n (Eyzaguirre, del Río, Araujo, Soto 2021).
"""

from __future__ import annotations

import math


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def accumulate(ys, hs):
    """Return (a_n, p_n) for each layer."""
    a, p, found = None, 1.0, []
    for y, h in zip(ys, hs, strict=True):
        a = list(y) if a is None else [p * new + (1 - p) * old for new, old in zip(y, a, strict=True)]
        p = h * p
        found.append((a, p))
    return found


def certain(rule, a, p, left):
    """Say whether `left` more layers cannot change the class."""
    top, second = sorted(a, reverse=True)[:2]
    stay = (1 - p) ** left
    if rule == "published":
        return top * stay >= second + left * p
    return stay * (1 + top - second) >= 1


def exit_layer(rule, ys, hs):
    """Return how many layers are run."""
    found = accumulate(ys, hs)
    for n, (a, p) in enumerate(found[:-1], start=1):
        if certain(rule, a, p, len(found) - n):
            return n
    return len(found)


def of_class(a):
    return a.index(max(a))


def worst(a, p, left):
    """Return a_N where all later layers are sure of the runner-up and matter as much as they may: h = 1."""
    runner = a.index(sorted(a, reverse=True)[1])
    for _ in range(left):
        a = [p * (c == runner) + (1 - p) * old for c, old in enumerate(a)]
    return a
