"""Numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser import Dataset, Span
from eraser.metrics.bootstrap import Estimate
from eraser.types import Evidence
from rationale import load
from rationale.attribution.methods import METHODS
from rationale.trusting.checks.decision import _against_random, constant, entropy, flip_shares, gini
from rationale.trusting.checks.people import (
    _right,
    _strata,
    ceilings,
    in_their_place,
    people,
    share_of_ceiling,
    soft,
)
from rationale.trusting.checks.planted import share
from rationale.trusting.checks.sums import gap, sums
from tests.conftest import tiny_model
from tests.helpers.trusted import ORACLE, subject, toy


def test_sparseness_and_complexity():
    assert gini(np.array([0.0, -3.0, 1.0])) == pytest.approx((2 * 3 - 2 * 0 + 0 * 1) / (3 * 4))
    assert gini(np.array([0.0, 0.0])) == 0
    assert entropy(np.array([1.0, -1.0, 0.0, np.nan])) == pytest.approx(np.log(2) / np.log(3))
    assert constant(np.array([1.0, np.nan, 1.0]))
    assert not constant(np.array([1.0, 2.0]))


def test_a_planted_word_is_found_only_where_a_word_stands_out():
    assert share(np.array([0.0, 2.0, 1.0]), (1, 2)) == 1
    assert share(np.array([3.0, 2.0, 1.0]), (1, 2)) == 0.5
    assert share(np.ones(3), (0,)) == 0


def test_a_gap_is_a_share_of_the_largest_score():
    assert gap(np.array([4.0, np.nan]), np.array([3.0, np.nan])) == 0.25
    assert gap(np.zeros(2), np.zeros(2)) == 0


def several(n=10):
    """Texts with three marked words, of which two people marked two each: one of them the same."""
    base = toy(n)

    def both(e):
        places = sorted(x.span.start for x in e.evidence)
        marks = [[places[0], places[1]], [places[1], places[2]]]
        people = tuple(frozenset(Evidence(e.id, Span(p, p + 1)) for p in of) for of in marks)
        return replace(e, annotators=people)

    return Dataset("several", base.documents, {"test": tuple(map(both, base.splits["test"]))})


def test_agreement_as_a_share_of_what_people_reach(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "oracle", ORACLE)
    asked = subject(tmp_path, ("oracle", "random"), several())
    assert np.allclose(ceilings(asked), 0.5)  # each hits one of the other's two words, with two
    oracle = in_their_place(asked, "oracle")
    assert set(oracle) <= {0.5, 0.75, 1.0}  # each time two of the three marked words, one or both hit
    found = share_of_ceiling(oracle, ceilings(asked))
    assert found.value == pytest.approx(oracle.mean() / 0.5)
    assert np.allclose(soft(asked, "oracle"), 1)  # three words, all that anybody marked
    details = people(asked)[0].details
    assert details["share_of_human_ceiling"]["n"] == 10
    assert (details["soft_gold"]["value"], details["soft_gold"]["n"]) == (pytest.approx(1), 10)
    assert details["wrong_predictions"]["n"] == 0
    assert details["right_predictions"]["value"] == pytest.approx(1)


def test_agreement_is_told_apart_where_people_agree_and_where_they_differ(tmp_path):
    own, ceiling = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.8, 0.2, 0.1])
    found = _strata(subject(tmp_path, ("random",), toy(4)), own, ceiling)
    told = {name: (found[name]["value"], found[name]["n"]) for name in ("people_agree", "people_differ")}
    assert told == {"people_agree": (1, 2), "people_differ": (0, 2)}


def test_words_until_the_class_flips_are_told_in_points():
    sure = _against_random("m", Estimate(0.05, 0.03, 0.07, 30), Estimate(-0.35, -0.45, -0.25, 30), {})
    assert sure.sentence == (
        "Finds what decides: 5% of the words [3%, 7%] until the class flips, "
        "35 points fewer than random [25, 45], n = 30 (texts that some method flips)."
    )
    worse = _against_random("m", Estimate(0.5, 0.4, 0.6, 30), Estimate(0.08, -0.01, 0.15, 30), {})
    assert "8 points more than random [-1, 15]" in worse.sentence


def test_the_first_share_that_flips_the_class(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "oracle", ORACLE)
    asked = subject(tmp_path, ("oracle",), toy(4))
    assert flip_shares(asked, "oracle").tolist() == [
        1.0,
        0.5,
        1.0,
        0.5,
    ]  # POS without its words is a tie: NEG


def test_sums_that_do_not_hold_are_told(tmp_path, monkeypatch):
    promise = replace(
        METHODS["kernel_shap"], expected_sum=lambda c, r: METHODS["kernel_shap"].expected_sum(c, r) + 9
    )
    monkeypatch.setitem(METHODS, "promise", promise)
    good, bad = sums(subject(tmp_path, ("kernel_shap", "promise"), toy(2, n_words=6), shap_samples=20))
    assert (good.outcome, bad.outcome) == ("pass", "fail")
    assert bad.sentence.startswith("Arithmetic does not hold: its scores miss what they should sum to by ")


def test_rounding_of_a_model_held_in_half_precision_is_no_batch(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("rationale.trusting.checks.sums.alone", lambda *_: np.array([0.001, 0.006]))
    outcomes = {}
    for held in (torch.float32, torch.bfloat16, torch.float16):
        model = tiny_model("bert", tokenizer, ("NEG", "POS")).to(held)
        asked = load((model, tokenizer), device="cpu")
        (found,) = sums(subject(tmp_path / str(held), ("random",), toy(2, n_words=6), asked))
        outcomes[held] = (found.outcome, found.sentence.split(";")[0])
    half = ("pass", "It promises no sum")
    failed = ("fail", "Depends on the batch")
    assert outcomes == {torch.float32: failed, torch.bfloat16: half, torch.float16: half}


def test_of_several_labels_a_prediction_is_right_where_all_are(tmp_path):
    asked = subject(tmp_path, ("random",), toy(12))
    two = replace(asked.run.classifier, labels=("rude", "threat"), head="given_labels")
    labels = ["threat|rude", "rude", ""] * 4  # in any order
    items = tuple(
        replace(i, truth=replace(i.truth, label=x)) for i, x in zip(asked.items, labels, strict=True)
    )
    probs = np.array([[0.9, 0.8], [0.9, 0.8], [0.1, 0.2]] * 4)
    several = replace(asked, run=replace(asked.run, classifier=two), items=items, probs=probs)
    assert _right(several).tolist() == [True, False, True] * 4
    number = replace(asked.run, classifier=replace(two, labels=("value",), head="value"))
    assert _right(replace(several, run=number)) is None


def test_a_share_of_a_ceiling_of_0_is_no_number():
    found = share_of_ceiling(np.array([0.4, 0.5]), np.array([0.6, 0.0]))
    assert found.value == pytest.approx(0.45 / 0.3)
    assert np.isfinite([found.low, found.high]).all()
