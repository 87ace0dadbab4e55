"""The source of a user's own classifier."""

from __future__ import annotations

SOURCE = '''
import numpy as np

CALLS = []


def predict(texts):
    """POS by the good words, NEG by the bad ones."""
    CALLS.append(len(texts))
    good, bad = (np.array([sum(t.count(w) for w in of) for t in texts], dtype=float)
                 for of in (("warm", "moving", "good"), ("dull", "flat", "bad")))
    p = 1 / (1 + np.exp(bad - good))
    return np.stack([1 - p, p], 1)


class Model:
    classes_ = np.array(["NEG", "POS"])

    def predict_proba(self, texts):
        return predict(texts)


model = Model()
number = 3
'''
