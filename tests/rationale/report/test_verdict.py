"""Sentences from tables worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rationale.report.verdict import claims, sides, verdict

SCORES = pd.DataFrame(
    [
        ("model", "-", "accuracy", 0.9, 0.8, 1.0, 20, "higher"),
        ("a", "-", "average_precision", 0.7, 0.6, 0.8, 20, "higher"),
        ("b", "-", "average_precision", 0.65, 0.6, 0.7, 20, "higher"),
        ("c", "-", "average_precision", 0.5, 0.4, 0.6, 20, "higher"),
        ("random", "-", "average_precision", 0.4, 0.3, 0.5, 20, "higher"),
        ("a", "-", "aopc_sufficiency", 0.2, 0.1, 0.3, 20, "lower"),
        ("random", "-", "aopc_sufficiency", 0.1, 0.0, 0.2, 20, "lower"),
        ("a", "-", "cost", 12.345, np.nan, np.nan, 20, "lower"),
        ("b", "-", "cost", 2.0, np.nan, np.nan, 20, "lower"),
        ("random", "-", "cost", 0.01, np.nan, np.nan, 20, "lower"),
    ],
    columns=["method", "budget", "metric", "value", "low", "high", "n", "better"],
)
PAIRED = pd.DataFrame(
    [
        ("average_precision", "-", "a", "b", True),
        ("average_precision", "-", "a", "c", False),
        ("average_precision", "-", "a", "random", False),
        ("average_precision", "-", "b", "random", False),
        ("average_precision", "-", "c", "random", True),
        ("aopc_sufficiency", "-", "a", "random", False),
    ],
    columns=["metric", "budget", "method", "other", "tie"],
)


def test_who_leads_who_is_not_behind_and_who_has_no_signal():
    assert verdict(SCORES, PAIRED, "ratio") == (
        "The model: accuracy 0.900 [0.800, 1.000], n = 20.",
        "Ranking words as the annotators do (average precision, higher is better): a leads with "
        "0.700 [0.600, 0.800], n = 20; not clearly behind: b. Not clearly better than random: c.",
        "Finding words that suffice for the model (aopc sufficiency, lower is better): random leads with "
        "0.100 [0.000, 0.200], n = 20; clearly ahead of all others. Not clearly better than random: a.",
        "To show people: a or b (tie; average precision 0.700 [0.600, 0.800] and 0.650 [0.600, 0.700], "
        "n = 20).",
        "Do not use c to show people: no better than random on average precision.",
        "Cost, median per text: from 2.00 ms (b) to 12.3 ms (a).",
    )


def test_a_method_that_failed_a_test_is_not_advised():
    told = claims(SCORES, PAIRED, {"To show people": ["a", "b"]})
    assert [claim.text for claim in told] == [
        "To show people: none of these methods (average precision, n = 20).",
        "Do not use c to show people: no better than random on average precision.",
    ]
    assert claims(SCORES[SCORES.method != "random"], PAIRED) == ()


def test_two_runs_in_sentences():
    names = ["run", "other", "metric", "method", "value", "other_value"]
    names += ["difference", "difference_low", "difference_high", "n", "tie"]
    table = pd.DataFrame(
        [
            ("x", "y", "accuracy", "model", 0.9, 0.8, 0.1, -0.05, 0.2, 30, True),
            ("x", "y", "token_f1", "a", 0.5, 0.4, 0.1, 0.05, 0.15, 30, False),
            ("x", "y", "sufficiency", "a", 0.5, 0.2, 0.3, 0.2, 0.4, 30, False),
            ("x", "y", "token_f1", "b", 0.5, 0.5, 0.0, -0.1, 0.1, 30, True),
            ("x", "y", "token_f1", "c", 0.5, np.nan, np.nan, np.nan, np.nan, 30, None),
        ],
        columns=names,
    )
    assert sides(table) == (
        "accuracy: 0.900 in x, 0.800 in y; difference +0.100 [-0.050, +0.200], n = 30: no clear difference.",
        "Of 3 paired differences of methods, 1 clearly favour x, 1 y; 1 are ties.",
        "The largest clear one: sufficiency of a: 0.500 in x, 0.200 in y; "
        "difference +0.300 [+0.200, +0.400], n = 30: y is better.",
        "Measured by one run alone: c.",
    )
