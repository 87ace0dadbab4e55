"""Sentences from tables worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rationale.report.verdict import claims, details, sides, verdict

SCORES = pd.DataFrame(
    [
        ("model", "-", "accuracy", 0.9, 0.8, 1.0, 20, "higher"),
        ("a", "-", "average_precision", 0.7, 0.6, 0.8, 20, "higher"),
        ("b", "-", "average_precision", 0.65, 0.6, 0.7, 20, "higher"),
        ("c", "-", "average_precision", 0.5, 0.4, 0.6, 20, "higher"),
        ("random", "-", "average_precision", 0.4, 0.3, 0.5, 20, "higher"),
        ("a", "-", "aopc_comprehensiveness", 0.3, 0.2, 0.4, 20, "higher"),
        ("b", "-", "aopc_comprehensiveness", 0.1, 0.0, 0.2, 20, "higher"),
        ("random", "-", "aopc_comprehensiveness", 0.1, 0.0, 0.2, 20, "higher"),
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
        ("aopc_comprehensiveness", "-", "a", "b", False),
        ("aopc_comprehensiveness", "-", "a", "random", False),
        ("aopc_comprehensiveness", "-", "b", "random", True),
        ("aopc_sufficiency", "-", "a", "random", False),
    ],
    columns=["metric", "budget", "method", "other", "tie"],
)


def test_three_sentences_say_what_to_show_what_was_used_and_what_not_to_use():
    assert verdict(SCORES, PAIRED) == (
        "To show people: a or b (tie; average precision 0.700 [0.600, 0.800] and 0.650 [0.600, 0.700], "
        "n = 20).",
        "To know what the model used: a (AOPC comprehensiveness 0.300 [0.200, 0.400], n = 20).",
        "Do not use c to show people (average precision), nor b to know what the model used "
        "(AOPC comprehensiveness): not clearly better than random.",
    )


def test_where_nothing_is_to_be_left_the_third_sentence_is_the_cost():
    good = SCORES[~SCORES.method.isin(["b", "c"]) | (SCORES.metric == "cost")]
    *_, last = verdict(good, PAIRED)
    assert last == "Cost, median per text: from 2.00 ms (b) to 12.3 ms (a)."


@pytest.mark.parametrize("n", [9, 10])
def test_of_few_texts_it_says_that_they_are_too_few(n):
    """Two texts once gave "average precision 1.000 [1.000, 1.000]", and not a word of doubt."""
    few = SCORES.assign(n=np.where(SCORES.metric == "average_precision", n, 20))
    told = "n = 9: too few texts to rely on these intervals."
    for scores in (few, few[few.method != "random"]):
        assert (verdict(scores, PAIRED)[-1] == told) == (n == 9)
    assert len(verdict(few, PAIRED)) == (4 if n == 9 else 3)


def test_without_a_baseline_it_says_who_leads():
    first, *_ = verdict(SCORES[SCORES.method != "random"], PAIRED)
    assert first == (
        "Ranking words as the annotators do (average precision, higher is better): a leads with "
        "0.700 [0.600, 0.800], n = 20; not clearly behind: b."
    )


def test_of_sentences_those_are_ranked_though_the_words_are_measured_too():
    at = {"average_precision": "sentence_average_precision"}
    words = SCORES[SCORES.metric == "average_precision"]
    turned = words.assign(value=words.value.to_numpy()[::-1])
    of_sentences = pd.concat([turned, SCORES.assign(metric=SCORES.metric.replace(at))])
    paired = pd.concat([PAIRED, PAIRED.assign(metric=PAIRED.metric.replace(at))])
    assert verdict(of_sentences, paired)[0].startswith(
        "To show people: a or b (tie; sentence average precision 0.700"
    )


def test_of_many_that_tie_only_the_ends_are_told_their_number():
    rows = [
        (m, "-", "average_precision", v, v, v, 12, "higher")
        for m, v in zip("pqrs", (0.9, 0.8, 0.7, 0.6), strict=True)
    ]
    rows.append(("random", "-", "average_precision", 0.1, 0.1, 0.1, 12, "higher"))
    ties = [("average_precision", "-", "p", other, True) for other in "qrs"]
    scores, paired = pd.DataFrame(rows, columns=SCORES.columns), pd.DataFrame(ties, columns=PAIRED.columns)
    assert verdict(scores, paired) == (
        "To show people: p, q, r or s (tie; average precision from 0.900 [0.900, 0.900] to "
        "0.600 [0.600, 0.600], n = 12).",
    )


def test_the_rest_says_who_leads_who_is_not_behind_and_who_has_no_signal():
    assert details(SCORES, PAIRED, "ratio") == (
        "The model: accuracy 0.900 [0.800, 1.000], n = 20.",
        "Ranking words as the annotators do (average precision, higher is better): a leads with "
        "0.700 [0.600, 0.800], n = 20; not clearly behind: b. Not clearly better than random: c.",
        "Finding the words that the model needs (AOPC comprehensiveness, higher is better): a leads with "
        "0.300 [0.200, 0.400], n = 20; clearly ahead of all others. Not clearly better than random: b.",
        "Finding words that suffice for the model (AOPC sufficiency, lower is better): random leads with "
        "0.100 [0.000, 0.200], n = 20; clearly ahead of all others. Not clearly better than random: a.",
        "Cost, median per text: from 2.00 ms (b) to 12.3 ms (a).",
    )


def test_who_was_not_held_against_the_others_is_not_ahead_of_them():
    *_, told, _ = details(SCORES, PAIRED[PAIRED.metric != "aopc_sufficiency"], "ratio")
    assert told.startswith("Finding words that suffice")
    assert "random leads with 0.100 [0.000, 0.200], n = 20. Not clearly" in told


def test_a_method_that_failed_a_test_is_not_advised():
    told = claims(SCORES, PAIRED, {"To show people": ["a", "b"]})
    assert [claim.text for claim in told] == [
        "To show people: none of these methods (average precision, n = 20).",
        "Do not use c to show people: not clearly better than random on average precision.",
        "To know what the model used: a (AOPC comprehensiveness 0.300 [0.200, 0.400], n = 20).",
        "Do not use b to know what the model used: not clearly better than random on AOPC comprehensiveness.",
    ]
    assert claims(SCORES[SCORES.method != "random"], PAIRED) == ()
    assert claims(SCORES, PAIRED, least=21) == ()  # n = 20


def test_two_runs_in_sentences():
    names = ["run", "other", "metric", "budget", "method", "value", "other_value"]
    names += ["difference", "difference_low", "difference_high", "n", "tie"]
    table = pd.DataFrame(
        [
            ("x", "y", "accuracy", "-", "model", 0.9, 0.8, 0.1, -0.05, 0.2, 30, True),
            ("x", "y", "token_f1", "gold", "a", 0.5, 0.4, 0.1, 0.05, 0.15, 30, False),
            ("x", "y", "sufficiency", "gold", "a", 0.5, 0.2, 0.3, 0.2, 0.4, 30, False),
            ("x", "y", "token_f1", "gold", "b", 0.5, 0.5, 0.0, -0.1, 0.1, 30, True),
            ("x", "y", "token_f1", "gold", "c", 0.5, np.nan, np.nan, np.nan, np.nan, 30, None),
            ("x", "y", "token_f1", "match=c", "a", 0.5, np.nan, np.nan, np.nan, np.nan, 30, None),
        ],
        columns=names,
    )
    assert sides(table) == (
        "accuracy: 0.900 in x, 0.800 in y; difference +0.100 [-0.050, +0.200], n = 30: no clear difference.",
        "Of 3 paired differences of methods, 1 clearly favour x, 1 y; 1 are ties.",
        "The largest clear one: sufficiency of a: 0.500 in x, 0.200 in y; "
        "difference +0.300 [+0.200, +0.400], n = 30: y is better.",
        "Measured by one run alone: c, all at budget match=c.",
    )
