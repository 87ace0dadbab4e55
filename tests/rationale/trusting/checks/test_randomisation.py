from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eraser.metrics.bootstrap import Estimate
from rationale.attribution.methods import METHODS, Method
from rationale.trusting.checks.randomisation import SHUFFLED, cascade, kept_ranking, randomisation, verdict_of
from rationale.trusting.contract import TrustSettings
from rationale.trusting.model.again import FEW, scores_on
from tests.helpers.planted_texts import planted, planted_texts
from tests.helpers.trusted import subject

METHODS_TRIED = ("gradient_x_input", "position", "random")


@pytest.fixture
def tested(tmp_path, classifier, sample):
    few = {name: examples[:12] for name, examples in sample.splits.items()}
    return subject(tmp_path, METHODS_TRIED, replace(sample, splits=few), classifier, TrustSettings(epochs=1))


def test_what_looks_at_no_model_does_not_change_and_is_told(tested):
    before = {n: p.clone() for n, p in tested.run.explained.model.named_parameters()}
    found = {f.method: f for f in randomisation(tested)}
    assert {m: f.outcome for m, f in found.items()} == {
        "gradient_x_input": "pass", "position": "fail", "random": "fail",
    }  # fmt: skip
    assert found["position"].value == pytest.approx(1.0)
    assert found["random"].sentence == (
        "Does not change with the model: with all weights shuffled its ranking correlates 1.00 [1.00, 1.00] "
        "with its own, n = 12 (1.00 after head; 1.00 after head and upper 2 of 3 layers; "
        "1.00 after shuffled labels)."
    )
    assert SHUFFLED in found["gradient_x_input"].details["stages"]
    assert all(torch.equal(p, before[n]) for n, p in tested.run.explained.model.named_parameters())


def test_identical_weights_give_correlation_one(tested, monkeypatch):
    monkeypatch.setattr("rationale.trusting.checks.randomisation.randomised", lambda c, *_: c)
    found = {f.method: f for f in randomisation(tested)}
    assert found["gradient_x_input"].value == pytest.approx(1.0)
    assert found["gradient_x_input"].outcome == "fail"


def test_a_ranking_turned_round_is_kept(tested):
    own = tested.scores("gradient_x_input")[:FEW]
    found = kept_ranking(tested, "gradient_x_input", [-scores for scores in own])
    assert found.value == pytest.approx(1.0)
    assert verdict_of(found)[0] == "fail"


def test_scores_on_a_copy_are_kept_on_disk(tested, monkeypatch):
    first = scores_on(tested, "gradient_x_input", cascade(tested)[-1])
    monkeypatch.setattr("rationale.trusting.checks.randomisation.randomised", None)
    again = scores_on(tested, "gradient_x_input", cascade(tested)[-1])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_method_that_fails_on_the_copies_is_said(tmp_path, monkeypatch):
    own = []

    def scores(classifier, request):
        own.append(classifier.model)
        if classifier.model is not own[0]:
            raise RuntimeError("no such layer")
        return torch.rand(request.batch.word.shape, generator=torch.Generator().manual_seed(0)).double()

    monkeypatch.setitem(METHODS, "odd", Method(scores, "max", False, "x", asks=True))
    (odd,) = randomisation(subject(tmp_path, ("odd",), planted_texts(), planted(tmp_path)))
    assert odd.sentence == "Cannot tell: odd fails on a model with other weights (no such layer)."


def test_few_texts_tell_nothing(tmp_path):
    (one,) = randomisation(subject(tmp_path, ("leave_one_out",), planted_texts(2), planted(tmp_path)))
    assert one.outcome == "cannot tell"
    assert "leave_one_out ranks some words above others are too few (at least 8)" in one.sentence


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.6, 0.9, "fail"), (-0.1, 0.3, "pass"), (0.3, 0.7, "cannot tell")],
)
def test_verdicts(low, high, outcome):
    assert verdict_of(Estimate((low + high) / 2, low, high, 20))[0] == outcome
