"""What turns with a choice, against numbers worked out by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from eraser.metrics.table import rows_of
from rationale.evaluation.per_example import NO_BUDGET, per_example_metrics
from rationale.trusting.turns import FAITHFUL, PLAUSIBLE, correlation
from tests.helpers.made_runs import made


def evaluation(n):
    """Two methods; without the words of the second, answers fall much further."""
    rng = np.random.default_rng(0)
    close = [[2 * (w < 2) + rng.random() for w in range(6)] for _ in range(n)]
    far = [[2 * (w > 3) + rng.random() for w in range(6)] for _ in range(n)]
    falls = {"a": rng.uniform(0, 0.2, n), "b": rng.uniform(0.4, 0.6, n)}
    gold = [{*rng.choice(6, 2, replace=False).tolist()} for _ in range(n)]
    return made({"a": close, "b": far}, gold, falls=falls)[0]


def test_people_and_faithfulness_are_correlated_within_methods():
    of = evaluation(12)
    columns = per_example_metrics(of)

    def centred(metric):
        values = [rows_of(columns[metric, NO_BUDGET, m])[:, 0] for m in "ab"]
        return np.concatenate([v - v.mean() for v in values])

    found = correlation(of)
    assert found["r"] == pytest.approx(pearsonr(centred(PLAUSIBLE), centred(FAITHFUL)).statistic, abs=1e-12)
    assert abs(found["r"]) > 0.05
    assert found["low"] < found["r"] < found["high"]
    assert (found["n"], found["methods"]) == (12, 2)


def test_fewer_than_eight_texts_are_not_correlated():
    assert correlation(evaluation(8)) is not None
    assert correlation(evaluation(7)) is None
